#include "values.h"

#include "base/base.h"
#include "engine/attribute.h"
#include "packed.h"
#include "pb/pb.h"

/* Together, the values may be so many times as large as one file. */
enum { MAX_FILES_WORTH = 4 };

/* A value that lies in a file. */
struct want {
	const struct value_ref *value;
	uint32_t from;     /* steps of its path that are behind */
	bool elsewhere;    /* an offloaded literal brought us here */
	struct str packed; /* the literal, once it is found */
	struct want *next; /* of the same source */
};

struct source {
	struct collecting *of;
	const char *uri;
	bool single; /* it holds a Literal; else a LiteralMap */
	struct want *wants;
};

struct collecting {
	struct arena *arena;
	const struct value_ref *values;
	size_t n, max_bytes;
	struct map *known;    /* sources that are still to be read, by "<single> <uri>" */
	struct u64map *wants; /* by the address of their value */
	VEC(struct source *) sources;
	size_t next;  /* the source being read */
	size_t bytes; /* found so far */
	struct store *store;
	values_fn fn;
	void *arg;
};

const struct value_ref *values_copy(const struct value_ref *values, size_t n, struct arena *a)
{
	struct value_ref *copy = arena_array(a, struct value_ref, n + 1);

	for (size_t i = 0; i < n; i++) {
		copy[i] = values[i];
		copy[i].var = arena_strdup(a, values[i].var);
		copy[i].uri = arena_strdup(a, values[i].uri);
		copy[i].uri_var = arena_strdup(a, values[i].uri_var);
		copy[i].path = attribute_path_copy(a, values[i].path);
		copy[i].literal = values[i].literal ? pb_clone(values[i].literal, a) : NULL;
		copy[i].items = values[i].items ? values_copy(values[i].items, values[i].n_items, a) : NULL;
	}
	return copy;
}

static void finish(struct collecting *c, enum code code, struct str literals, const struct err *err)
{
	c->fn(c->arg, code, literals, err);
	vec_free(&c->sources);
	map_free(c->known);
	u64map_free(c->wants);
	arena_free(c->arena);
}

/* ---- what lies where ---- */

static void want_at(struct collecting *c, struct want *w, const char *uri, bool single)
{
	const char *key = arena_printf(c->arena, "%d %s", single, uri);
	struct source *s = map_get(c->known, str_of(key));

	if (!s) {
		s = arena_new_of(c->arena, struct source);
		*s = (struct source){.of = c, .uri = uri, .single = single};
		map_put(c->known, str_of(key), s);
		vec_push(&c->sources, s);
	}
	w->next = s->wants;
	s->wants = w;
}

/* Of a literal that leads elsewhere, and is to be followed. */
static bool leads_elsewhere(const struct value_ref *v)
{
	return v->kind == VALUE_LITERAL && v->load && v->literal &&
	       v->literal->value_case == CORE_LITERAL_VALUE_OFFLOADED_METADATA;
}

bool values_at_hand(const struct value_ref *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (values[i].kind == VALUE_STORED || leads_elsewhere(&values[i]) ||
		    (values[i].items && !values_at_hand(values[i].items, values[i].n_items)))
			return false;
	return true;
}

static void find_wants(struct collecting *c, const struct value_ref *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct value_ref *v = &values[i];
		bool offloaded = leads_elsewhere(v);
		if (v->kind == VALUE_STORED || offloaded) {
			struct want *w = arena_new_of(c->arena, struct want);
			*w = (struct want){.value = v, .elsewhere = offloaded};
			u64map_put(c->wants, (uintptr_t)v, w);
			want_at(c, w, offloaded ? v->literal->offloaded_metadata->uri : v->uri,
				offloaded || !v->uri_var);
		}
		if (v->items)
			find_wants(c, v->items, v->n_items);
	}
}

/* ---- finding it in its file ---- */

static enum code go_elsewhere(struct want *w, struct source *s, const CoreLiteral *offloaded, struct err *err)
{
	const char *uri = offloaded->offloaded_metadata->uri;

	if (w->elsewhere)
		return err_set(err, OUT_OF_RANGE, "%s: unexpected offloaded metadata type", s->uri);
	if (!*uri)
		return err_set(err, OUT_OF_RANGE, "%s: uri is empty for offloaded literal", s->uri);
	w->elsewhere = true;
	want_at(s->of, w, arena_strdup(s->of->arena, uri), true);
	return OK;
}

static enum code found(struct want *w, struct source *s, struct str literal, struct err *err)
{
	struct collecting *c = s->of;

