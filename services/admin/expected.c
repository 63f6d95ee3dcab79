/* Inputs of launch plans; see launch_plan.h. */
#include <string.h>

#include "base/map.h"
#include "base/time.h"
#include "flyte/cron.h"
#include "flyte/types.h"
#include "launch_plan.h"
#include "pb/pb.h"

/* Fields that flyteidl calls deprecated, and clients still send. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { MAX_NANOS = 999999999 };

static const PbTimestamp *datetime_of(const CoreLiteral *l)
{
	if (l->value_case != CORE_LITERAL_VALUE_SCALAR || l->scalar->value_case != CORE_SCALAR_VALUE_PRIMITIVE ||
	    l->scalar->primitive->value_case != CORE_PRIMITIVE_VALUE_DATETIME)
		return NULL;
	return l->scalar->primitive->datetime;
}

static enum code check_datetime(const CoreLiteral *l, struct err *err)
{
	const PbTimestamp *t = datetime_of(l);

	if (!t)
		return OK;
	if (t->seconds < TIME_FIRST_SECOND)
		return err_set(err, INVALID_ARGUMENT, "timestamp (seconds:%lld) before 0001-01-01",
			       (long long)t->seconds);
	if (t->seconds > TIME_LAST_SECOND)
		return err_set(err, INVALID_ARGUMENT, "timestamp (seconds:%lld) after 9999-12-31",
			       (long long)t->seconds);
	if (t->nanos < 0 || t->nanos > MAX_NANOS)
		return err_set(err, INVALID_ARGUMENT, "timestamp (nanos:%d) has out-of-range nanos", t->nanos);
	return OK;
}

/* ---- each by itself ---- */

static enum code check_fixed(const CoreLiteralMap *fixed, struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && fixed && i < fixed->n_literals; i++) {
		const CoreLiteral *l = fixed->literals[i]->value;
		if (!*fixed->literals[i]->key)
			return err_set(err, INVALID_ARGUMENT, "missing key in fixed_inputs");
		if (!l || l->value_case == CORE_LITERAL_VALUE_NOT_SET)
			return err_set(err, INVALID_ARGUMENT, "missing valid literal in fixed_inputs %s",
				       fixed->literals[i]->key);
		c = check_datetime(l, err);
	}
	return c;
}

static enum code literal_type_of(const char *name, const CoreLiteral *l, struct arena *a, const CoreLiteralType **ret,
				 struct err *err)
{
	struct err why;

	*ret = literal_type(l, a);
	if (!literal_type_check(*ret, &why))
		return OK;
	return err_set(err, INVALID_ARGUMENT, "Failed to validate literal type for [%s] with err: %s", name, why.text);
}

static enum code check_parameter(const char *name, const CoreParameter *p, struct arena *a, struct err *err)
{
	const CoreLiteralType *type;

	if (!*name)
		return err_set(err, INVALID_ARGUMENT, "missing key in default_inputs");
	if (p && p->behavior_case == CORE_PARAMETER_BEHAVIOR_ARTIFACT_QUERY)
		return err_set(err, INVALID_ARGUMENT, "artifact mode not enabled but query found default_inputs %s",
			       name);
	if (!p || !p->var || !p->var->type)
		return err_set(
			err, INVALID_ARGUMENT,
			"The Variable component of the Parameter %s in default_inputs either is missing, or has a "
			"missing Type",
			name);
	bool required = p->behavior_case == CORE_PARAMETER_BEHAVIOR_REQUIRED && p->required;
	if (p->behavior_case != CORE_PARAMETER_BEHAVIOR_DEFAULT)
		return required
			       ? OK
			       : err_set(err, INVALID_ARGUMENT,
					 "Invalid variable %s in default_inputs - variable has neither default, nor is "
					 "required. One must be specified",
					 name);
	enum code c = literal_type_of(name, p->default_, a, &type, err);
	if (!c && !type_castable(type, p->var->type))
		c = err_set(err, INVALID_ARGUMENT,
			    "Type mismatch for Parameter %s in default_inputs has type %s, expected %s", name,
			    type_text(p->var->type, a), type_text(type, a));
	return c ? c : check_datetime(p->default_, err);
}

