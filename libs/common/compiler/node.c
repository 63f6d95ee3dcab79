/* What each kind of node takes and gives.
 * Source: flytepropeller validators/interface.go ValidateUnderlyingInterface (v1.16.8). */
#include "compiler/private.h"
#include "flyte/identifier.h"
#include "pb/pb.h"

static const struct interface *missing(struct compilation *c, const struct compile_node *n, const char *what)
{
	compile_error(&c->program->errors, "ValueRequired", n->node->id, "Value required [%s].", what);
	return NULL;
}

/* ---- entities: their interfaces are shared ---- */

static const struct interface *shared(struct program *g, const struct compile_node *n, struct interface *i,
				      const CoreVariableMap *inputs, const CoreVariableMap *outputs)
{
	/* Flawed ones are checked again, to tell this node, too. */
	if (i->made && !i->flawed)
		return i;
	bool ok = init_variables(g, n->node->id, inputs, &i->inputs);
	ok = init_variables(g, n->node->id, outputs, &i->outputs) && ok;
	set_required(g, &i->inputs);
	i->made = true;
	i->flawed = !ok;
	return ok ? i : NULL;
}

static const struct interface *typed(struct compilation *c, const struct compile_node *n, struct interface *i,
				     CoreTypedInterface *t)
{
	if (t && !t->inputs)
		t->inputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	if (t && !t->outputs)
		t->outputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	return shared(c->program, n, i, t ? t->inputs : NULL, t ? t->outputs : NULL);
}

static const struct interface *not_found(struct compilation *c, const struct compile_node *n, const char *code,
					 const char *what, const CoreIdentifier *id)
{
	compile_error(&c->program->errors, code, n->node->id, "Referenced %s [%s] not found.", what,
		      id ? identifier_text(id, c->arena) : "<nil>/<nil>");
	return NULL;
}

static const struct interface *task_interface(struct compilation *c, struct compile_node *n)
{
	const CoreTaskNode *t = n->node->task_node;

	if (t->reference_case != CORE_TASK_NODE_REFERENCE_REFERENCE_ID)
		return missing(c, n, "TaskNode.ReferenceId");
	struct entity *e = map_get(c->program->tasks, id_key(c->program, t->reference_id));
	if (!e)
		return not_found(c, n, "TaskReferenceNotFound", "Task", t->reference_id);
	return typed(c, n, &e->interface, e->task->template_->interface);
}

/* A launch plan takes its required inputs, and whichever of the others a node binds. */
static CoreVariableMap *expected_variables(struct arena *a, const CoreParameterMap *m, const bool **ret_unbound_ok)
{
	CoreVariableMap *variables = pb_new(a, CORE_VARIABLE_MAP_DESC);
	bool *unbound_ok = arena_array(a, bool, m->n_parameters);

	for (size_t i = 0; i < m->n_parameters; i++) {
		const CoreParameter *p = m->parameters[i]->value;
		CoreVariableMapVariablesEntry *e = pb_new(a, CORE_VARIABLE_MAP_VARIABLES_ENTRY_DESC);
		e->key = m->parameters[i]->key;
		e->value = p ? p->var : NULL;
		unbound_ok[i] = !p || p->behavior_case != CORE_PARAMETER_BEHAVIOR_REQUIRED || !p->required;
		*PB_ADD(a, variables->variables, variables->n_variables) = e;
	}
	*ret_unbound_ok = unbound_ok;
	return variables;
}

static const struct interface *launch_plan_interface(struct compilation *c, struct compile_node *n,
						     const CoreIdentifier *id)
{
	struct entity *e = map_get(c->program->launch_plans, id_key(c->program, id));

	if (!e)
		return not_found(c, n, "WorkflowReferenceNotFound", "Workflow", id);
	const struct launch_plan_interface *lp = e->launch_plan;
	struct interface *i = &e->interface;
	if (!lp->inputs)
		missing(c, n, "WorkflowNode.ExpectedInputs");
	if (!lp->outputs)
		missing(c, n, "WorkflowNode.ExpectedOutputs");
	if (!lp->inputs || !lp->outputs)
		return NULL;
	const CoreVariableMap *inputs = i->inputs.source;
	if (!inputs)
		inputs = expected_variables(c->arena, lp->inputs, &i->inputs.unbound_ok);
	return shared(c->program, n, i, inputs, lp->outputs);
}

