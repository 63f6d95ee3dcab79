/* Branch nodes: conditions, and the nodes that they choose from.
 * Source: flytepropeller validators/branch.go, condition.go, node.go ValidateBranchNode (v1.16.8). */
#include <string.h>

#include "compiler/private.h"
#include "flyte/text.h"
#include "flyte/types.h"
#include "pb/pb.h"

/* Conditions hold primitives in a field that flyteidl calls deprecated. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static bool missing(struct compilation *c, const struct compile_node *n, const char *what)
{
	compile_error(&c->program->errors, "ValueRequired", n->node->id, "Value required [%s].", what);
	return false;
}

static const char *type_words(struct compilation *c, const CoreLiteralType *t)
{
	return type_error_text(t, c->arena);
}

/* ---- inner nodes ---- */

static void list_cases(struct compilation *c, struct compile_node *n)
{
	const CoreIfElseBlock *b = n->node->branch_node->if_else;
	size_t max = b ? b->n_other + 2 : 0;

	if (n->cases)
		return;
	n->cases = arena_array(c->arena, struct compile_node *, max);
	if (b && b->case_ && b->case_->then_node)
		n->cases[n->n_cases++] = add_inner_node(c, b->case_->then_node);
	for (size_t i = 0; b && i < b->n_other; i++)
		if (b->other[i]->then_node)
			n->cases[n->n_cases++] = add_inner_node(c, b->other[i]->then_node);
	if (b && b->default_case == CORE_IF_ELSE_BLOCK_DEFAULT_ELSE_NODE)
		n->cases[n->n_cases++] = add_inner_node(c, b->else_node);
}

static bool has_first_case(struct compilation *c, const struct compile_node *n)
{
	const CoreIfElseBlock *b = n->node->branch_node->if_else;

	if (!b)
		return missing(c, n, "Branch.IfElse");
	if (!b->case_)
		return missing(c, n, "Branch.IfElse.Case");
	if (!b->case_->then_node)
		return missing(c, n, "Branch.IfElse.Case.ThenNode");
	for (size_t i = 0; i < b->n_other; i++)
		if (!b->other[i]->then_node)
			missing(c, n, "IfElse.Case.ThenNode");
	return true;
}

/* ---- outputs: those that all cases give ---- */

struct common {
	CoreVariableMapVariablesEntry **at;
	size_t n;
};

static struct common all_outputs(struct arena *a, const struct variables *v)
{
	size_t n = v->source ? v->source->n_variables : 0;
	return (struct common){n ? arena_dup(a, v->source->variables, n * sizeof *v->source->variables) : NULL, n};
}

static void keep_common(struct compilation *c, struct common *common, const struct compile_node *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < common->n; i++) {
		CoreVariableMapVariablesEntry *e = common->at[i];
		const CoreVariable *other = variables_find(&n->interface->outputs, e->key);
		if (!other)
			continue;
		common->at[kept++] = e;
		if (!type_equal(e->value->type, other->type))
			compile_error(&c->program->errors, "MismatchingTypes", n->node->id,
				      "Variable [%s] (type [%s]) doesn't match expected type [%s].", e->key,
				      type_words(c, e->value->type), type_words(c, other->type));
	}
	common->n = kept;
}

static CoreVariableMap *common_outputs(struct compilation *c, struct compile_node *n)
{
	struct common common = {0};
	bool first = true;

	for (size_t i = 0; i < n->n_cases; i++) {
		struct compile_node *inner = n->cases[i];
		inner->node->id = arena_printf(c->arena, "%s-%s", n->node->id, inner->node->id);
		if (!known_interface(c, inner))
			continue;
		if (first && may_copy(c->program, inner->node->id, &inner->interface->outputs))
			common = all_outputs(c->arena, &inner->interface->outputs);
		else if (!first)
			keep_common(c, &common, inner);
		first = false;
	}
	CoreVariableMap *outputs = pb_new(c->arena, CORE_VARIABLE_MAP_DESC);
	outputs->variables = common.at;
	outputs->n_variables = common.n;
	return outputs;
}

