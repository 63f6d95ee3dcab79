/* Workflows, inputs and readable events for the engine's tests. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/base.h"
#include "engine/engine.h"
#include "flyte/types.h"
#include "pb/pb.h"

enum { T0 = 1000000 };

/* ---- literals and bindings ---- */

static inline CoreLiteral *int_literal(struct arena *a, int64_t value)
{
	CoreLiteral *l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_INTEGER);

	l->scalar->primitive->integer = value;
	return l;
}

static inline CoreLiteral *bool_literal(struct arena *a, bool value)
{
	CoreLiteral *l = int_literal(a, 0);

	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_BOOLEAN;
	l->scalar->primitive->boolean = value;
	return l;
}

static inline CoreLiteral *duration_literal(struct arena *a, int64_t us)
{
	CoreLiteral *l = int_literal(a, 0);

	l->scalar->primitive->value_case = CORE_PRIMITIVE_VALUE_DURATION;
	l->scalar->primitive->duration = pb_duration(a, us);
	return l;
}

static inline CoreLiteralMap *add_literal(struct arena *a, CoreLiteralMap *m, const char *var, CoreLiteral *l)
{
	CoreLiteralMapLiteralsEntry *e = pb_new(a, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);

	m = m ? m : pb_new(a, CORE_LITERAL_MAP_DESC);
	e->key = arena_strdup(a, var);
	e->value = l;
	*PB_ADD(a, m->literals, m->n_literals) = e;
	return m;
}

static inline CoreBindingData *constant(struct arena *a, CoreLiteral *l)
{
	CoreBindingData *b = pb_new(a, CORE_BINDING_DATA_DESC);

	b->value_case = CORE_BINDING_DATA_VALUE_SCALAR;
	b->scalar = l->scalar;
	return b;
}

static inline CoreBindingData *promise(struct arena *a, const char *node, const char *var)
{
	CoreBindingData *b = pb_new(a, CORE_BINDING_DATA_DESC);

	b->value_case = CORE_BINDING_DATA_VALUE_PROMISE;
	b->promise = pb_new(a, CORE_OUTPUT_REFERENCE_DESC);
	b->promise->node_id = arena_strdup(a, node);
	b->promise->var = arena_strdup(a, var);
	return b;
}

static inline CoreBindingData *list_of(struct arena *a, CoreBindingData *x, CoreBindingData *y)
{
	CoreBindingData *b = pb_new(a, CORE_BINDING_DATA_DESC);

	b->value_case = CORE_BINDING_DATA_VALUE_COLLECTION;
	b->collection = pb_new(a, CORE_BINDING_DATA_COLLECTION_DESC);
	*PB_ADD(a, b->collection->bindings, b->collection->n_bindings) = x;
	*PB_ADD(a, b->collection->bindings, b->collection->n_bindings) = y;
	return b;
}

static inline CoreBinding *bind_to(struct arena *a, const char *var, CoreBindingData *data)
{
	CoreBinding *b = pb_new(a, CORE_BINDING_DESC);

	b->var = arena_strdup(a, var);
	b->binding = data;
	return b;
}

/* ---- workflows ---- */

struct wf {
	struct arena *a;
	CoreCompiledWorkflowClosure *closure;
	CoreWorkflowTemplate *template;
};

static inline CoreIdentifier *identifier(struct arena *a, CoreResourceType type, const char *name)
{
	CoreIdentifier *id = pb_new(a, CORE_IDENTIFIER_DESC);

	id->resource_type = type;
	id->project = "p";
	id->domain = "development";
	id->name = arena_strdup(a, name);
	id->version = "v1";
	return id;
}

static inline struct wf wf_new(struct arena *a)
{
	struct wf w = {.a = a, .closure = pb_new(a, CORE_COMPILED_WORKFLOW_CLOSURE_DESC)};

	w.closure->primary = pb_new(a, CORE_COMPILED_WORKFLOW_DESC);
	w.closure->primary->template_ = w.template = pb_new(a, CORE_WORKFLOW_TEMPLATE_DESC);
	w.template->id = identifier(a, CORE_RESOURCE_TYPE_WORKFLOW, "wf");
	w.template->metadata = pb_new(a, CORE_WORKFLOW_METADATA_DESC);
	return w;
}

static inline CoreVariableMap *variables(struct arena *a, const char *prefix, int n)
{
	CoreVariableMap *m = pb_new(a, CORE_VARIABLE_MAP_DESC);

	for (int i = 0; i < n; i++) {
		CoreVariableMapVariablesEntry *e = pb_new(a, CORE_VARIABLE_MAP_VARIABLES_ENTRY_DESC);
		e->key = arena_printf(a, "%s%d", prefix, i);
		e->value = pb_new(a, CORE_VARIABLE_DESC);
		*PB_ADD(a, m->variables, m->n_variables) = e;
	}
	return m;
}

