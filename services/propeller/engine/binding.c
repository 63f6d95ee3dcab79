/* Bindings: made into expressions once a workflow, resolved to values once a node. */
#include "engine/private.h"
#include "flyte/types.h"
#include "pb/pb.h"

/* A map of variables is two levels more. */
static bool is_too_deep(const CoreLiteral *l)
{
	return pb_depth(l) > LITERAL_MAP_MAX_DEPTH - 2;
}

/* ---- compile ---- */

static struct expr literal_expr(struct workflow *w, CoreLiteral *literal)
{
	return (struct expr){.kind = EXPR_LITERAL, .literal = pb_clone(literal, w->arena)};
}

static struct expr promise_expr(struct workflow *w, const struct node_names *names, const CoreOutputReference *p,
				const char **ret_error)
{
	struct expr e = {.kind = EXPR_PROMISE};

	if (!node_names_find(names, p->node_id, &e.promise.node)) {
		*ret_error =
			arena_printf(w->arena, "a binding refers to node [%s], which the workflow lacks", p->node_id);
		return e;
	}
	e.promise.var = arena_strdup(w->arena, node_names_variable(names, e.promise.node, p->var));
	if (p->n_attr_path) {
		struct value_path path = {p->node_id, p->var, (uint32_t)p->n_attr_path,
					  (const CorePromiseAttribute *const *)p->attr_path};
		e.promise.path = attribute_path_copy(w->arena, &path);
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
	if (is_too_deep(&literal))
		*ret_error = "a constant of a binding is nested too deeply";
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

/* On in what an offloaded literal stands for. */
static void go_elsewhere(struct resolving *r, const struct attribute *at, const struct value_path *path,
			 struct value_ref *v)
{
	*v = (struct value_ref){
		.kind = VALUE_STORED,
		.uri = at->literal->offloaded_metadata->uri,
		.path = attribute_path_join(r->a, NULL, path, at->done),
	};
	r->source = NULL;
	r->composed = true;
}

static bool follow_literal(struct resolving *r, const struct value_path *path, uint32_t from, struct value_ref *v)
{
	struct attribute at;

	switch (attribute_follow(r->a, v->literal, path, from, &at)) {
	case ATTRIBUTE_FOUND: *v = (struct value_ref){.literal = at.literal}; break;
	case ATTRIBUTE_ELSEWHERE: go_elsewhere(r, &at, path, v); return true;
	case ATTRIBUTE_MISSING: r->error = at.error; return false;
	}
	if (at.composed)
		r->source = NULL;
	r->composed = r->composed || at.composed;
	return true;
}

static const struct value_ref *item_at(const struct value_ref *v, const CorePromiseAttribute *step)
{
	bool key = step->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE;

	if (v->kind == VALUE_COLLECTION)
		return !key && step->int_value >= 0 && (size_t)step->int_value < v->n_items ? &v->items[step->int_value]
											    : NULL;
	for (size_t i = 0; key && i < v->n_items; i++)
		if (strcmp(v->items[i].var, step->string_value) == 0)
			return &v->items[i];
	return NULL;
}

/* Of what lies in the store only the way to it is known: whoever reads it goes on. */
static bool follow_path(struct resolving *r, const struct value_path *path, struct value_ref *v)
{
	uint32_t i = 0;

	while (i < path->n && (v->kind == VALUE_COLLECTION || v->kind == VALUE_MAP)) {
		const struct value_ref *item = item_at(v, path->steps[i++]);
		if (!item) {
			/* The message is the same for a literal that has nothing. */
			struct attribute at;
			attribute_follow(r->a, NULL, path, i - 1, &at);
			r->error = at.error;
			return false;
		}
		*v = *item;
	}
	if (i == path->n)
		return true;
	if (v->kind == VALUE_LITERAL)
		return follow_literal(r, path, i, v);
	v->path = attribute_path_join(r->a, v->path, path, i);
	v->n_items = 0;
	r->source = NULL;
	r->composed = true;
	return true;
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
	return !e->promise.path || follow_path(r, e->promise.path, ret);
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
		if (is_too_deep(ret->literal)) {
			r->error = "the value is nested too deeply";
			return false;
		}
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
	CoreLiteral *outer = literal_of_scalar(r->a, CORE_SCALAR_VALUE_UNION);
	CoreLiteral *inner = literal_of_scalar(r->a, CORE_SCALAR_VALUE_ERROR);
	CoreUnion *u = pb_new(r->a, CORE_UNION_DESC);

	outer->scalar->union_ = u;
	u->value = inner;
	u->type = pb_new(r->a, CORE_LITERAL_TYPE_DESC);
	u->type->type_case = CORE_LITERAL_TYPE_TYPE_SIMPLE;
	u->type->simple = CORE_SIMPLE_TYPE_ERROR;
	u->type->structure = pb_new(r->a, CORE_TYPE_STRUCTURE_DESC);
	u->type->structure->tag = "FlyteError";
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