	c->bytes += literal.len;
	if (c->bytes > MAX_FILES_WORTH * c->max_bytes)
		return err_set(err, RESOURCE_EXHAUSTED, "the values together are larger than %zu bytes",
			       MAX_FILES_WORTH * c->max_bytes);
	w->packed = (struct str){arena_dup(c->arena, literal.ptr, literal.len), literal.len};
	return OK;
}

/* As far as the path goes through lists and maps, which may be large: what they have is found without unpacking them.
 */
static bool descend(struct want *w, struct str *literal)
{
	const struct value_path *path = w->value->path;
	struct str body, item;
	int kind;

	for (; path && w->from < path->n; w->from++) {
		const CorePromiseAttribute *step = path->steps[w->from];
		bool key = step->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE;
		if (!packed_open(*literal, &kind, &body))
			return false;
		if (kind == CORE_LITERAL_VALUE_MAP && key && packed_key(body, step->string_value, &item))
			*literal = item;
		else if (kind == CORE_LITERAL_VALUE_COLLECTION && !key && step->int_value >= 0 &&
			 packed_item(body, (size_t)step->int_value, &item))
			*literal = item;
		else
			return kind == CORE_LITERAL_VALUE_SCALAR || kind == CORE_LITERAL_VALUE_OFFLOADED_METADATA;
		w->elsewhere = false;
	}
	return true;
}

static enum code follow(struct want *w, struct source *s, struct str packed, struct arena *a, struct err *err)
{
	static const struct value_path NOWHERE;
	const struct value_path *path = w->value->path ? w->value->path : &NOWHERE;
	CoreLiteral *literal;
	struct attribute at;
	enum code c = pb_unpack(CORE_LITERAL_DESC, packed, a, (void **)&literal, err);

	if (c)
		return err_prefix(err, c, "%s: ", s->uri);
	switch (attribute_follow(a, literal, path, w->from, &at)) {
	case ATTRIBUTE_ELSEWHERE:
		w->elsewhere = w->elsewhere && at.done == w->from;
		w->from = at.done;
		return go_elsewhere(w, s, at.literal, err);
	case ATTRIBUTE_MISSING: return err_set(err, OUT_OF_RANGE, "%s", at.error);
	case ATTRIBUTE_FOUND: break;
	}
	if (w->value->load && at.literal->value_case == CORE_LITERAL_VALUE_OFFLOADED_METADATA) {
		w->elsewhere = w->elsewhere && w->from == path->n;
		w->from = path->n;
		return go_elsewhere(w, s, at.literal, err);
	}
	return found(w, s, pb_pack(at.literal, a), err);
}

/* The end of a path through something that has no such part. */
static enum code misses(struct want *w, struct source *s, struct arena *a, struct err *err)
{
	struct attribute at;

	if (!w->value->path || w->from >= w->value->path->n)
		return err_set(err, INVALID_ARGUMENT, "%s is damaged", s->uri);
	attribute_follow(a, NULL, w->value->path, w->from, &at);
	return err_set(err, OUT_OF_RANGE, "%s", at.error);
}

static bool is_offloaded(struct str literal)
{
	struct str body;
	int kind;

	return packed_open(literal, &kind, &body) && kind == CORE_LITERAL_VALUE_OFFLOADED_METADATA;
}

/* All that a file has, as one value. */
static enum code look_at_all(struct want *w, struct source *s, struct str file, struct err *err)
{
	auto_buf struct buf b = {0};

	packed_add_head(&b, CORE_LITERAL_VALUE_MAP, file.len);
	buf_add_str(&b, file);
	return found(w, s, buf_str(&b), err);
}

static enum code look(struct want *w, struct source *s, struct str file, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const char *var = w->value->uri_var;
	struct str literal = file;

	if (!s->single && !*var)
		return look_at_all(w, s, file, err);
	if (!s->single && !packed_key(file, var, &literal))
		return err_set(err, OUT_OF_RANGE, "OutputsNotFoundError: %s has no variable %s", s->uri, var);
	if (!descend(w, &literal))
		return misses(w, s, a, err);
	bool there = !w->value->path || w->from == w->value->path->n;
	if (there && !(w->value->load && is_offloaded(literal)))
		return found(w, s, literal, err);
	return follow(w, s, literal, a, err);
}

/* ---- putting together ---- */

static struct str packed_of(const struct collecting *c, const struct value_ref *v)
{
	const struct want *w = u64map_get(c->wants, (uintptr_t)v);

