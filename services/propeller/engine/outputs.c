/* What nodes give to others. */
#include "engine/private.h"
#include "pb/pb.h"

/* Literals of outputs that lie in the store too are kept up to this size. */
enum { KEEP_BYTES = 4096, ARENA_BYTES = 192 };

static size_t arena_bytes(const struct arena *a)
{
	return a ? arena_used(a) + ARENA_BYTES : 0;
}

static void account(struct engine *e, struct outputs *o)
{
	size_t bytes = sizeof *o + o->n * sizeof *o->at + arena_bytes(o->arena);

	e->bytes += bytes - o->bytes;
	o->bytes = bytes;
}

struct outputs *outputs_new(struct engine *e, size_t n, struct outputs *owner)
{
	struct outputs *o = x_calloc(1, sizeof *o + n * sizeof *o->at);

	o->refs = 1;
	o->n = (uint32_t)n;
	o->owner = owner && owner->owner ? owner->owner : owner;
	if (o->owner)
		o->owner->refs++;
	account(e, o);
	return o;
}

static void outputs_unref(struct engine *e, struct outputs *o)
{
	if (!o || --o->refs)
		return;
	struct outputs *owner = o->owner;
	e->bytes -= o->bytes;
	arena_free(o->arena);
	free(o);
	outputs_unref(e, owner);
}

void outputs_drop(struct engine *e, struct outputs *o)
{
	if (o)
		vec_push(&e->unused, o);
}

void outputs_collect(struct engine *e)
{
	for (size_t i = 0; i < e->unused.n; i++)
		outputs_unref(e, e->unused.at[i]);
	vec_clear(&e->unused);
}

/* ---- from literal maps ---- */

/* An entry without a value reads as an empty literal. */
static const CoreLiteral *value_of(const CoreLiteralMapLiteralsEntry *entry)
{
	static const CoreLiteral EMPTY = CORE_LITERAL_INIT;

	return entry->value ? entry->value : &EMPTY;
}

static struct outputs *of_map(struct engine *e, const CoreLiteralMap *m, const char *uri, bool keep)
{
	struct outputs *o = outputs_new(e, m->n_literals, NULL);

	o->arena = arena_new(ARENA_BYTES);
	if (keep)
		m = pb_clone(m, o->arena);
	const char *at = *uri ? arena_strdup(o->arena, uri) : NULL;
	for (size_t i = 0; i < o->n; i++) {
		const char *var = keep ? m->literals[i]->key : arena_strdup(o->arena, m->literals[i]->key);
		o->at[i] = (struct value_ref){.var = var, .kind = VALUE_STORED, .uri = at, .uri_var = var};
		if (keep) {
			o->at[i].kind = VALUE_LITERAL;
			o->at[i].literal = value_of(m->literals[i]);
		}
	}
	account(e, o);
	return o;
}

/* The literals are large: only the interface tells what there is. */
static struct outputs *of_interface(struct engine *e, const CoreVariableMap *m, const char *uri)
{
	struct outputs *o = outputs_new(e, m ? m->n_variables : 0, NULL);

	o->arena = arena_new(ARENA_BYTES);
	uri = arena_strdup(o->arena, uri);
	for (size_t i = 0; i < o->n; i++) {
		const char *var = arena_strdup(o->arena, m->variables[i]->key);
		o->at[i] = (struct value_ref){.var = var, .kind = VALUE_STORED, .uri = uri, .uri_var = var};
	}
	account(e, o);
	return o;
}

struct outputs *outputs_of_attempt(struct fold *f, uint32_t i, const AlulaAttemptOutputs *in)
{
	const struct wf_node *wn = wf_node(f, i);
	const CoreTypedInterface *interface = wn->task->template->interface;

	if (wn->n_users == 0)
		return NULL;
	if (in->literals) {
		bool keep = !*in->uri || wn->looked_into || pb_size(in->literals) <= KEEP_BYTES;
		return of_map(f->e, in->literals, in->uri, keep);
	}
	if (*in->uri)
		return of_interface(f->e, interface ? interface->outputs : NULL, in->uri);
	return NULL;
}

/* The command lives as long as the execution: nothing is copied. Large inputs are not in it. */
struct outputs *outputs_of_execution(struct fold *f, const AlulaStartExecution *start)
{
	const CoreLiteralMap *m = start->inputs;

	if (!m)
		return *start->inputs_uri ? outputs_at(f->e, start->inputs_uri) : NULL;
	struct outputs *o = outputs_new(f->e, m->n_literals, NULL);
	for (size_t i = 0; i < o->n; i++)
		o->at[i] = (struct value_ref){.var = m->literals[i]->key,
					      .literal = value_of(m->literals[i]),
					      .uri = *start->inputs_uri ? start->inputs_uri : NULL,
					      .uri_var = m->literals[i]->key};
	return o;
}

struct outputs *outputs_at(struct engine *e, const char *uri)
{
	struct outputs *o = outputs_new(e, 0, NULL);

	o->arena = arena_new(ARENA_BYTES);
	o->uri = arena_strdup(o->arena, uri);
	account(e, o);
	return o;
}

struct outputs *outputs_of_map(struct engine *e, const CoreLiteralMap *m)
{
	return of_map(e, m, "", true);
}

struct outputs *outputs_of_child(struct fold *f, const AlulaChildFinished *in)
{
	if (in->result_case == ALULA_CHILD_FINISHED_RESULT_OUTPUTS)
		return outputs_of_map(f->e, in->outputs);
	if (in->result_case == ALULA_CHILD_FINISHED_RESULT_OUTPUTS_URI)
		return outputs_at(f->e, in->outputs_uri);
	return outputs_new(f->e, 0, NULL);
}

struct outputs *outputs_ref(struct outputs *o)
{
	if (o)
		o->refs++;
	return o;
}

struct outputs *outputs_of_values(struct engine *e, const struct values *v)
{
	struct outputs *o = outputs_new(e, v->n, NULL);

	o->arena = arena_new(ARENA_BYTES);
	memcpy(o->at, values_clone(o->arena, v), v->n * sizeof *o->at);
	account(e, o);
	return o;
}

struct outputs *outputs_alias(struct engine *e, const struct value_ref *from, struct outputs *source, bool composed,
			      const char *var)
{
	struct outputs *o = outputs_new(e, 1, source);

	o->at[0] = *from;
	o->at[0].var = var;
	if (composed) {
		struct values v = {from, 1};
		o->arena = arena_new(ARENA_BYTES);
		o->at[0] = *values_clone(o->arena, &v);
		o->at[0].var = var;
		account(e, o);
	}
	return o;
}

const struct value_ref *values_clone(struct arena *a, const struct values *v)
{
	struct value_ref *at = arena_array(a, struct value_ref, v->n);

	for (size_t i = 0; i < v->n; i++) {
		const struct value_ref *from = &v->at[i];
		struct values items = {from->items, from->n_items};
		at[i] = (struct value_ref){
			.var = arena_strdup(a, from->var),
			.literal = from->literal ? pb_clone(from->literal, a) : NULL,
			.uri = arena_strdup(a, from->literal ? NULL : from->uri),
			.uri_var = arena_strdup(a, from->literal ? NULL : from->uri_var),
			.path = attribute_path_copy(a, from->path),
			.load = from->load,
			.kind = from->kind,
			.items = from->items ? values_clone(a, &items) : NULL,
			.n_items = from->n_items,
		};
	}
	return at;
}