static enum code check_defaults(const CoreParameterMap *defaults, struct arena *a, struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && defaults && i < defaults->n_parameters; i++)
		c = check_parameter(defaults->parameters[i]->key, defaults->parameters[i]->value, a, err);
	return c;
}

/* ---- against the workflow ---- */

struct inputs {
	struct map *workflow; /* name to CoreVariable */
	struct map *defaults; /* name to CoreParameter */
	struct map *fixed;    /* name to CoreLiteral */
};

static void inputs_clear(struct inputs *x)
{
	map_free(x->workflow);
	map_free(x->defaults);
	map_free(x->fixed);
}

static enum code match_defaults(struct inputs *x, const CoreParameterMap *defaults, struct arena *a, struct err *err)
{
	for (size_t i = 0; defaults && i < defaults->n_parameters; i++) {
		const char *name = defaults->parameters[i]->key;
		const CoreParameter *p = defaults->parameters[i]->value;
		const CoreVariable *v = map_get(x->workflow, str_of(name));
		if (!v)
			return err_set(err, INVALID_ARGUMENT, "unexpected default_input %s", name);
		if (!type_castable(p->var->type, v->type))
			return err_set(err, INVALID_ARGUMENT,
				       "invalid default_input wrong type %s, expected %s, got %s instead", name,
				       type_text(p->var->type, a), type_text(v->type, a));
		map_put(x->defaults, str_of(name), (void *)p);
	}
	return OK;
}

static enum code match_fixed(struct inputs *x, const CoreLiteralMap *fixed, struct arena *a, struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && fixed && i < fixed->n_literals; i++) {
		const char *name = fixed->literals[i]->key;
		const CoreVariable *v = map_get(x->workflow, str_of(name));
		const CoreLiteralType *type;
		if (!v)
			return err_set(err, INVALID_ARGUMENT, "unexpected fixed_input %s", name);
		c = literal_type_of(name, fixed->literals[i]->value, a, &type, err);
		if (!c && !type_castable(type, v->type))
			c = err_set(err, INVALID_ARGUMENT,
				    "invalid fixed_input wrong type %s, expected %s, got %s instead", name,
				    type_text(v->type, a), type_text(type, a));
		map_put(x->fixed, str_of(name), fixed->literals[i]->value);
	}
	return c;
}

static CoreParameter *required_parameter(const CoreVariable *v, struct arena *a)
{
	CoreParameter *p = pb_new(a, CORE_PARAMETER_DESC);

	p->behavior_case = CORE_PARAMETER_BEHAVIOR_REQUIRED;
	p->required = true;
	p->var = pb_new(a, CORE_VARIABLE_DESC);
	p->var->type = v->type;
	p->var->description = v->description;
	return p;
}

static CoreParameterMap *collect(const struct inputs *x, const CoreVariableMap *inputs, struct arena *a)
{
	CoreParameterMap *m = pb_new(a, CORE_PARAMETER_MAP_DESC);

	for (size_t i = 0; i < inputs->n_variables; i++) {
		const CoreVariableMapVariablesEntry *e = inputs->variables[i];
		CoreParameter *p = map_get(x->defaults, str_of(e->key));
		if (!p && map_get(x->fixed, str_of(e->key)))
			continue;
		CoreParameterMapParametersEntry *entry = pb_new(a, CORE_PARAMETER_MAP_PARAMETERS_ENTRY_DESC);
		entry->key = e->key;
		entry->value = p ? p : required_parameter(e->value, a);
		*PB_ADD(a, m->parameters, m->n_parameters) = entry;
	}
	return m;
}

static enum code none_expected(const AdminLaunchPlanSpec *spec, struct err *err)
{
	size_t defaults = spec->default_inputs ? spec->default_inputs->n_parameters : 0;
	size_t fixed = spec->fixed_inputs ? spec->fixed_inputs->n_literals : 0;

