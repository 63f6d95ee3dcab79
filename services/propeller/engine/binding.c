/* Bindings: made into expressions once a workflow, resolved to values once a node. */
#include "engine/msgpack.h"
#include "engine/private.h"
#include "pb/pb.h"

/* ---- compile ---- */

static struct expr literal_expr(struct workflow *w, CoreLiteral *literal)
{
	return (struct expr){.kind = EXPR_LITERAL, .literal = pb_clone(literal, w->arena)};
}

static struct expr promise_expr(struct workflow *w, const struct node_names *names, const CoreOutputReference *p,
				const char **ret_error)
{
	struct expr e = {.kind = EXPR_PROMISE, .n = (uint32_t)p->n_attr_path};

	if (!node_names_find(names, p->node_id, &e.promise.node)) {
		*ret_error =
			arena_printf(w->arena, "a binding refers to node [%s], which the workflow lacks", p->node_id);
		return e;
	}
	e.promise.var = arena_strdup(w->arena, node_names_variable(names, e.promise.node, p->var));
	if (p->n_attr_path) {
		const CoreOutputReference *copy = pb_clone(p, w->arena);
		e.promise.path = (const CorePromiseAttribute *const *)copy->attr_path;
	}
	return e;
}

static bool all_literals(const struct expr *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].kind != EXPR_LITERAL)
			return false;
	return true;
}

CoreLiteral *literal_of_items(struct arena *a, bool map, const CoreLiteral *const *items, const char *const *keys,
			      size_t n)
{
	CoreLiteral *literal = pb_new(a, CORE_LITERAL_DESC);

	if (map) {
		literal->value_case = CORE_LITERAL_VALUE_MAP;
		literal->map = literal_map_of(a, items, keys, n);
	} else {
		literal->value_case = CORE_LITERAL_VALUE_COLLECTION;
		literal->collection = pb_new(a, CORE_LITERAL_COLLECTION_DESC);
		literal->collection->literals = arena_dup(a, items, n * sizeof *items);
		literal->collection->n_literals = n;
	}
	return literal;
}

static struct expr items_expr(struct workflow *w, bool map, const struct expr *items, const char *const *keys, size_t n)
{
	struct expr e = {.kind = map ? EXPR_MAP : EXPR_COLLECTION, .n = (uint32_t)n};

	e.items.at = items;
	e.items.keys = keys;
	if (!all_literals(items, n))
		return e;
	const CoreLiteral **literals = arena_array(w->arena, const CoreLiteral *, n);
	for (size_t i = 0; i < n; i++)
		literals[i] = items[i].literal;
	return (struct expr){.kind = EXPR_LITERAL, .literal = literal_of_items(w->arena, map, literals, keys, n)};
}

static struct expr collection_expr(struct workflow *w, const struct node_names *names,
				   const CoreBindingDataCollection *c, const char **ret_error)
{
	struct expr *items = arena_array(w->arena, struct expr, c->n_bindings);

	for (size_t i = 0; i < c->n_bindings; i++)
		items[i] = binding_compile(w, names, c->bindings[i], ret_error);
	return items_expr(w, false, items, NULL, c->n_bindings);
}

static struct expr map_expr(struct workflow *w, const struct node_names *names, const CoreBindingDataMap *m,
			    const char **ret_error)
{
	struct expr *items = arena_array(w->arena, struct expr, m->n_bindings);
	const char **keys = arena_array(w->arena, const char *, m->n_bindings);

	for (size_t i = 0; i < m->n_bindings; i++) {
		keys[i] = arena_strdup(w->arena, m->bindings[i]->key);
		items[i] = binding_compile(w, names, m->bindings[i]->value, ret_error);
	}
	return items_expr(w, true, items, keys, m->n_bindings);
}

struct expr binding_compile(struct workflow *w, const struct node_names *names, const CoreBindingData *data,
			    const char **ret_error)
{
	CoreLiteral literal = CORE_LITERAL_INIT;

	switch (data ? data->value_case : CORE_BINDING_DATA_VALUE_NOT_SET) {
	case CORE_BINDING_DATA_VALUE_PROMISE: return promise_expr(w, names, data->promise, ret_error);
	case CORE_BINDING_DATA_VALUE_COLLECTION: return collection_expr(w, names, data->collection, ret_error);
	case CORE_BINDING_DATA_VALUE_MAP: return map_expr(w, names, data->map, ret_error);
	case CORE_BINDING_DATA_VALUE_SCALAR:
		literal.value_case = CORE_LITERAL_VALUE_SCALAR;
		literal.scalar = data->scalar;
		break;
	case CORE_BINDING_DATA_VALUE_OFFLOADED_METADATA:
		literal.value_case = CORE_LITERAL_VALUE_OFFLOADED_METADATA;
		literal.offloaded_metadata = data->offloaded_metadata;
		break;
	default: break;
	}
	return literal_expr(w, &literal);
}

