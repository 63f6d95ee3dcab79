/* The object store. */
#include "engine/attribute.h"
#include "sim.h"

void store_put(struct sim *s, const char *uri, CoreLiteralMap *m)
{
	map_put(s->store, str_of(uri), m);
}

CoreLiteralMap *store_get(struct sim *s, const char *uri)
{
	CoreLiteralMap *m = map_get(s->store, str_of(uri));

	if (!m)
		sim_fail(s, "nothing lies at %s", uri);
	return m;
}

/* Items of lists are all that paths lead to here. */
static CoreLiteral *follow(struct sim *s, CoreLiteral *l, const struct value_path *path)
{
	for (uint32_t i = 0; path && i < path->n; i++) {
		check(s, path->steps[i]->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_INT_VALUE);
		check(s, l->value_case == CORE_LITERAL_VALUE_COLLECTION);
		check(s, (size_t)path->steps[i]->int_value < l->collection->n_literals);
		l = l->collection->literals[path->steps[i]->int_value];
	}
	return l;
}

static CoreLiteral *find(struct sim *s, const struct value_ref *v)
{
	CoreLiteralMap *m = store_get(s, v->uri);

	check(s, v->uri_var);
	for (size_t i = 0; i < m->n_literals; i++)
		if (strcmp(m->literals[i]->key, v->uri_var) == 0)
			return follow(s, m->literals[i]->value, v->path);
	sim_fail(s, "%s has no %s", v->uri, v->uri_var);
}

static CoreLiteral *resolve(struct sim *s, const struct value_ref *v)
{
	CoreLiteral *l;

	switch (v->kind) {
	case VALUE_LITERAL: return pb_clone(v->literal, s->a);
	case VALUE_STORED: return find(s, v);
	case VALUE_COLLECTION: break;
	default: sim_fail(s, "a map as a value");
	}
	l = int_list(s->a, 0);
	for (size_t i = 0; i < v->n_items; i++) {
		CoreLiteral *item = resolve(s, &v->items[i]);
		*PB_ADD(s->a, l->collection->literals, l->collection->n_literals) = item;
	}
	return l;
}

CoreLiteralMap *store_resolve(struct sim *s, const struct value_ref *at, size_t n)
{
	CoreLiteralMap *m = pb_new(s->a, CORE_LITERAL_MAP_DESC);

	for (size_t i = 0; i < n; i++)
		add_literal(s->a, m, at[i].var, resolve(s, &at[i]));
	return m;
}

/* ---- what the engine wants to see ---- */

static AlulaExtent *extent_new(struct sim *s, AlulaValuesRead *read, const char *var)
{
	AlulaExtent *e = pb_new(s->a, ALULA_EXTENT_DESC);

	e->var = arena_strdup(s->a, var);
	*PB_ADD(s->a, read->extents, read->n_extents) = e;
	return e;
}

static void read_names(struct sim *s, const struct value_ref *v, AlulaValuesRead *read)
{
	const CoreLiteralMap *m = store_get(s, v->uri);
	AlulaExtent *e = extent_new(s, read, v->var);

	check(s, v->uri_var && !*v->uri_var);
	e->extent_case = ALULA_EXTENT_EXTENT_KEYS;
	e->keys = pb_new(s->a, ALULA_KEYS_DESC);
	for (size_t i = 0; i < m->n_literals; i++)
		*PB_ADD(s->a, e->keys->keys, e->keys->n_keys) = m->literals[i]->key;
}

void store_read(struct sim *s, const struct action *action, AlulaValuesRead *read)
{
	read->literals = pb_new(s->a, CORE_LITERAL_MAP_DESC);
	for (size_t i = 0; i < action->n_values; i++) {
		const struct value_ref *v = &action->values[i];
		if (action->how == READ_EXTENTS) {
			read_names(s, v, read);
			continue;
		}
		CoreLiteral *l = resolve(s, v);
		bool long_ = l->value_case == CORE_LITERAL_VALUE_COLLECTION && l->collection->n_literals;
		if (action->how == READ_WHOLE || !long_ || one_in(s, 2)) {
			add_literal(s->a, read->literals, v->var, l);
			continue;
		}
		AlulaExtent *e = extent_new(s, read, v->var);
		e->extent_case = ALULA_EXTENT_EXTENT_LENGTH;
		e->length = (uint32_t)l->collection->n_literals;
	}
}