/* Inputs i0, i1, …, outputs o0, o1, … */
static inline CoreTaskTemplate *wf_task(struct wf *w, const char *type, int n_in, int n_out)
{
	CoreCompiledTask *t = pb_new(w->a, CORE_COMPILED_TASK_DESC);

	t->template_ = pb_new(w->a, CORE_TASK_TEMPLATE_DESC);
	t->template_->id =
		identifier(w->a, CORE_RESOURCE_TYPE_TASK, arena_printf(w->a, "%s-%zu", type, w->closure->n_tasks));
	t->template_->type = arena_strdup(w->a, type);
	t->template_->metadata = pb_new(w->a, CORE_TASK_METADATA_DESC);
	t->template_->interface = pb_new(w->a, CORE_TYPED_INTERFACE_DESC);
	t->template_->interface->inputs = variables(w->a, "i", n_in);
	t->template_->interface->outputs = variables(w->a, "o", n_out);
	*PB_ADD(w->a, w->closure->tasks, w->closure->n_tasks) = t;
	return t->template_;
}

/* A node that is in no workflow yet. */
static inline CoreNode *node_bare(struct arena *a, const char *id)
{
	CoreNode *n = pb_new(a, CORE_NODE_DESC);

	n->id = arena_strdup(a, id);
	n->metadata = pb_new(a, CORE_NODE_METADATA_DESC);
	n->metadata->name = arena_printf(a, "name of %s", id);
	return n;
}

static inline CoreNode *node_add(struct wf *w, CoreNode *n)
{
	*PB_ADD(w->a, w->template->nodes, w->template->n_nodes) = n;
	return n;
}

static inline CoreNode *node_of_task(struct arena *a, const char *id, const CoreTaskTemplate *task)
{
	CoreNode *n = node_bare(a, id);

	n->target_case = CORE_NODE_TARGET_TASK_NODE;
	n->task_node = pb_new(a, CORE_TASK_NODE_DESC);
	n->task_node->reference_case = CORE_TASK_NODE_REFERENCE_REFERENCE_ID;
	n->task_node->reference_id = task->id;
	return n;
}

static inline CoreNode *wf_node_new(struct wf *w, const char *id, const CoreTaskTemplate *task)
{
	return node_add(w, node_of_task(w->a, id, task));
}

/* A sub-workflow of the same closure. */
static inline struct wf wf_inner(const struct wf *outer, const char *name)
{
	struct wf w = *outer;
	CoreCompiledWorkflow *c = pb_new(w.a, CORE_COMPILED_WORKFLOW_DESC);

	c->template_ = w.template = pb_new(w.a, CORE_WORKFLOW_TEMPLATE_DESC);
	w.template->id = identifier(w.a, CORE_RESOURCE_TYPE_WORKFLOW, name);
	w.template->metadata = pb_new(w.a, CORE_WORKFLOW_METADATA_DESC);
	*PB_ADD(w.a, w.closure->sub_workflows, w.closure->n_sub_workflows) = c;
	return w;
}

static inline CoreNode *node_of_workflow(struct arena *a, const char *id, const struct wf *inner)
{
	CoreNode *n = node_bare(a, id);

	n->target_case = CORE_NODE_TARGET_WORKFLOW_NODE;
	n->workflow_node = pb_new(a, CORE_WORKFLOW_NODE_DESC);
	n->workflow_node->reference_case = CORE_WORKFLOW_NODE_REFERENCE_SUB_WORKFLOW_REF;
	n->workflow_node->sub_workflow_ref = inner->template->id;
	return n;
}

static inline CoreNode *node_of_launch_plan(struct arena *a, const char *id, const char *name)
{
	CoreNode *n = node_bare(a, id);

	n->target_case = CORE_NODE_TARGET_WORKFLOW_NODE;
	n->workflow_node = pb_new(a, CORE_WORKFLOW_NODE_DESC);
	n->workflow_node->reference_case = CORE_WORKFLOW_NODE_REFERENCE_LAUNCHPLAN_REF;
	n->workflow_node->launchplan_ref = identifier(a, CORE_RESOURCE_TYPE_LAUNCH_PLAN, name);
	return n;
}

/* Runs `item` for each item of its inputs. */
static inline CoreNode *node_of_array(struct arena *a, const char *id, CoreNode *item)
{
	CoreNode *n = node_bare(a, id);

	n->target_case = CORE_NODE_TARGET_ARRAY_NODE;
	n->array_node = pb_new(a, CORE_ARRAY_NODE_DESC);
	n->array_node->node = item;
	n->array_node->data_mode = CORE_ARRAY_NODE_DATA_MODE_INDIVIDUAL_INPUT_FILES;
	return n;
}

