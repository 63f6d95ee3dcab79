/* Conditions of branch nodes. Source: flytepropeller controller/nodes/branch/{evaluator,comparator}.go (v1.16.8). */
#include "engine/private.h"

/* ---- comparators ---- */

static int compare_float(const CorePrimitive *x, const CorePrimitive *y)
{
	return (x->float_value > y->float_value) - (x->float_value < y->float_value);
}

static int compare_integer(const CorePrimitive *x, const CorePrimitive *y)
{
	return (x->integer > y->integer) - (x->integer < y->integer);
}

static int compare_boolean(const CorePrimitive *x, const CorePrimitive *y)
{
	return (int)x->boolean - (int)y->boolean;
}

static int compare_string(const CorePrimitive *x, const CorePrimitive *y)
{
	return strcmp(x->string_value, y->string_value);
}

/* Flyte compares times and durations by whole seconds. */
static int compare_datetime(const CorePrimitive *x, const CorePrimitive *y)
{
	return (x->datetime->seconds > y->datetime->seconds) - (x->datetime->seconds < y->datetime->seconds);
}

static int compare_duration(const CorePrimitive *x, const CorePrimitive *y)
{
	return (x->duration->seconds > y->duration->seconds) - (x->duration->seconds < y->duration->seconds);
}

static const struct {
	int (*compare)(const CorePrimitive *x, const CorePrimitive *y);
	const char *name; /* as Flyte's message has it */
} TYPES[] = {
	[CORE_PRIMITIVE_VALUE_INTEGER] = {compare_integer, "*core.Primitive_Integer"},
	[CORE_PRIMITIVE_VALUE_FLOAT_VALUE] = {compare_float, "*core.Primitive_FloatValue"},
	[CORE_PRIMITIVE_VALUE_STRING_VALUE] = {compare_string, "*core.Primitive_StringValue"},
	[CORE_PRIMITIVE_VALUE_BOOLEAN] = {compare_boolean, "*core.Primitive_Boolean"},
	[CORE_PRIMITIVE_VALUE_DATETIME] = {compare_datetime, "*core.Primitive_Datetime"},
	[CORE_PRIMITIVE_VALUE_DURATION] = {compare_duration, "*core.Primitive_Duration"},
};

static const char *type_name(const CorePrimitive *p)
{
	return p->value_case < ARRAY_SIZE(TYPES) && TYPES[p->value_case].name ? TYPES[p->value_case].name : "<nil>";
}

#define LESS    1
#define EQUAL   2
#define GREATER 4
/* Of nothing else: not a number. */
#define UNORDERED 8

/* Which outcomes an operator is content with. LT is "neither greater nor equal", LTE "not greater", as in Flyte: so
 * both hold for what is not a number. */
static const struct {
	int holds;
	bool ordered; /* not for truth values */
	const char *name;
} OPERATORS[] = {
	[CORE_COMPARISON_EXPRESSION_OPERATOR_EQ] = {EQUAL, false, "EQ"},
	[CORE_COMPARISON_EXPRESSION_OPERATOR_NEQ] = {LESS | GREATER | UNORDERED, false, "NEQ"},
	[CORE_COMPARISON_EXPRESSION_OPERATOR_GT] = {GREATER, true, "GT"},
	[CORE_COMPARISON_EXPRESSION_OPERATOR_GTE] = {GREATER | EQUAL, true, "GTE"},
	[CORE_COMPARISON_EXPRESSION_OPERATOR_LT] = {LESS | UNORDERED, true, "LT"},
	[CORE_COMPARISON_EXPRESSION_OPERATOR_LTE] = {LESS | EQUAL | UNORDERED, true, "LTE"},
};

static int outcome(const CorePrimitive *x, const CorePrimitive *y)
{
	bool is_float = x->value_case == CORE_PRIMITIVE_VALUE_FLOAT_VALUE;

	if (is_float && (x->float_value != x->float_value || y->float_value != y->float_value))
		return UNORDERED;
	int c = TYPES[x->value_case].compare(x, y);
	return c < 0 ? LESS : c > 0 ? GREATER : EQUAL;
}

