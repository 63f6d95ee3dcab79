/* Gate nodes: sleep, wait for a signal, wait for a yes.
 * Source: flytepropeller controller/nodes/gate/handler.go (v1.16.8). */
#include "engine/private.h"
#include "pb/pb.h"

enum { MAX_SIGNALS = 1024 }; /* that no gate waits for yet */

#define USER_ERROR    CORE_EXECUTION_ERROR_ERROR_KIND_USER
#define SYSTEM_ERROR  CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM
#define UNKNOWN_ERROR CORE_EXECUTION_ERROR_ERROR_KIND_UNKNOWN

static const char *signal_id(const CoreGateNode *g)
{
	if (g->condition_case == CORE_GATE_NODE_CONDITION_APPROVE)
		return g->approve->signal_id;
	return g->condition_case == CORE_GATE_NODE_CONDITION_SIGNAL ? g->signal->signal_id : NULL;
}

static const struct known_signal *find_signal(const struct execution *x, const char *id)
{
	for (size_t i = 0; i < x->signals.n; i++)
		if (strcmp(x->signals.at[i].id, id) == 0)
			return &x->signals.at[i];
	return NULL;
}

/* ---- what it gives ---- */

/* An approval hands on what was approved; a signal its value. */
static bool given(struct fold *f, uint32_t i, struct values *ret)
{
	const CoreGateNode *g = wf_node(f, i)->gate;

	if (g->condition_case == CORE_GATE_NODE_CONDITION_APPROVE)
		return node_inputs(f, i, ret);
	*ret = (struct values){0};
	if (g->condition_case != CORE_GATE_NODE_CONDITION_SIGNAL)
		return true;
	struct value_ref *v = arena_new_of(f->a, struct value_ref);
	v->var = g->signal->output_variable_name;
	v->literal = find_signal(f->x, g->signal->signal_id)->value;
	*ret = (struct values){v, 1};
	return true;
}

static void store(struct fold *f, uint32_t i, const struct values *values)
{
	node_at(f, i)->run->storing = true;
	f->changed = true;
	node_store(f, i, node_outputs_uri(f, i), values);
}

static void succeed(struct fold *f, uint32_t i)
{
	struct values values;

	if (!given(f, i, &values))
		return;
	CoreLiteralMap *map = values_inline(f->a, &values);
	if (!map || pb_size(map) > f->e->options.inline_bytes) {
		store(f, i, &values);
		return;
	}
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	if (values.n) {
		event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
		event->output_data = map;
	}
	node_succeed(f, i, event, node_at(f, i)->users ? outputs_of_values(f->e, &values) : NULL);
}

static void stored(struct fold *f, uint32_t i, const AlulaOutputsStored *in)
{
	struct values values;

	if (in->result_case == ALULA_OUTPUTS_STORED_RESULT_ERROR)
		node_fail(f, i, in->error, false);
	if (in->result_case != ALULA_OUTPUTS_STORED_RESULT_OUTPUTS || !given(f, i, &values))
		return;
	EventNodeExecutionEvent *event = event_node(f, i, CORE_NODE_EXECUTION_PHASE_SUCCEEDED);
	event->output_result_case = EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_URI;
	event->output_uri = *in->outputs->uri ? in->outputs->uri : (char *)node_outputs_uri(f, i);
	node_succeed(f, i, event, node_at(f, i)->users ? outputs_of_values(f->e, &values) : NULL);
}

/* ---- signals ---- */

static const CorePrimitive *boolean_of(const CoreLiteral *l)
{
	bool primitive =
		l->value_case == CORE_LITERAL_VALUE_SCALAR && l->scalar->value_case == CORE_SCALAR_VALUE_PRIMITIVE;

	return primitive && l->scalar->primitive->value_case == CORE_PRIMITIVE_VALUE_BOOLEAN ? l->scalar->primitive
											     : NULL;
}

static void decided(struct fold *f, uint32_t i, const CoreLiteral *value)
{
	bool approval = wf_node(f, i)->gate->condition_case == CORE_GATE_NODE_CONDITION_APPROVE;
	const CorePrimitive *yes = approval ? boolean_of(value) : NULL;

	if (approval && !yes)
		node_fail_at_once(f, i, UNKNOWN_ERROR, "RuntimeExecutionError",
				  "received a non-boolean approve signal value");
	else if (approval && !yes->boolean)
		node_fail_at_once(f, i, USER_ERROR, "ReceivedRejectSignal",
				  "received a reject signal to disapprove the node input values");
	else
		succeed(f, i);
}

static bool same_value(struct fold *f, const struct known_signal *s, const CoreLiteral *value)
{
	return s->value && str_eq(pb_pack(s->value, f->a), pb_pack(value, f->a));
}

