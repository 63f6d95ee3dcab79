/* What goes into an array's items and what comes out of them: lists on both sides. A list that is long and lies in the
 * store stays there: only its length is known here, and an item's input is a place in it.
 * Source: flytepropeller controller/nodes/array/handler.go (v1.16.8). */
#include "engine/private.h"
#include "flyte/types.h"
#include "pb/pb.h"

enum { MAX_ITEMS = 10 * 1000 * 1000 };

/* ---- inputs ---- */

static bool is_bound(const struct wf_array *spec, const char *var)
{
	for (size_t i = 0; i < spec->n_bound; i++)
		if (strcmp(spec->bound[i], var) == 0)
			return true;
	return false;
}

static bool is_offloaded(const struct value_ref *v)
{
	return v->literal && v->literal->value_case == CORE_LITERAL_VALUE_OFFLOADED_METADATA;
}

/* Is this what the array is over, and how long is it? */
static bool is_list(const struct wf_array *spec, const struct value_ref *v, size_t *ret)
{
	bool collection = v->literal && v->literal->value_case == CORE_LITERAL_VALUE_COLLECTION;

	*ret = collection ? v->literal->collection->n_literals : v->n_items;
	if (is_bound(spec, v->var))
		return false;
	return collection || v->kind == VALUE_COLLECTION || (v->kind == VALUE_STORED && v->n_items);
}

bool array_wants(struct fold *f, uint32_t i, const struct values *inputs, struct values *ret)
{
	const struct wf_array *spec = wf_node(f, i)->array;
	struct value_ref *at = arena_array(f->a, struct value_ref, inputs->n);
	size_t n = 0;

	for (size_t k = 0; k < inputs->n; k++) {
		const struct value_ref *v = &inputs->at[k];
		if (is_bound(spec, v->var) || !(v->kind == VALUE_STORED || is_offloaded(v)))
			continue;
		at[n] = *v;
		if (is_offloaded(v))
			at[n] = (struct value_ref){
				.var = v->var, .kind = VALUE_STORED, .uri = v->literal->offloaded_metadata->uri};
		n++;
	}
	*ret = (struct values){at, n};
	return n > 0;
}

static struct value_ref *find(const struct values *values, const char *var)
{
	for (size_t i = 0; i < values->n; i++)
		if (strcmp(values->at[i].var, var) == 0)
			return (struct value_ref *)&values->at[i];
	return NULL;
}

void array_take_read(struct fold *f, const struct values *wanted, const AlulaValuesRead *in, struct values *inputs)
{
	struct value_ref *at = arena_dup(f->a, inputs->at, inputs->n * sizeof *at);

	*inputs = (struct values){at, inputs->n};
	for (size_t i = 0; i < in->literals->n_literals; i++) {
		const CoreLiteralMapLiteralsEntry *e = in->literals->literals[i];
		if (find(wanted, e->key) && e->value)
			*find(inputs, e->key) = (struct value_ref){.var = e->key, .literal = e->value};
	}
	for (size_t i = 0; i < in->n_extents; i++) {
		const struct value_ref *w = find(wanted, in->extents[i]->var);
		if (!w)
			continue;
		struct value_ref *v = find(inputs, w->var);
		*v = *w;
		if (in->extents[i]->extent_case == ALULA_EXTENT_EXTENT_LENGTH)
			v->n_items = in->extents[i]->length;
	}
}

bool array_measure(struct fold *f, const struct wf_array *spec, const struct values *inputs, uint32_t *ret,
		   const char **ret_text)
{
	size_t size = SIZE_MAX, bound = 0, n;

	for (size_t i = 0; i < inputs->n; i++) {
		bool list = is_list(spec, &inputs->at[i], &n);
		bound += is_bound(spec, inputs->at[i].var);
		if (list && size != SIZE_MAX && size != n) {
			*ret_text = arena_printf(
				f->a, "input arrays have different lengths: expecting '%zu' found '%zu'", size, n);
			return false;
		}
		size = list ? n : size;
	}
	if (size == SIZE_MAX && bound == inputs->n)
		size = 1;
	*ret_text = size == SIZE_MAX ? "no input array provided" : "the input arrays are too long";
	*ret = (uint32_t)size;
	return size <= MAX_ITEMS;
}

static struct value_ref item_of(const struct value_ref *list, uint32_t item, struct arena *arena)
{
	struct value_ref v = *list;

	if (list->literal)
		return (struct value_ref){.literal = list->literal->collection->literals[item]};
	if (list->kind == VALUE_COLLECTION)
		return list->items[item];
	v.n_items = 0;
	v.path = attribute_path_item(arena, list->path, item);
	return v;
}