/* ---- resolve ---- */

static const struct value_ref *find_output(const struct outputs *o, const char *var)
{
	for (size_t i = 0; o && i < o->n; i++)
		if (strcmp(o->at[i].var, var) == 0)
			return &o->at[i];
	return NULL;
}

static const CoreLiteral *map_item(const CoreLiteral *literal, const char *key)
{
	if (literal->value_case != CORE_LITERAL_VALUE_MAP)
		return NULL;
	for (size_t i = 0; i < literal->map->n_literals; i++)
		if (strcmp(literal->map->literals[i]->key, key) == 0)
			return literal->map->literals[i]->value;
	return NULL;
}

static const CoreLiteral *list_item(const CoreLiteral *literal, int32_t at)
{
	if (literal->value_case != CORE_LITERAL_VALUE_COLLECTION || at < 0 ||
	    (size_t)at >= literal->collection->n_literals)
		return NULL;
	return literal->collection->literals[at];
}

static const CoreLiteral *attribute(const CoreLiteral *literal, const CorePromiseAttribute *step)
{
	if (step->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE)
		return map_item(literal, step->string_value);
	if (step->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_INT_VALUE)
		return list_item(literal, step->int_value);
	return NULL;
}

static const CoreBinary *msgpack_of(const CoreLiteral *l)
{
	bool binary = l->value_case == CORE_LITERAL_VALUE_SCALAR && l->scalar->value_case == CORE_SCALAR_VALUE_BINARY;

	return binary && strcmp(l->scalar->binary->tag, "msgpack") == 0 ? l->scalar->binary : NULL;
}

/* What a dataclass or dict has at the end of the path; in r->a. */
static const CoreLiteral *packed_attribute(struct resolving *r, const CoreBinary *b,
					   const CorePromiseAttribute *const *path, size_t n)
{
	struct str value = {(const char *)b->value.data, b->value.len};

	for (size_t i = 0; i < n; i++) {
		bool key = path[i]->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE;
		if (key ? !msgpack_key(value, path[i]->string_value, &value)
			: !msgpack_item(value, path[i]->int_value, &value))
			return NULL;
	}
	r->source = NULL;
	r->composed = true;
	return msgpack_literal(r->a, value);
}

static const char *path_text(struct arena *a, const struct expr *e)
{
	const char *text = "";

	for (uint32_t i = 0; i < e->n; i++) {
		const CorePromiseAttribute *step = e->promise.path[i];
		text = step->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE
			       ? arena_printf(a, "%s[%s]", text, step->string_value)
			       : arena_printf(a, "%s[%d]", text, step->int_value);
	}
	return text;
}

/* Attributes of what the engine has; not of what lies in the store. */
static bool follow_path(struct resolving *r, const struct expr *e, struct value_ref *v)
{
	bool stored = !v->literal;
	const CoreBinary *packed = NULL;

	for (uint32_t i = 0; v->literal && !packed && i < e->n; i++) {
		packed = msgpack_of(v->literal);
		v->literal = packed ? packed_attribute(r, packed, e->promise.path + i, e->n - i)
				    : attribute(v->literal, e->promise.path[i]);
	}
	if (v->literal)
		return true;
	r->error = arena_printf(
		r->a, "failed at Node[%s]. PromiseAttributeResolveError: attribute %s of output [%s] %s",
		r->frame->wf->nodes[e->promise.node].id, path_text(r->a, e), e->promise.var,
		stored ? "cannot be read: the value lies in the store, which is not supported yet" : "does not exist");
	return false;
}

static bool resolve_promise(struct resolving *r, const struct expr *e, struct value_ref *ret)
{
	struct outputs *o = r->frame->nodes[e->promise.node].outputs;
	const struct value_ref *found = find_output(o, e->promise.var);

	struct value_ref stored = {.kind = VALUE_STORED, .uri = o ? o->uri : NULL, .uri_var = e->promise.var};

	if (!found && stored.uri)
		found = &stored;
	if (!found) {
		const char *id = r->frame->wf->nodes[e->promise.node].id;
		r->error = arena_printf(r->a, "failed at Node[%s]. OutputsNotFoundError: Failed to find [%s].[%s]", id,
					id, e->promise.var);
		return false;
	}
	*ret = *found;
	r->source = o;
	return e->n == 0 || follow_path(r, e, ret);
}