static const struct interface *sub_workflow_interface(struct compilation *c, struct compile_node *n,
						      const CoreIdentifier *id)
{
	struct entity *e = map_get(c->program->sub_workflows, id_key(c->program, id));

	if (!e)
		return not_found(c, n, "WorkflowReferenceNotFound", "Workflow", id);
	CoreTypedInterface *t = e->sub_workflow->template_->interface;
	return t ? typed(c, n, &e->interface, t) : missing(c, n, "WorkflowNode.Template.Interface");
}

static const struct interface *workflow_interface(struct compilation *c, struct compile_node *n)
{
	const CoreWorkflowNode *w = n->node->workflow_node;

	switch (w->reference_case) {
	case CORE_WORKFLOW_NODE_REFERENCE_LAUNCHPLAN_REF: return launch_plan_interface(c, n, w->launchplan_ref);
	case CORE_WORKFLOW_NODE_REFERENCE_SUB_WORKFLOW_REF: return sub_workflow_interface(c, n, w->sub_workflow_ref);
	default: return not_found(c, n, "WorkflowReferenceNotFound", "Workflow", NULL);
	}
}

/* ---- gates ---- */

static const struct interface *own_interface(struct compilation *c, const struct compile_node *n,
					     const CoreVariableMap *inputs, const CoreVariableMap *outputs)
{
	return shared(c->program, n, new_interface(c->program), inputs, outputs);
}

static const struct interface *signal_interface(struct compilation *c, struct compile_node *n, CoreSignalCondition *s)
{
	if (!s->type)
		return missing(c, n, "GateNode.Signal.Type");
	if (!*s->output_variable_name)
		return missing(c, n, "GateNode.Signal.OutputVariableName");
	CoreVariableMap *outputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	CoreVariableMapVariablesEntry *e = pb_new(c->arena, CORE_VARIABLE_MAP_VARIABLES_ENTRY_DESC);
	e->key = s->output_variable_name;
	e->value = pb_new(c->arena, CORE_VARIABLE_DESC);
	e->value->type = s->type;
	*PB_ADD(c->arena, outputs->variables, outputs->n_variables) = e;
	return own_interface(c, n, NULL, outputs);
}

/* What is approved goes on as it came. */
static const struct interface *approve_interface(struct compilation *c, struct compile_node *n)
{
	CoreVariableMap *variables = resolve_bindings(c, n);
	return variables ? own_interface(c, n, variables, variables) : NULL;
}

static const struct interface *gate_interface(struct compilation *c, struct compile_node *n)
{
	const CoreGateNode *g = n->node->gate_node;

	switch (g->condition_case) {
	case CORE_GATE_NODE_CONDITION_APPROVE: return approve_interface(c, n);
	case CORE_GATE_NODE_CONDITION_SIGNAL: return signal_interface(c, n, g->signal);
	case CORE_GATE_NODE_CONDITION_SLEEP: return own_interface(c, n, NULL, NULL);
	default:
		compile_error(&c->program->errors, "NoConditionFound", n->node->id,
			      "Can't find any condition in gate node [%s].", n->node->id);
		return NULL;
	}
}

/* ---- arrays ---- */

static CoreLiteralType *optional(struct arena *a, CoreLiteralType *t)
{
	CoreLiteralType *u = pb_new(a, CORE_LITERAL_TYPE_DESC), *none = pb_new(a, CORE_LITERAL_TYPE_DESC);

	none->type_case = CORE_LITERAL_TYPE_TYPE_SIMPLE;
	none->simple = CORE_SIMPLE_TYPE_NONE;
	u->type_case = CORE_LITERAL_TYPE_TYPE_UNION_TYPE;
	u->union_type = pb_new(a, CORE_UNION_TYPE_DESC);
	*PB_ADD(a, u->union_type->variants, u->union_type->n_variants) = t;
	*PB_ADD(a, u->union_type->variants, u->union_type->n_variants) = none;
	return u;
}

static bool is_bound(const CoreArrayNode *array, const char *name)
{
	for (size_t i = 0; i < array->n_bound_inputs; i++)
		if (strcmp(array->bound_inputs[i], name) == 0)
			return true;
	return false;
}