static inline CoreLiteral *int_list(struct arena *a, size_t n)
{
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);

	l->value_case = CORE_LITERAL_VALUE_COLLECTION;
	l->collection = pb_new(a, CORE_LITERAL_COLLECTION_DESC);
	for (size_t i = 0; i < n; i++)
		*PB_ADD(a, l->collection->literals, l->collection->n_literals) = int_literal(a, (int64_t)i);
	return l;
}

/* ---- gates ---- */

static inline CoreNode *node_of_gate(struct arena *a, const char *id, int condition)
{
	CoreNode *n = node_bare(a, id);

	n->target_case = CORE_NODE_TARGET_GATE_NODE;
	n->gate_node = pb_new(a, CORE_GATE_NODE_DESC);
	n->gate_node->condition_case = (unsigned)condition;
	return n;
}

static inline CoreNode *node_of_sleep(struct arena *a, const char *id, int64_t us)
{
	CoreNode *n = node_of_gate(a, id, CORE_GATE_NODE_CONDITION_SLEEP);

	n->gate_node->sleep = pb_new(a, CORE_SLEEP_CONDITION_DESC);
	n->gate_node->sleep->duration = pb_duration(a, us);
	return n;
}

static inline CoreNode *node_of_approval(struct arena *a, const char *id, const char *signal)
{
	CoreNode *n = node_of_gate(a, id, CORE_GATE_NODE_CONDITION_APPROVE);

	n->gate_node->approve = pb_new(a, CORE_APPROVE_CONDITION_DESC);
	n->gate_node->approve->signal_id = arena_strdup(a, signal);
	return n;
}

/* Its output is o0. */
static inline CoreNode *node_of_signal(struct arena *a, const char *id, const char *signal)
{
	CoreNode *n = node_of_gate(a, id, CORE_GATE_NODE_CONDITION_SIGNAL);

	n->gate_node->signal = pb_new(a, CORE_SIGNAL_CONDITION_DESC);
	n->gate_node->signal->signal_id = arena_strdup(a, signal);
	n->gate_node->signal->type = pb_new(a, CORE_LITERAL_TYPE_DESC);
	n->gate_node->signal->output_variable_name = "o0";
	return n;
}

/* ---- branches ---- */

static inline CoreNode *node_of_branch(struct arena *a, const char *id)
{
	CoreNode *n = node_bare(a, id);

	n->target_case = CORE_NODE_TARGET_BRANCH_NODE;
	n->branch_node = pb_new(a, CORE_BRANCH_NODE_DESC);
	n->branch_node->if_else = pb_new(a, CORE_IF_ELSE_BLOCK_DESC);
	return n;
}

static inline void branch_case(struct arena *a, CoreNode *branch, CoreBooleanExpression *condition, CoreNode *then)
{
	CoreIfElseBlock *b = branch->branch_node->if_else;
	CoreIfBlock *block = pb_new(a, CORE_IF_BLOCK_DESC);

	block->condition = condition;
	block->then_node = then;
	if (!b->case_)
		b->case_ = block;
	else
		*PB_ADD(a, b->other, b->n_other) = block;
}

static inline void branch_else(CoreNode *branch, CoreNode *n)
{
	branch->branch_node->if_else->default_case = CORE_IF_ELSE_BLOCK_DEFAULT_ELSE_NODE;
	branch->branch_node->if_else->else_node = n;
}

static inline void branch_error(struct arena *a, CoreNode *branch, const char *message)
{
	CoreIfElseBlock *b = branch->branch_node->if_else;

	b->default_case = CORE_IF_ELSE_BLOCK_DEFAULT_ERROR;
	b->error = pb_new(a, CORE_ERROR_DESC);
	b->error->message = arena_strdup(a, message);
}

static inline CoreOperand *operand_var(struct arena *a, const char *var)
{
	CoreOperand *o = pb_new(a, CORE_OPERAND_DESC);

	o->val_case = CORE_OPERAND_VAL_VAR;
	o->var = arena_strdup(a, var);
	return o;
}

static inline CoreOperand *operand_of(struct arena *a, CoreLiteral *l)
{
	CoreOperand *o = pb_new(a, CORE_OPERAND_DESC);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	o->val_case = CORE_OPERAND_VAL_PRIMITIVE;
	o->primitive = l->scalar->primitive;
#pragma GCC diagnostic pop
	return o;
}

static inline CoreBooleanExpression *comparison(struct arena *a, CoreOperand *x, CoreComparisonExpressionOperator op,
						CoreOperand *y)
{
	CoreBooleanExpression *e = pb_new(a, CORE_BOOLEAN_EXPRESSION_DESC);

	e->expr_case = CORE_BOOLEAN_EXPRESSION_EXPR_COMPARISON;
	e->comparison = pb_new(a, CORE_COMPARISON_EXPRESSION_DESC);
	e->comparison->operator_ = op;
	e->comparison->left_value = x;
	e->comparison->right_value = y;
	return e;
}