/* Commands come more than once, and late. */
static bool is_news(struct fold *f, const struct known_signal *s, const AlulaSetSignal *in)
{
	return in->order ? in->order > s->order : !same_value(f, s, in->value);
}

/* The entry for this signal with its new value, or NULL if that is no news. */
static const CoreLiteral *keep(struct fold *f, const AlulaSetSignal *in)
{
	struct execution *x = f->x;
	struct known_signal *s = (struct known_signal *)find_signal(x, in->signal_id);

	if (s ? !is_news(f, s, in) : x->gates.n == 0 && x->signals.n >= MAX_SIGNALS)
		return NULL;
	if (!s) {
		vec_push(&x->signals, (struct known_signal){.arena = arena_new(256)});
		s = &x->signals.at[x->signals.n - 1];
	}
	f->e->bytes -= arena_used(s->arena);
	arena_reset(s->arena);
	s->id = arena_strdup(s->arena, in->signal_id);
	s->value = pb_clone(in->value, s->arena);
	s->order = in->order;
	f->e->bytes += arena_used(s->arena);
	f->changed = true;
	return s->value;
}

void gate_signal(struct fold *f, const AlulaSetSignal *in)
{
	struct execution *x = f->x;
	const CoreLiteral *value = in->value && in->value->value_case && *in->signal_id ? keep(f, in) : NULL;
	size_t kept = 0;

	for (size_t k = 0; value && k < x->gates.n; k++) {
		uint32_t i = x->gates.at[k];
		/* It may be over by now. */
		if (!node_running(f, i) || node_at(f, i)->run->storing)
			continue;
		if (strcmp(signal_id(wf_node(f, i)->gate), in->signal_id) == 0)
			decided(f, i, value);
		else
			x->gates.at[kept++] = i;
	}
	if (value)
		x->gates.n = kept;
}

void gate_free_signals(struct engine *e, struct execution *x)
{
	for (size_t i = 0; i < x->signals.n; i++) {
		e->bytes -= arena_used(x->signals.at[i].arena);
		arena_free(x->signals.at[i].arena);
	}
	vec_free(&x->signals);
}

/* So that people find it. */
static void tell_of_signal(struct fold *f, uint32_t i)
{
	const CoreGateNode *g = wf_node(f, i)->gate;
	CoreLiteralType *type = pb_new(f->a, CORE_LITERAL_TYPE_DESC);

	type->type_case = CORE_LITERAL_TYPE_TYPE_SIMPLE;
	type->simple = CORE_SIMPLE_TYPE_BOOLEAN;
	if (g->condition_case == CORE_GATE_NODE_CONDITION_SIGNAL && g->signal->type)
		type = g->signal->type;
	event_signal(f, signal_id(g), type);
}

/* ---- its turn ---- */

static void start(struct fold *f, uint32_t i)
{
	const CoreGateNode *g = wf_node(f, i)->gate;
	struct run *r = node_at(f, i)->run;
	const struct known_signal *known = signal_id(g) ? find_signal(f->x, signal_id(g)) : NULL;
	int64_t sleep_us = signal_id(g) ? 0 : pb_duration_us(g->sleep->duration);

	node_set_deadlines(f, i);
	if (known) {
		decided(f, i, known->value);
		return;
	}
	if (signal_id(g)) {
		vec_push(&f->x->gates, i);
		tell_of_signal(f, i);
	} else if (sleep_us <= 0) {
		succeed(f, i);
		return;
	} else {
		r->sleep_due_us = f->now_us + MIN(sleep_us, INT64_MAX / 4);
	}
	node_timers(f, i);
}

static void begin(struct fold *f, uint32_t i)
{
	struct values inputs;

	if (!node_inputs(f, i, &inputs))
		return;
	if (wf_node(f, i)->gate->condition_case == CORE_GATE_NODE_CONDITION_NOT_SET) {
		node_fail_at_once(f, i, SYSTEM_ERROR, "BadSpecificationError",
				  "gateNode does not have a supported condition reference");
		return;
	}
	node_queue(f, i, &inputs)->started = true;
	event_node(f, i, CORE_NODE_EXECUTION_PHASE_RUNNING);
	start(f, i);
}

static void pending(struct fold *f, uint32_t i)
{
	struct values values;

	if (node_at(f, i)->run->storing && given(f, i, &values))
		store(f, i, &values);
	node_timers(f, i);
}

const struct kind KIND_OF_GATE = {
	.begin = begin,
	.again = start,
	.pending = pending,
	.slept = succeed,
	.stored = stored,
};