static CoreVariableMap *lift(struct arena *a, const CoreArrayNode *array, const struct variables *v, bool inputs)
{
	CoreVariableMap *lifted = pb_new(a, CORE_VARIABLE_MAP_DESC);
	bool may_fail = array->success_criteria_case == CORE_ARRAY_NODE_SUCCESS_CRITERIA_MIN_SUCCESS_RATIO &&
			array->min_success_ratio < 1;

	for (size_t i = 0; v->source && i < v->source->n_variables; i++) {
		CoreVariableMapVariablesEntry *e = arena_dup(a, v->source->variables[i], sizeof *e);
		*PB_ADD(a, lifted->variables, lifted->n_variables) = e;
		if (inputs && is_bound(array, e->key))
			continue;
		e->value = arena_dup(a, e->value, sizeof *e->value);
		CoreLiteralType *t = e->value->type;
		e->value->type = pb_new(a, CORE_LITERAL_TYPE_DESC);
		e->value->type->type_case = CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE;
		e->value->type->collection_type = inputs || !may_fail ? t : optional(a, t);
	}
	return lifted;
}

/* What has nodes or waits by itself cannot: an item is one task or one execution. */
static bool may_be_item(const CoreNode *n)
{
	if (n->target_case == CORE_NODE_TARGET_WORKFLOW_NODE)
		return n->workflow_node->reference_case != CORE_WORKFLOW_NODE_REFERENCE_SUB_WORKFLOW_REF;
	return n->target_case == CORE_NODE_TARGET_TASK_NODE || n->target_case == CORE_NODE_TARGET_NOT_SET;
}

static const struct interface *refuse_item(struct compilation *c, const struct compile_node *n)
{
	compile_error(&c->program->errors, "InvalidValue", n->node->id,
		      "Invalid value [ArrayNode.Node]: the items of an array can only be tasks or launch plans.");
	return NULL;
}

static const struct interface *array_interface(struct compilation *c, struct compile_node *n)
{
	CoreArrayNode *array = n->node->array_node;

	if (array->node && !may_be_item(array->node))
		return refuse_item(c, n);
	/* flytekit wraps a mapped task in one that takes lists; anything else is mapped over as it is. */
	struct compile_node *inner = add_inner_node(c, array->node ? array->node : pb_new(c->arena, CORE_NODE_DESC));
	inner->apart = true;
	check_timeout(c, inner->node);
	const struct interface *i = known_interface(c, inner);
	if (!i || !array->is_original_sub_node_interface || !array->is_original_sub_node_interface->value)
		return i;
	if (!may_copy(c->program, n->node->id, &i->inputs) || !may_copy(c->program, n->node->id, &i->outputs))
		return NULL;
	struct interface *lifted = new_interface(c->program);
	lifted->inputs.unbound_ok = i->inputs.unbound_ok;
	return shared(c->program, n, lifted, lift(c->arena, array, &i->inputs, true),
		      lift(c->arena, array, &i->outputs, false));
}

/* ---- all kinds ---- */

const struct interface *node_interface(struct compilation *c, struct compile_node *n)
{
	static const struct interface *(*const KINDS[])(struct compilation *, struct compile_node *) = {
		[CORE_NODE_TARGET_TASK_NODE] = task_interface,
		[CORE_NODE_TARGET_WORKFLOW_NODE] = workflow_interface,
		[CORE_NODE_TARGET_BRANCH_NODE] = branch_interface,
		[CORE_NODE_TARGET_GATE_NODE] = gate_interface,
		[CORE_NODE_TARGET_ARRAY_NODE] = array_interface,
	};
	size_t kind = (size_t)n->node->target_case;

	return kind < ARRAY_SIZE(KINDS) && KINDS[kind] ? KINDS[kind](c, n) : missing(c, n, "Target");
}

const struct interface *known_interface(struct compilation *c, struct compile_node *n)
{
	if (!n->tried) {
		n->tried = true;
		n->interface = node_interface(c, n);
	}
	return n->interface;
}

/* ---- timeouts ---- */

/* What Go's time.Duration holds. */
static bool is_duration(const PbDuration *d)
{
	enum { NANOS = 1000000000 };
	static const int64_t MAX_SECONDS = 9223372036;

	if (d->seconds < -MAX_SECONDS || d->seconds > MAX_SECONDS || d->nanos <= -NANOS || d->nanos >= NANOS)
		return false;
	return !((d->seconds < 0 && d->nanos > 0) || (d->seconds > 0 && d->nanos < 0));
}

void check_timeout(struct compilation *c, const CoreNode *n)
{
	if (n->metadata && n->metadata->timeout && !is_duration(n->metadata->timeout))
		compile_error(&c->program->errors, "SyntaxError", n->id,
			      "Failed to parse element [node:metadata:timeout].");
}