	return w->packed;
}

static bool is_read(const struct collecting *c, const struct value_ref *v)
{
	return u64map_get(c->wants, (uintptr_t)v) != NULL;
}

static size_t literal_size(const struct collecting *c, const struct value_ref *v);

static size_t entry_size(const struct collecting *c, const struct value_ref *v)
{
	return packed_field_size(strlen(v->var)) + packed_field_size(literal_size(c, v));
}

/* Of the list or map within a literal. */
static size_t items_size(const struct collecting *c, const struct value_ref *items, size_t n, bool map)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += packed_field_size(map ? entry_size(c, &items[i]) : literal_size(c, &items[i]));
	return size;
}

static size_t literal_size(const struct collecting *c, const struct value_ref *v)
{
	if (is_read(c, v))
		return packed_of(c, v).len;
	if (v->kind == VALUE_LITERAL)
		return pb_size(v->literal);
	return packed_field_size(items_size(c, v->items, v->n_items, v->kind == VALUE_MAP));
}

static void add_items(const struct collecting *c, const struct value_ref *items, size_t n, bool map, struct buf *b);

static void add_literal(const struct collecting *c, const struct value_ref *v, struct buf *b)
{
	bool map = v->kind == VALUE_MAP;

	if (is_read(c, v)) {
		buf_add_str(b, packed_of(c, v));
	} else if (v->kind == VALUE_LITERAL) {
		pb_pack_buf(v->literal, b);
	} else {
		packed_add_head(b, map ? CORE_LITERAL_VALUE_MAP : CORE_LITERAL_VALUE_COLLECTION,
				items_size(c, v->items, v->n_items, map));
		add_items(c, v->items, v->n_items, map, b);
	}
}

static void add_items(const struct collecting *c, const struct value_ref *items, size_t n, bool map, struct buf *b)
{
	for (size_t i = 0; i < n; i++) {
		packed_add_head(b, 1, map ? entry_size(c, &items[i]) : literal_size(c, &items[i]));
		if (map) {
			packed_add_head(b, 1, strlen(items[i].var));
			buf_adds(b, items[i].var);
			packed_add_head(b, 2, literal_size(c, &items[i]));
		}
		add_literal(c, &items[i], b);
	}
}

static void put_together(struct collecting *c)
{
	auto_buf struct buf b = {0};
	struct err err = {OK, ""};

	add_items(c, c->values, c->n, true, &b);
	finish(c, OK, buf_str(&b), &err);
}

/* ---- reading, one file after the other ---- */

static void read_next(struct collecting *c);

static enum code look_for_all(struct source *s, struct str file, struct err *err)
{
	struct want *next;
	enum code code;

	/* Another part of it that turns up later is read anew: files are not kept. */
	map_remove(s->of->known, str_of(arena_printf(s->of->arena, "%d %s", s->single, s->uri)));
	for (struct want *w = s->wants; w; w = next) {
		next = w->next;
		code = look(w, s, file, err);
		if (code)
			return err_prefix(err, code, "Error binding Var [wf].[%s], caused by: ",
					  w->value->var ? w->value->var : "");
	}
	return OK;
}

static void on_read(void *arg, enum code code, char *data, size_t len, const struct err *err)
{
	struct source *s = arg;
	struct err why = *err;

	if (code)
		err_prefix(&why, code, "%s: ", s->uri);
	else
		code = look_for_all(s, (struct str){data, len}, &why);
	free(data);
	if (code) {
		finish(s->of, code, STR(""), &why);
		return;
	}
	s->of->next++;
	read_next(s->of);
}

static void read_next(struct collecting *c)
{
	if (c->next == c->sources.n)
		put_together(c);
	else
		store_read(c->store, c->sources.at[c->next]->uri, c->max_bytes, on_read, c->sources.at[c->next]);
}

void values_collect(struct store *store, const struct value_ref *values, size_t n, size_t max_bytes, values_fn fn,
		    void *arg)
{
	struct arena *a = arena_new(0);
	struct collecting *c = arena_new_of(a, struct collecting);

	c->arena = a;
	/* Where nothing is to be read, all is over before this returns. */
	c->values = values_at_hand(values, n) ? values : values_copy(values, n, a);
	c->n = n;
	c->max_bytes = max_bytes;
	c->known = map_new();
	c->wants = u64map_new();
	c->store = store;
	c->fn = fn;
	c->arg = arg;
	find_wants(c, c->values, n);
	read_next(c);
}
