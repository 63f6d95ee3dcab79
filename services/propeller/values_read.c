/* Values that the engine itself must see: conditions, lengths of lists. They go into the journal, so they are small. */
#include "base/base.h"
#include "flyte/types.h"
#include "packed.h"
#include "pb/pb.h"
#include "values.h"

enum {
	MAX_READ_BYTES = 2 << 20,
	MAX_KEYS = 10000,
	FIRST_PAUSE_US = 250000,
	MAX_PAUSE_US = 10000000,
	MAX_TRIES = 30, /* of a file that is there, but cannot be read: about four minutes */
};

struct reading {
	int64_t execution;
	uint32_t node, attempt;
	enum read_how how;
	const char **vars;
	size_t n_vars;
	const struct value_ref *values; /* NULL when nothing must be read */
	size_t max_bytes;
	struct store *store;
	struct loop *loop;
	struct loop_timer *timer; /* while it waits to read again */
	int64_t pause_us;
	int tries;
	struct arena *arena;
	void (*feed)(void *arg, const AlulaInput *in);
	void *arg;
};

const char *values_error_code(enum code code, const char *otherwise)
{
	return code == OUT_OF_RANGE         ? "BindingResolutionFailure"
	       : code == RESOURCE_EXHAUSTED ? "OutputSizeExceeded"
					    : otherwise;
}

static AlulaExtent *extent_of(struct arena *a, const char *var, struct str literal)
{
	AlulaExtent *e = pb_new(a, ALULA_EXTENT_DESC);
	struct str body;
	size_t n;
	int kind;

	e->var = (char *)var;
	if (!packed_open(literal, &kind, &body))
		return NULL;
	if (kind == CORE_LITERAL_VALUE_COLLECTION && packed_count(body, &n)) {
		e->extent_case = ALULA_EXTENT_EXTENT_LENGTH;
		e->length = (uint32_t)MIN(n, UINT32_MAX);
	} else if (kind == CORE_LITERAL_VALUE_MAP) {
		e->extent_case = ALULA_EXTENT_EXTENT_KEYS;
		e->keys = pb_new(a, ALULA_KEYS_DESC);
		e->keys->n_keys = packed_keys(body, a, MAX_KEYS, &e->keys->keys);
	}
	return e;
}

/* What is long is told by how long it is, the rest as it is. */
static enum code measure(struct reading *r, struct str packed, AlulaValuesRead *ret, struct err *err)
{
	ret->literals = pb_new(r->arena, CORE_LITERAL_MAP_DESC);
	for (size_t i = 0; i < r->n_vars; i++) {
		struct str literal;
		AlulaExtent *e =
			packed_key(packed, r->vars[i], &literal) ? extent_of(r->arena, r->vars[i], literal) : NULL;
		if (!e)
			return err_set(err, INVALID_ARGUMENT, "the value of %s is damaged", r->vars[i]);
		*PB_ADD(r->arena, ret->extents, ret->n_extents) = e;
	}
	return OK;
}

static enum code take_values(struct reading *r, struct str packed, AlulaValuesRead *ret, struct err *err)
{
	if (r->how == READ_EXTENTS || (r->how == READ_LONG_AS_EXTENTS && packed.len > MAX_READ_BYTES))
		return measure(r, packed, ret, err);
	if (packed.len > MAX_READ_BYTES)
		return err_set(err, OUT_OF_RANGE, "the values are larger than %d bytes: too large to be compared",
			       MAX_READ_BYTES);
	enum code c = pb_unpack(CORE_LITERAL_MAP_DESC, packed, r->arena, (void **)&ret->literals, err);
	if (!c && pb_depth(ret->literals) > LITERAL_MAP_MAX_DEPTH)
		return err_set(err, OUT_OF_RANGE, "the values are nested too deeply");
	return c;
}

static void on_read(void *arg, enum code code, struct str literals, const struct err *err);

static void read_again(void *arg)
{
	struct reading *r = arg;

	loop_timer_free(take(r->timer));
	values_collect(r->store, r->values, r->n_vars, r->max_bytes, on_read, r);
}

static void wait_on_loop(void *arg)
{
	struct reading *r = arg;

	r->pause_us = r->pause_us ? MIN(r->pause_us * 2, (int64_t)MAX_PAUSE_US) : FIRST_PAUSE_US;
	r->timer = loop_timer_new(r->loop, "values", read_again, r);
	loop_timer_set(r->timer, r->pause_us);
}

/* The store's own faults say nothing of the workflow. Some last: an error is better than a node that hangs. */
static bool may_be_read_later(struct reading *r, enum code code)
{
	return r->values && (code == UNAVAILABLE || (code == INTERNAL && ++r->tries < MAX_TRIES));
}

static void on_read(void *arg, enum code code, struct str literals, const struct err *err)
{
	struct reading *r = arg;

	if (may_be_read_later(r, code)) {
		loop_post(r->loop, wait_on_loop, r);
		return;
	}
	auto_free(arena_free) struct arena *a = r->arena;
	AlulaValuesRead read = ALULA_VALUES_READ_INIT;
	AlulaInput in = ALULA_INPUT_INIT;
	CoreExecutionError error = CORE_EXECUTION_ERROR_INIT;
	struct err bad = *err;

	if (code == OK)
		code = take_values(r, literals, &read, &bad);
	read.node = r->node;
	read.attempt = r->attempt;
	read.result_case = ALULA_VALUES_READ_RESULT_LITERALS;
	if (code) {
		error.code = (char *)values_error_code(code, "InputsNotFoundError");
		error.message = bad.text;
		error.kind = CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM;
		read.result_case = ALULA_VALUES_READ_RESULT_ERROR;
		read.error = &error;
	}
	in.execution = r->execution;
	in.input_case = ALULA_INPUT_INPUT_VALUES_READ;
	in.values_read = &read;
	r->feed(r->arg, &in);
}

void values_read(struct store *store, struct loop *loop, const struct action *action, size_t max_bytes,
		 void (*feed)(void *arg, const AlulaInput *in), void *arg)
{
	struct arena *a = arena_new(0);
	struct reading *r = arena_new_of(a, struct reading);

	*r = (struct reading){
		.execution = action->execution,
		.node = action->node,
		.attempt = action->attempt,
		.how = action->how,
		.vars = arena_array(a, const char *, action->n_values),
		.n_vars = action->n_values,
		.max_bytes = max_bytes,
		.store = store,
		.loop = loop,
		.arena = a,
		.feed = feed,
		.arg = arg,
	};
	for (size_t i = 0; i < r->n_vars; i++)
		r->vars[i] = arena_strdup(a, action->values[i].var);
	if (!values_at_hand(action->values, action->n_values))
		r->values = values_copy(action->values, action->n_values, a);
	values_collect(store, action->values, action->n_values, max_bytes, on_read, r);
}