void array_inputs(const struct array *a, uint32_t item, struct arena *arena, struct values *ret)
{
	struct value_ref *at = arena_array(arena, struct value_ref, a->inputs.n);
	size_t n;

	for (size_t i = 0; i < a->inputs.n; i++) {
		at[i] = a->inputs.at[i];
		if (is_list(a->spec, &a->inputs.at[i], &n))
			at[i] = item_of(&a->inputs.at[i], item, arena);
		at[i].var = a->inputs.at[i].var;
	}
	*ret = (struct values){at, a->inputs.n};
}

/* ---- what an item gave, packed ---- */

static AlulaGiven *given_of(struct arena *a, const struct value_ref *values, size_t n);

static AlulaGivenPlace *place_of(struct arena *a, const struct value_ref *v)
{
	AlulaGivenPlace *p = pb_new(a, ALULA_GIVEN_PLACE_DESC);

	p->uri = (char *)v->uri;
	p->single = !v->uri_var;
	p->var = v->uri_var ? (char *)v->uri_var : p->var;
	if (v->path) {
		p->path = (CorePromiseAttribute **)v->path->steps;
		p->n_path = v->path->n;
		p->path_node = (char *)v->path->node;
		p->path_var = (char *)v->path->var;
	}
	return p;
}

static AlulaGivenValue *given_value(struct arena *a, const struct value_ref *v)
{
	AlulaGivenValue *g = pb_new(a, ALULA_GIVEN_VALUE_DESC);

	g->var = v->var ? (char *)v->var : g->var;
	switch (v->kind) {
	case VALUE_LITERAL:
		g->value_case = ALULA_GIVEN_VALUE_VALUE_LITERAL;
		g->literal = (CoreLiteral *)v->literal;
		break;
	case VALUE_STORED:
		g->value_case = ALULA_GIVEN_VALUE_VALUE_PLACE;
		g->place = place_of(a, v);
		break;
	case VALUE_COLLECTION:
		g->value_case = ALULA_GIVEN_VALUE_VALUE_LIST;
		g->list = given_of(a, v->items, v->n_items);
		break;
	case VALUE_MAP:
		g->value_case = ALULA_GIVEN_VALUE_VALUE_MAP;
		g->map = given_of(a, v->items, v->n_items);
		break;
	}
	return g;
}

static AlulaGiven *given_of(struct arena *a, const struct value_ref *values, size_t n)
{
	AlulaGiven *g = pb_new(a, ALULA_GIVEN_DESC);

	g->values = arena_array(a, AlulaGivenValue *, n);
	g->n_values = n;
	for (size_t i = 0; i < n; i++)
		g->values[i] = given_value(a, &values[i]);
	return g;
}

void array_keep(struct fold *f, struct array *a, uint32_t item, const struct outputs *o)
{
	AlulaGiven *given = given_of(f->a, o ? o->at : NULL, o ? o->n : 0);

	if (o && o->uri)
		given->uri = (char *)o->uri;
	struct str packed = pb_pack(given, f->a);
	if (!a->given)
		a->given = x_calloc(a->size, sizeof *a->given);
	a->given[item] = x_malloc(sizeof(uint32_t) + packed.len);
	uint32_t len = (uint32_t)packed.len;
	memcpy(a->given[item], &len, sizeof len);
	memcpy(a->given[item] + sizeof len, packed.ptr, packed.len);
	a->given_bytes += sizeof len + packed.len;
}

static const AlulaGiven *given_by(struct fold *f, const struct array *a, uint32_t item)
{
	void *o;
	uint32_t len;

	if (!a->given || !a->given[item])
		return NULL;
	memcpy(&len, a->given[item], sizeof len);
	struct str packed = {(const char *)a->given[item] + sizeof len, len};
	return pb_unpack_own(ALULA_GIVEN_DESC, packed, f->a, &o, NULL) == OK ? o : NULL;
}

static struct value_ref value_of(struct arena *a, const AlulaGivenValue *g);

static const struct value_ref *values_of(struct arena *a, const AlulaGiven *g)
{
	struct value_ref *at = arena_array(a, struct value_ref, g->n_values);

	for (size_t i = 0; i < g->n_values; i++)
		at[i] = value_of(a, g->values[i]);
	return at;
}

static struct value_ref value_of_place(struct arena *a, const AlulaGivenPlace *p)
{
	struct value_ref v = {.kind = VALUE_STORED, .uri = p->uri, .uri_var = p->single ? NULL : p->var};

	if (p->n_path) {
		struct value_path *path = arena_new_of(a, struct value_path);
		*path = (struct value_path){p->path_node, p->path_var, (uint32_t)p->n_path,
					    (const CorePromiseAttribute *const *)p->path};
		v.path = path;
	}
	return v;
}

static struct value_ref value_of(struct arena *a, const AlulaGivenValue *g)
{
	struct value_ref v;