const struct interface *branch_interface(struct compilation *c, struct compile_node *n)
{
	struct program *g = c->program;
	size_t errors = compile_errors_count(&g->errors);

	if (!has_first_case(c, n))
		return NULL;
	list_cases(c, n);
	CoreVariableMap *outputs = common_outputs(c, n);
	CoreVariableMap *inputs = resolve_bindings(c, n);
	if (compile_errors_count(&g->errors) != errors)
		return NULL;
	struct interface *i = new_interface(g);
	bool ok = init_variables(g, n->node->id, inputs, &i->inputs);
	set_required(g, &i->inputs);
	return init_variables(g, n->node->id, outputs, &i->outputs) && ok ? i : NULL;
}

/* ---- conditions ---- */

static const CoreLiteralType *variable_type(struct compilation *c, const struct compile_node *n, const char *name)
{
	const CoreVariable *v = n->interface ? variables_find(&n->interface->inputs, name) : NULL;

	if (v)
		return v->type;
	if (!n->interface)
		missing(c, n, name);
	else
		compile_error(&c->program->errors, "VariableNameNotFound", n->node->id,
			      "Variable [%s] not found on node [%s].", name, n->node->id);
	return NULL;
}

/* NULL after an error. `name` is a literal. */
static const CoreLiteralType *operand_type(struct compilation *c, const struct compile_node *n, const char *name,
					   const CoreOperand *o)
{
	CoreScalar scalar = CORE_SCALAR_INIT;

	if (!o) {
		missing(c, n, name);
		return NULL;
	}
	if (o->val_case == CORE_OPERAND_VAL_VAR && *o->var)
		return variable_type(c, n, o->var);
	if (o->val_case != CORE_OPERAND_VAL_PRIMITIVE) {
		missing(c, n, arena_printf(c->arena, "%s.Val", name));
		return NULL;
	}
	scalar.value_case = CORE_SCALAR_VALUE_PRIMITIVE;
	scalar.primitive = o->primitive;
	return scalar_type(&scalar, c->arena);
}

static void check_comparison(struct compilation *c, const struct compile_node *n, const CoreComparisonExpression *e)
{
	const CoreLiteralType *right = operand_type(c, n, "RightValue", e->right_value);
	const CoreLiteralType *left = operand_type(c, n, "LeftValue", e->left_value);

	if (right && left && !type_equal(right, left))
		compile_error(&c->program->errors, "MismatchingTypes", n->node->id,
			      "Variable [RightValue] (type [%s]) doesn't match expected type [%s].",
			      type_words(c, right), type_words(c, left));
}

static void check_condition(struct compilation *c, const struct compile_node *n, const CoreBooleanExpression *e)
{
	if (!e) {
		compile_error(&c->program->errors, "BranchNodeHasNoCondition", n->node->id,
			      "One of the branches on the node doesn't have a condition.");
		return;
	}
	switch (e->expr_case) {
	case CORE_BOOLEAN_EXPRESSION_EXPR_COMPARISON: check_comparison(c, n, e->comparison); break;
	case CORE_BOOLEAN_EXPRESSION_EXPR_CONJUNCTION:
		check_condition(c, n, e->conjunction->left_expression);
		check_condition(c, n, e->conjunction->right_expression);
		break;
	default: missing(c, n, "Expr");
	}
}

static void check_block(struct compilation *c, const struct compile_node *n, const CoreIfBlock *b)
{
	check_condition(c, n, b->condition);
	if (!b->then_node)
		compile_error(&c->program->errors, "BranchNodeIdNotFound", n->node->id, "BranchNode not assigned");
}

void check_branch(struct compilation *c, struct compile_node *n)
{
	const CoreIfElseBlock *b = n->node->branch_node->if_else;
	struct compile_errors *errors = &c->program->errors;
	size_t before = compile_errors_count(errors);

	if (b && b->case_)
		check_block(c, n, b->case_);
	else
		check_condition(c, n, NULL);
	for (size_t i = 0; b && i < b->n_other; i++)
		check_block(c, n, b->other[i]);
	if (!b || b->default_case == CORE_IF_ELSE_BLOCK_DEFAULT_NOT_SET)
		compile_error(errors, "BranchNodeHasNoDefault", n->node->id,
			      "Branch Node must have either the else case set or a default error.");
	list_cases(c, n);
	bool ok = true;
	for (size_t i = 0; i < n->n_cases; i++)
		ok = check_node(c, n->cases[i]) && ok;
	if (!ok || compile_errors_count(errors) != before)
		return;
	for (size_t i = 0; i < n->n_cases; i++)
		check_bindings(c, n->cases[i], &c->upstream);
}