/* ---- evaluation ---- */

struct evaluation {
	const struct values *inputs;
	struct arena *a;
	const char *error;
};

static bool fail(struct evaluation *e, const char *error)
{
	e->error = error;
	return false;
}

static const CoreLiteral *find(const struct values *inputs, const char *var)
{
	for (size_t i = 0; i < inputs->n; i++)
		if (strcmp(inputs->at[i].var, var) == 0)
			return inputs->at[i].literal;
	return NULL;
}

/* Deprecated in flyteidl, but what Flyte's clients send and its propeller reads. */
static const CorePrimitive *constant(const CoreOperand *o)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	return o && o->val_case == CORE_OPERAND_VAL_PRIMITIVE ? o->primitive : NULL;
#pragma GCC diagnostic pop
}

static const CorePrimitive *operand(struct evaluation *e, const CoreOperand *o, const char *side)
{
	const char *var = o && o->val_case == CORE_OPERAND_VAL_VAR ? o->var : "";

	if (constant(o))
		return constant(o);
	const CoreLiteral *l = find(e->inputs, var);
	if (!l) {
		fail(e, arena_printf(e->a, "Failed to find Value for Variable [%s]", var));
		return NULL;
	}
	if (l->value_case == CORE_LITERAL_VALUE_SCALAR && l->scalar->value_case == CORE_SCALAR_VALUE_PRIMITIVE)
		return l->scalar->primitive;
	fail(e, arena_printf(e->a, "Only primitives can be compared. %s Variable is non primitive.", side));
	return NULL;
}

static bool compare(struct evaluation *e, const CoreComparisonExpression *c, bool *ret)
{
	const CorePrimitive *x = operand(e, c->left_value, "LHS"), *y = x ? operand(e, c->right_value, "RHS") : NULL;

	if (!y)
		return false;
	if (x->value_case != y->value_case)
		return fail(e, arena_printf(e->a, "Comparison between different primitives types. lVal[%s]:rVal[%s]",
					    type_name(x), type_name(y)));
	if (x->value_case >= ARRAY_SIZE(TYPES) || !TYPES[x->value_case].compare)
		return fail(e, "comparator not defined for type: [<nil>]");
	if ((size_t)c->operator_ >= ARRAY_SIZE(OPERATORS))
		return fail(e, "Unsupported operator type in Propeller. System error.");
	if (OPERATORS[c->operator_].ordered && x->value_case == CORE_PRIMITIVE_VALUE_BOOLEAN)
		return fail(e,
			    arena_printf(e->a, "[%s] not defined for boolean operands.", OPERATORS[c->operator_].name));
	*ret = OPERATORS[c->operator_].holds & outcome(x, y);
	return true;
}

/* Both sides are looked at, as in Flyte: an error on the right counts whatever the left says. */
static bool evaluate(struct evaluation *e, const CoreBooleanExpression *expr, bool *ret)
{
	bool left, right;

	if (expr && expr->expr_case == CORE_BOOLEAN_EXPRESSION_EXPR_COMPARISON)
		return compare(e, expr->comparison, ret);
	if (!expr || expr->expr_case != CORE_BOOLEAN_EXPRESSION_EXPR_CONJUNCTION)
		return fail(e, "No Comparison or Conjunction found in Branch node expression.");
	const CoreConjunctionExpression *c = expr->conjunction;
	if (!evaluate(e, c->left_expression, &left) || !evaluate(e, c->right_expression, &right))
		return false;
	*ret = c->operator_ == CORE_CONJUNCTION_EXPRESSION_LOGICAL_OPERATOR_OR ? left || right : left && right;
	return true;
}

bool condition_holds(const CoreBooleanExpression *expr, const struct values *inputs, struct arena *a, bool *ret,
		     const char **ret_error)
{
	struct evaluation e = {inputs, a, NULL};

	if (evaluate(&e, expr, ret))
		return true;
	*ret_error = e.error;
	return false;
}