	if (defaults)
		return err_set(err, INVALID_ARGUMENT, "invalid launch plan default inputs, expected none but found %zu",
			       defaults);
	if (fixed)
		return err_set(err, INVALID_ARGUMENT, "invalid launch plan fixed inputs, expected none but found %zu",
			       fixed);
	return OK;
}

enum code expected_inputs(const AdminLaunchPlanSpec *spec, const CoreVariableMap *inputs, struct arena *a,
			  CoreParameterMap **ret, struct err *err)
{
	__attribute__((cleanup(inputs_clear))) struct inputs x = {map_new(), map_new(), map_new()};
	enum code c = check_fixed(spec->fixed_inputs, err);

	if (!c)
		c = check_defaults(spec->default_inputs, a, err);
	if (!c && (!inputs || !inputs->n_variables)) {
		*ret = pb_new(a, CORE_PARAMETER_MAP_DESC);
		return none_expected(spec, err);
	}
	if (c)
		return c;
	for (size_t i = 0; i < inputs->n_variables; i++)
		map_put(x.workflow, str_of(inputs->variables[i]->key), inputs->variables[i]->value);
	c = match_defaults(&x, spec->default_inputs, a, err);
	if (!c)
		c = match_fixed(&x, spec->fixed_inputs, a, err);
	if (!c)
		*ret = collect(&x, inputs, a);
	return c;
}

/* ---- schedules ---- */

static bool has_schedule(const AdminSchedule *s)
{
	return s && s->schedule_expression_case != ADMIN_SCHEDULE_SCHEDULE_EXPRESSION_NOT_SET &&
	       (s->schedule_expression_case != ADMIN_SCHEDULE_SCHEDULE_EXPRESSION_CRON_EXPRESSION ||
		*s->cron_expression);
}

static enum code check_cron(const AdminSchedule *s, struct err *err)
{
	const char *text = "";

	if (s->schedule_expression_case == ADMIN_SCHEDULE_SCHEDULE_EXPRESSION_CRON_EXPRESSION)
		text = s->cron_expression;
	else if (s->schedule_expression_case == ADMIN_SCHEDULE_SCHEDULE_EXPRESSION_CRON_SCHEDULE)
		text = s->cron_schedule->schedule;
	enum code c = *text ? cron_check(text, err) : OK;
	return c ? err_prefix(err, c, "Invalid cron expression: ") : OK;
}

enum code check_schedule(const AdminLaunchPlanSpec *spec, const CoreParameterMap *expected, struct arena *a,
			 struct err *err)
{
	const AdminSchedule *s = spec->entity_metadata ? spec->entity_metadata->schedule : NULL;

	if (!has_schedule(s))
		return OK;
	const char *kickoff = s->kickoff_time_input_arg;
	for (size_t i = 0; i < expected->n_parameters; i++) {
		const CoreParameterMapParametersEntry *e = expected->parameters[i];
		if (e->value->behavior_case != CORE_PARAMETER_BEHAVIOR_REQUIRED || strcmp(e->key, kickoff) == 0)
			continue;
		return err_set(
			err, INVALID_ARGUMENT,
			"Cannot create a launch plan with a schedule if there is an unbound required input. [%s] "
			"is required",
			e->key);
	}
	if (!*kickoff)
		return check_cron(s, err);
	const CoreParameter *p = parameter_get(expected, kickoff);
	if (!p)
		return err_set(err, INVALID_ARGUMENT,
			       "Cannot create a schedule with a KickoffTimeInputArg that does not point to a free "
			       "input. [%s] is not free or does not exist.",
			       kickoff);
	const CoreLiteralType *t = p->var->type;
	if (t->type_case != CORE_LITERAL_TYPE_TYPE_SIMPLE || t->simple != CORE_SIMPLE_TYPE_DATETIME)
		return err_set(err, INVALID_ARGUMENT,
			       "KickoffTimeInputArg must reference a datetime input. [%s] is a [%s]", kickoff,
			       type_text(t, a));
	return check_cron(s, err);
}