static bool resolve_items(struct resolving *r, const struct expr *e, struct value_ref *ret)
{
	bool map = e->kind == EXPR_MAP, inline_ = true;
	struct value_ref *items = arena_array(r->a, struct value_ref, e->n);
	const CoreLiteral **literals = arena_array(r->a, const CoreLiteral *, e->n);

	for (uint32_t i = 0; i < e->n; i++) {
		if (!resolve_expr(r, &e->items.at[i], &items[i]))
			return false;
		items[i].var = map ? e->items.keys[i] : NULL;
		literals[i] = items[i].literal;
		inline_ = inline_ && literals[i];
	}
	r->source = NULL;
	r->composed = true;
	*ret = (struct value_ref){0};
	if (inline_) {
		ret->literal = literal_of_items(r->a, map, literals, e->items.keys, e->n);
	} else {
		ret->kind = map ? VALUE_MAP : VALUE_COLLECTION;
		ret->items = items;
		ret->n_items = e->n;
	}
	return true;
}

bool resolve_expr(struct resolving *r, const struct expr *e, struct value_ref *ret)
{
	switch (e->kind) {
	case EXPR_PROMISE: return resolve_promise(r, e, ret);
	case EXPR_COLLECTION:
	case EXPR_MAP: return resolve_items(r, e, ret);
	default: *ret = (struct value_ref){.literal = e->literal}; return true;
	}
}

/* What a failure node's input `err` is, whatever it is bound to. Source: flytepropeller nodes/resolve.go. */
static const CoreLiteral *error_literal(struct resolving *r, const struct wf_node *wn)
{
	CoreLiteral *outer = pb_new(r->a, CORE_LITERAL_DESC), *inner = pb_new(r->a, CORE_LITERAL_DESC);
	CoreUnion *u = pb_new(r->a, CORE_UNION_DESC);

	outer->value_case = inner->value_case = CORE_LITERAL_VALUE_SCALAR;
	outer->scalar = pb_new(r->a, CORE_SCALAR_DESC);
	outer->scalar->value_case = CORE_SCALAR_VALUE_UNION;
	outer->scalar->union_ = u;
	u->value = inner;
	u->type = pb_new(r->a, CORE_LITERAL_TYPE_DESC);
	u->type->type_case = CORE_LITERAL_TYPE_TYPE_SIMPLE;
	u->type->simple = CORE_SIMPLE_TYPE_ERROR;
	u->type->structure = pb_new(r->a, CORE_TYPE_STRUCTURE_DESC);
	u->type->structure->tag = "FlyteError";
	inner->scalar = pb_new(r->a, CORE_SCALAR_DESC);
	inner->scalar->value_case = CORE_SCALAR_VALUE_ERROR;
	inner->scalar->error = pb_new(r->a, CORE_ERROR_DESC);
	inner->scalar->error->message = r->frame->error->message;
	inner->scalar->error->failed_node_id = (char *)wn->id;
	return outer;
}

static bool is_failure_node(const struct resolving *r, const struct wf_node *wn)
{
	const struct workflow *w = r->frame->wf;

	return w->failure_node != NO_NODE && wn == &w->nodes[w->failure_node] && r->frame->error;
}

bool resolve_inputs(struct resolving *r, const struct wf_node *wn, struct values *ret)
{
	struct value_ref *at = arena_array(r->a, struct value_ref, wn->n_bindings);

	if (r->frame->array) {
		array_inputs(r->frame->array, r->item, r->a, ret);
		r->composed = true; /* of what the array holds */
		return true;
	}
	for (uint32_t i = 0; i < wn->n_bindings; i++) {
		if (!resolve_expr(r, &wn->bindings[i].expr, &at[i])) {
			r->error = arena_printf(r->a,
						"failed at Node[%s]. BindingResolutionError: Error binding Var "
						"[wf].[%s], caused by: %s",
						wn->id, wn->bindings[i].var, r->error);
			return false;
		}
		if (is_failure_node(r, wn) && strcmp(wn->bindings[i].var, "err") == 0)
			at[i] = (struct value_ref){.literal = error_literal(r, wn)};
		at[i].var = wn->bindings[i].var;
	}
	*ret = (struct values){at, wn->n_bindings};
	return true;
}
