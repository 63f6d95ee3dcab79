/* One engine and one workflow: what a test of one behaviour needs. */
#pragma once
#include "engine_inputs.h"

enum { N0 = 2, N1, N2 }; /* numbers of the first nodes of the top workflow */

struct rig {
	struct arena *a;
	struct engine *e;
	struct step step;
	struct wf w;
};

static inline int setup(void **state)
{
	struct rig *r = x_calloc(1, sizeof *r);

	r->a = arena_new(0);
	r->e = engine_for_tests(0);
	r->step.arena = r->a;
	r->w = wf_new(r->a);
	*state = r;
	return 0;
}

/* Every test ends with a forgotten execution and no memory held. */
static inline int teardown(void **state)
{
	struct rig *r = *state;

	engine_forget(r->e, 1);
	assert_int_equal(engine_bytes(r->e), 0);
	engine_free(r->e);
	arena_free(r->a);
	free(r);
	return 0;
}

static inline const char *feed(struct rig *r, const AlulaInput *in)
{
	engine_step(r->e, in, &r->step);
	return events_text(r->step.record, r->a);
}

#define assert_events(rig, in, expected) assert_string_equal(feed((rig), (in)), (expected))

static inline CoreNode *python_node(struct rig *r, const char *id, int n_in, int n_out)
{
	return wf_node_new(&r->w, id, wf_task(&r->w, "python-task", n_in, n_out));
}

/* The workflow starts with the input x. */
static inline AlulaInput *accepted_with(struct rig *r, CoreLiteral *x)
{
	AlulaInput *in = accepted(&r->w, 1);

	in->accepted->command->start->inputs = add_literal(r->a, NULL, "x", x);
	return in;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* The last event of this node in the last record. */
static inline const EventNodeExecutionEvent *node_event(const struct rig *r, const char *unique_id)
{
	const AlulaRecord *record = r->step.record;

	for (size_t i = record ? record->n_events : 0; i-- > 0;)
		if (record->events[i]->event_case == ALULA_EXECUTION_EVENT_EVENT_NODE &&
		    strcmp(record->events[i]->node->id->node_id, unique_id) == 0)
			return record->events[i]->node;
	fail_msg("no event of node %s", unique_id);
	return NULL;
}