static inline CoreBooleanExpression *conjunction(struct arena *a, CoreBooleanExpression *x, bool or_,
						 CoreBooleanExpression *y)
{
	CoreBooleanExpression *e = pb_new(a, CORE_BOOLEAN_EXPRESSION_DESC);

	e->expr_case = CORE_BOOLEAN_EXPRESSION_EXPR_CONJUNCTION;
	e->conjunction = pb_new(a, CORE_CONJUNCTION_EXPRESSION_DESC);
	e->conjunction->operator_ = or_ ? CORE_CONJUNCTION_EXPRESSION_LOGICAL_OPERATOR_OR
					: CORE_CONJUNCTION_EXPRESSION_LOGICAL_OPERATOR_AND;
	e->conjunction->left_expression = x;
	e->conjunction->right_expression = y;
	return e;
}

/* ---- parts of nodes and workflows ---- */

static inline void node_bind(struct wf *w, CoreNode *n, const char *var, CoreBindingData *data)
{
	*PB_ADD(w->a, n->inputs, n->n_inputs) = bind_to(w->a, var, data);
}

static inline void node_after(struct wf *w, CoreNode *n, const char *id)
{
	*PB_ADD(w->a, n->upstream_node_ids, n->n_upstream_node_ids) = arena_strdup(w->a, id);
}

static inline void wf_output(struct wf *w, const char *var, CoreBindingData *data)
{
	*PB_ADD(w->a, w->template->outputs, w->template->n_outputs) = bind_to(w->a, var, data);
}

static inline void node_retries(struct wf *w, CoreNode *n, uint32_t retries)
{
	n->metadata->retries = pb_new(w->a, CORE_RETRY_STRATEGY_DESC);
	n->metadata->retries->retries = retries;
}

/* ---- engine ---- */

static inline enum leaf leaf_by_name(void *arg, const char *type)
{
	(void)arg;
	if (strcmp(type, "echo") == 0)
		return LEAF_ECHO;
	if (strcmp(type, "core-sleep") == 0)
		return LEAF_CORE_SLEEP;
	return strcmp(type, "unheard-of") == 0 ? LEAF_UNKNOWN : LEAF_EXECUTOR;
}

static inline struct engine *engine_for_tests(int record_events)
{
	struct engine_options o = {
		.max_system_retries = 3,
		.default_max_attempts = 1,
		.interruptible_failure_threshold = -1,
		.record_events = record_events,
		.metadata_prefix = "/m",
		.leaf_of = leaf_by_name,
	};

	return engine_new(&o);
}

/* ---- events as text ---- */

static inline const char *enum_name(const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);

	return v ? v->name : "?";
}

static inline void add_error(struct buf *b, const CoreExecutionError *e)
{
	buf_printf(b, " {%s %s: %s}", enum_name(CORE_EXECUTION_ERROR_ERROR_KIND_DESC, (int)e->kind), e->code,
		   e->message);
}

/* "W RUNNING", "N n0 QUEUED", "T n0 0 SUCCEEDED", "S signal", with errors; separated by '\n'. */
static inline void add_event(struct buf *b, const AlulaExecutionEvent *e)
{
	const CoreExecutionError *error = NULL;

	if (b->len)
		buf_addc(b, '\n');
	if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_WORKFLOW) {
		buf_printf(b, "W %s", enum_name(CORE_WORKFLOW_EXECUTION_PHASE_DESC, (int)e->workflow->phase));
		if (e->workflow->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_ERROR)
			error = e->workflow->error;
	} else if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_NODE) {
		buf_printf(b, "N %s %s", e->node->id->node_id,
			   enum_name(CORE_NODE_EXECUTION_PHASE_DESC, (int)e->node->phase));
		if (e->node->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_ERROR)
			error = e->node->error;
	} else if (e->event_case == ALULA_EXECUTION_EVENT_EVENT_SIGNAL) {
		buf_printf(b, "S %s", e->signal->signal_id);
	} else {
		buf_printf(b, "T %s %u %s", e->task->parent_node_execution_id->node_id, e->task->retry_attempt,
			   enum_name(CORE_TASK_EXECUTION_PHASE_DESC, (int)e->task->phase));
		if (e->task->output_result_case == EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_ERROR)
			error = e->task->error;
	}
	if (error)
		add_error(b, error);
}

static inline const char *events_text(const AlulaRecord *r, struct arena *a)
{
	auto_buf struct buf b = {0};

	for (size_t i = 0; r && i < r->n_events; i++)
		add_event(&b, r->events[i]);
	return arena_strdup(a, buf_text(&b));
}

static inline const struct action *find_action(const struct step *s, enum action_kind kind, uint32_t node)
{
	for (const struct action *a = s->actions; a; a = a->next)
		if (a->kind == kind && a->node == node)
			return a;
	return NULL;
}