	switch (g->value_case) {
	case ALULA_GIVEN_VALUE_VALUE_PLACE: v = value_of_place(a, g->place); break;
	case ALULA_GIVEN_VALUE_VALUE_LIST:
		v = (struct value_ref){
			.kind = VALUE_COLLECTION, .items = values_of(a, g->list), .n_items = g->list->n_values};
		break;
	case ALULA_GIVEN_VALUE_VALUE_MAP:
		v = (struct value_ref){.kind = VALUE_MAP, .items = values_of(a, g->map), .n_items = g->map->n_values};
		break;
	default: v = (struct value_ref){.literal = g->literal}; break;
	}
	v.var = g->var;
	return v;
}

/* ---- lists of it ---- */

/* What the item gave under this name; nothing for one that failed. */
static struct value_ref given(struct fold *f, const AlulaGiven *g, const char *var)
{
	static const CoreVoid NOTHING = CORE_VOID_INIT;

	for (size_t i = 0; g && i < g->n_values; i++)
		if (strcmp(g->values[i]->var, var) == 0)
			return value_of(f->a, g->values[i]);
	if (g && *g->uri)
		return (struct value_ref){.kind = VALUE_STORED, .uri = g->uri, .uri_var = var};
	CoreLiteral *none = literal_of_scalar(f->a, CORE_SCALAR_VALUE_NONE_TYPE);
	none->scalar->none_type = (CoreVoid *)&NOTHING;
	return (struct value_ref){.literal = none};
}

/* The first item that can tell names, if a task's interface does not. */
static const AlulaGiven *namer(struct fold *f, const struct array *a)
{
	for (uint32_t i = 0; !a->spec->item.task && !a->names && i < a->size; i++) {
		const AlulaGiven *g = given_by(f, a, i);
		if (g && (g->n_values || *g->uri))
			return g;
	}
	return NULL;
}

bool array_wants_names(struct fold *f, const struct array *a, struct values *ret)
{
	const AlulaGiven *g = namer(f, a);
	struct value_ref *v = arena_new_of(f->a, struct value_ref);

	*v = (struct value_ref){.var = "outputs", .kind = VALUE_STORED, .uri = g ? g->uri : NULL, .uri_var = ""};
	*ret = (struct values){v, 1};
	return g && !g->n_values;
}

void array_name(struct frame *frame, const AlulaValuesRead *in)
{
	struct array *a = frame->array;
	const AlulaExtent *e = in->n_extents ? in->extents[0] : NULL;
	bool keys = e && e->extent_case == ALULA_EXTENT_EXTENT_KEYS;

	a->n_names = keys ? e->keys->n_keys : 0;
	a->names = arena_array(frame->arena, const char *, a->n_names + 1);
	for (size_t i = 0; i < a->n_names; i++)
		a->names[i] = arena_strdup(frame->arena, e->keys->keys[i]);
}

static size_t names(struct fold *f, const struct array *a, const char ***ret)
{
	const CoreTypedInterface *t = a->spec->item.task ? a->spec->item.task->template->interface : NULL;
	const AlulaGiven *g = namer(f, a);
	size_t n = t && t->outputs ? t->outputs->n_variables : g ? g->n_values : a->n_names;

	*ret = arena_array(f->a, const char *, n);
	for (size_t k = 0; k < n; k++)
		(*ret)[k] = t ? t->outputs->variables[k]->key : g ? g->values[k]->var : a->names[k];
	return n;
}

static struct value_ref list_value(struct fold *f, const char *var, const struct value_ref *items, size_t n)
{
	const CoreLiteral **literals = arena_array(f->a, const CoreLiteral *, n);

	for (size_t i = 0; i < n; i++) {
		literals[i] = items[i].literal;
		if (!items[i].literal)
			return (struct value_ref){.var = var, .kind = VALUE_COLLECTION, .items = items, .n_items = n};
	}
	return (struct value_ref){.var = var, .literal = literal_of_items(f->a, false, literals, NULL, n)};
}

void array_gather(struct fold *f, const struct array *a, struct values *ret)
{
	const char **vars;
	size_t n = names(f, a, &vars);
	struct value_ref *at = arena_array(f->a, struct value_ref, n),
			 **items = arena_array(f->a, struct value_ref *, n);

	for (size_t k = 0; k < n; k++)
		items[k] = arena_array(f->a, struct value_ref, a->size);
	for (uint32_t i = 0; i < a->size; i++) {
		const AlulaGiven *g = given_by(f, a, i);
		for (size_t k = 0; k < n; k++)
			items[k][i] = given(f, g, vars[k]);
	}
	for (size_t k = 0; k < n; k++)
		at[k] = list_value(f, vars[k], items[k], a->size);
	*ret = (struct values){at, n};
}
