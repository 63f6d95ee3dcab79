#include "values.h"

#include "base/base.h"
#include "pb/pb.h"

/* One file that values lie in. */
struct source {
	struct collecting *of;
	const char *uri;
	CoreLiteralMap *literals;
};

struct collecting {
	struct arena *arena;
	const struct value_ref *values;
	size_t n, max_bytes;
	VEC(struct source *) sources;
	size_t next; /* the source being read */
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
		copy[i].literal = values[i].literal ? pb_clone(values[i].literal, a) : NULL;
		copy[i].items = values_copy(values[i].items, values[i].n_items, a);
	}
	return copy;
}

static void finish(struct collecting *c, enum code code, struct str literals, const struct err *err)
{
	c->fn(c->arg, code, literals, err);
	vec_free(&c->sources);
	arena_free(c->arena);
}

static struct source *find_source(struct collecting *c, const char *uri)
{
	vec_each (struct source **, s, &c->sources)
		if (strcmp((*s)->uri, uri) == 0)
			return *s;
	return NULL;
}

static void find_sources(struct collecting *c, const struct value_ref *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (values[i].kind == VALUE_STORED && !find_source(c, values[i].uri)) {
			struct source *s = arena_new_of(c->arena, struct source);
			s->of = c;
			s->uri = values[i].uri;
			vec_push(&c->sources, s);
		}
		find_sources(c, values[i].items, values[i].n_items);
	}
}

/* ---- putting together ---- */

static CoreLiteral *literal_of(struct collecting *c, const struct value_ref *v, struct err *err);

static CoreLiteralMap *map_of(struct collecting *c, const struct value_ref *values, size_t n, struct err *err)
{
	CoreLiteralMap *map = pb_new(c->arena, CORE_LITERAL_MAP_DESC);

	map->literals = arena_array(c->arena, CoreLiteralMapLiteralsEntry *, n + 1);
	for (size_t i = 0; i < n; i++) {
		CoreLiteralMapLiteralsEntry *e = pb_new(c->arena, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);
		e->key = (char *)values[i].var;
		e->value = literal_of(c, &values[i], err);
		if (!e->value)
			return NULL;
		map->literals[map->n_literals++] = e;
	}
	return map;
}

static CoreLiteral *stored_literal(struct collecting *c, const struct value_ref *v, struct err *err)
{
	const CoreLiteralMap *map = find_source(c, v->uri)->literals;

	for (size_t i = 0; i < map->n_literals; i++)
		if (strcmp(map->literals[i]->key, v->uri_var) == 0 && map->literals[i]->value)
			return map->literals[i]->value;
	err_set(err, NOT_FOUND, "%s has no variable %s", v->uri, v->uri_var);
	return NULL;
}

static CoreLiteral *list_literal(struct collecting *c, const struct value_ref *v, struct err *err)
{
	CoreLiteral *l = pb_new(c->arena, CORE_LITERAL_DESC);

	l->value_case = CORE_LITERAL_VALUE_COLLECTION;
	l->collection = pb_new(c->arena, CORE_LITERAL_COLLECTION_DESC);
	l->collection->literals = arena_array(c->arena, CoreLiteral *, v->n_items + 1);
	for (size_t i = 0; i < v->n_items; i++) {
		CoreLiteral *item = literal_of(c, &v->items[i], err);
		if (!item)
			return NULL;
		l->collection->literals[l->collection->n_literals++] = item;
	}
	return l;
}

static CoreLiteral *literal_of(struct collecting *c, const struct value_ref *v, struct err *err)
{
	CoreLiteral *l;

	switch (v->kind) {
	case VALUE_LITERAL: return (CoreLiteral *)v->literal;
	case VALUE_STORED: return stored_literal(c, v, err);
	case VALUE_COLLECTION: return list_literal(c, v, err);
	case VALUE_MAP: break;
	}
	l = pb_new(c->arena, CORE_LITERAL_DESC);
	l->value_case = CORE_LITERAL_VALUE_MAP;
	l->map = map_of(c, v->items, v->n_items, err);
	return l->map ? l : NULL;
}

static void put_together(struct collecting *c)
{
	struct err err = {OK, ""};
	CoreLiteralMap *map = map_of(c, c->values, c->n, &err);

	if (map)
		finish(c, OK, pb_pack(map, c->arena), &err);
	else
		finish(c, err.code, STR(""), &err);
}

/* ---- reading, one file after the other ---- */

static void read_next(struct collecting *c);

static void on_read(void *arg, enum code code, char *data, size_t len, const struct err *err)
{
	struct source *s = arg;
	struct err why = *err;

	if (!code)
		code = pb_unpack(CORE_LITERAL_MAP_DESC, (struct str){data, len}, s->of->arena, (void **)&s->literals,
				 &why);
	free(data);
	if (code) {
		err_prefix(&why, code, "%s: ", s->uri);
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
	c->values = values_copy(values, n, a);
	c->n = n;
	c->max_bytes = max_bytes;
	c->store = store;
	c->fn = fn;
	c->arg = arg;
	find_sources(c, c->values, n);
	read_next(c);
}
