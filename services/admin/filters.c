#include "filters.h"

#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "filters_private.h"

static const struct function {
	const char *name, *sql;
	bool bounds_above;
	bool many;     /* takes several values */
	bool is_like;  /* only texts are like something */
	bool anywhere; /* … in any place */
} FUNCTIONS[] = {
	{.name = "contains", .sql = "LIKE", .is_like = true, .anywhere = true},
	{.name = "not_like", .sql = "NOT LIKE", .is_like = true},
	{.name = "gt", .sql = ">"},
	{.name = "gte", .sql = ">="},
	{.name = "lt", .sql = "<", .bounds_above = true},
	{.name = "lte", .sql = "<=", .bounds_above = true},
	{.name = "eq", .sql = "=", .bounds_above = true},
	{.name = "ne", .sql = "<>"},
	{.name = "value_in", .sql = "IN", .many = true},
	{.name = "value_not_in", .sql = "NOT IN", .many = true},
};

static enum code find_function(struct str name, const struct function **ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(FUNCTIONS); i++) {
		if (!str_is(name, FUNCTIONS[i].name))
			continue;
		*ret = &FUNCTIONS[i];
		return OK;
	}
	return err_set(err, INVALID_ARGUMENT, "unrecognized filter function: %.*s", STR_ARG(name));
}

struct expression {
	struct str function, field, value;
};

/* f(field,value), where both blanks after the comma and commas in the field are as Flyte's greedy pattern has it:
 * (.+)\((.+),\s?(.+)\) */
static bool parse_expression(struct str s, struct expression *ret)
{
	const char *close = memrchr(s.ptr, ')', s.len);
	if (!close)
		return false;
	struct str head = {s.ptr, (size_t)(close - s.ptr)};
	/* The last comma that leaves a field and a value. */
	const char *comma = head.len > 1 ? memrchr(head.ptr, ',', head.len - 1) : NULL;
	const char *open = comma ? memrchr(head.ptr, '(', (size_t)(comma - head.ptr)) : NULL;
	if (!open || open == s.ptr || comma == open + 1)
		return false;
	const char *value = comma + 1;
	if (*value == ' ' && value + 1 < close)
		value++;
	*ret = (struct expression){
		.function = {s.ptr, (size_t)(open - s.ptr)},
		.field = {open + 1, (size_t)(comma - open - 1)},
		.value = {value, (size_t)(close - value)},
	};
	return true;
}

/* Flyte's names of entities, for those that a list does not join. */
static const struct {
	const char *prefix, *code;
} PREFIXES[] = {
	{"task", "t"},
	{"workflow", "w"},
	{"launch_plan", "l"},
	{"execution", "e"},
	{"node_execution", "ne"},
	{"task_execution", "te"},
	{"entities", "nen"},
	{"named_entity_metadata", "nem"},
	{"project", "p"},
	{"signal", "s"},
	{"admin_tag", "at"},
	{"execution_admin_tag", "eat"},
	{"execution_tag", "et"},
};

static const char *code_of_prefix(struct str prefix)
{
	for (size_t i = 0; i < ARRAY_SIZE(PREFIXES); i++)
		if (str_is(prefix, PREFIXES[i].prefix))
			return PREFIXES[i].code;
	return NULL;
}

static enum code resolve_column(const struct list *l, struct str field, const struct list_entity **ret_entity,
				const struct list_column **ret, struct err *err)
{
	const struct list_entity *e = &l->entities[0];
	const char *dot = memchr(field.ptr, '.', field.len);
	struct str prefix = {field.ptr, dot ? (size_t)(dot - field.ptr) : 0};
	const char *code = dot ? code_of_prefix(prefix) : NULL;

	if (code) {
		field = (struct str){dot + 1, field.len - prefix.len - 1};
		while (e->columns && !str_is(prefix, e->prefix))
			e++;
		if (!e->columns)
			return err_set(err, INVALID_ARGUMENT, "'%s' entity is not allowed in filters", code);
	}
	*ret_entity = e;
	*ret = list_find_column(e, field);
	if (!*ret)
		return err_set(err, INVALID_ARGUMENT, "'%s.%.*s' is invalid filter", e->code, STR_ARG(field));
	return OK;
}

/* RFC 3339, or Postgres' usual forms without a zone: "2026-11-21", "2026-11-21 08:00:00". */
static bool parse_time(struct list *l, struct str s, int64_t *ret)
{
	if (time_parse_rfc3339(s, ret))
		return true;
	char *text = arena_printf(l->arena, "%.*s%s", STR_ARG(s), s.len == 10 ? "T00:00:00Z" : "Z");
	if (s.len > 10 && text[10] == ' ')
		text[10] = 'T';
	return time_parse_rfc3339(str_of(text), ret);
}

/* Seconds, or Go's duration. */
static bool parse_duration(struct str s, int64_t *ret)
{
	double seconds;

	if (!str_to_double(s, &seconds))
		return duration_parse(s, ret);
	if (!(seconds > -9e12 && seconds < 9e12))
		return false;
	*ret = (int64_t)(seconds * 1e6);
	return true;
}

static bool parse_number(const struct list_column *c, struct str s, int64_t *ret)
{
	for (int64_t i = 0; c->words && c->words[i]; i++) {
		if (!str_is(s, c->words[i]))
			continue;
		*ret = i;
		return true;
	}
	return str_to_i64(s, ret);
}

static enum code value_param(struct list *l, const struct list_column *c, const struct function *f, struct str value,
			     struct db_param *ret, struct err *err)
{
	int64_t number = 0;

	if (f->is_like && value.len && value.ptr[value.len - 1] == '\\')
		return err_set(err, INVALID_ARGUMENT,
			       "invalid value for filters: a pattern cannot end with a backslash");
	if (c->kind == COLUMN_TEXT) {
		const char *any = f->anywhere ? "%" : "";
		*ret = db_text(arena_printf(l->arena, "%s%.*s%s", any, STR_ARG(value), any));
		return OK;
	}
	if (c->kind == COLUMN_TIME && !parse_time(l, value, &number))
		return err_set(err, INVALID_ARGUMENT, "Timestamp %.*s must conform to RFC3339 Nano spec",
			       STR_ARG(value));
	if (c->kind == COLUMN_DURATION && !parse_duration(value, &number))
		return err_set(err, INVALID_ARGUMENT, "Failed to parse duration [%.*s]", STR_ARG(value));
	if (c->kind == COLUMN_I64 && !parse_number(c, value, &number))
		return err_set(err, INVALID_ARGUMENT, "invalid value [%.*s] for %s: a number is expected",
			       STR_ARG(value), c->name);
	/* db_time takes 0 for NULL, which compares with nothing. */
	*ret = c->kind == COLUMN_TIME ? db_time(number ? number : 1) : db_i64(number);
	return OK;
}

enum { MAX_VALUES = 200 }; /* leaves room for the identifier's columns and the page's key */

static enum code add_value(struct list *l, const struct list_column *c, const struct function *f, struct str value,
			   struct err *err)
{
	struct db_param p;
	enum code code = value_param(l, c, f, value, &p, err);

	if (code)
		return code;
	if (l->n_params >= MAX_VALUES)
		return err_set(err, INVALID_ARGUMENT, "invalid value for filters: more than %d values", MAX_VALUES);
	list_param(l, p);
	buf_printf(&l->sql, "::%s", list_cast(c->kind));
	return OK;
}

static enum code add_values(struct list *l, const struct list_column *c, const struct function *f, struct str values,
			    struct err *err)
{
	enum code code = OK;

	buf_addc(&l->sql, '(');
	for (bool first = true; !code && values.ptr; first = false) {
		struct str value = str_cut(&values, ';');
		buf_adds(&l->sql, first ? "" : ", ");
		code = add_value(l, c, f, value, err);
	}
	buf_addc(&l->sql, ')');
	return code;
}

struct filter {
	const struct list_entity *entity;
	const struct list_column *column;
	const struct function *function;
	struct str value;
};

static enum code read_filter(const struct list *l, struct str text, struct filter *ret, struct err *err)
{
	struct expression e;

	if (!parse_expression(text, &e))
		return err_set(err, INVALID_ARGUMENT, "invalid value for filters");
	enum code code = resolve_column(l, e.field, &ret->entity, &ret->column, err);
	ret->value = e.value;
	return code ? code : find_function(e.function, &ret->function, err);
}

/* Nothing is updated before it is created: of an old update's rows, an index by creation has only old ones to look at.
 */
static enum code add_after(struct list *l, const struct filter *filter, struct err *err)
{
	const struct list_column *c = filter->column;

	if (!c->after || !filter->function->bounds_above)
		return OK;
	buf_printf(&l->sql, "%s <= ", c->after);
	enum code code = add_value(l, c, filter->function, filter->value, err);
	buf_adds(&l->sql, " AND ");
	return code;
}

/* What equals a text is not NULL; to say so all the same halves the planner's estimate of what is left. */
static bool never_null(const struct filter *filter)
{
	return filter->column->kind == COLUMN_TEXT && strcmp(filter->function->sql, "=") == 0 && filter->value.len;
}

static enum code add_filter(struct list *l, const struct filter *filter, struct err *err)
{
	const struct list_column *c = filter->column;
	const struct function *f = filter->function;

	list_and(l);
	if (c->nullable && !never_null(filter))
		buf_printf(&l->sql, "%s IS NOT NULL AND ", c->nullable);
	enum code code = add_after(l, filter, err);
	if (code)
		return code;
	/* Numbers and times are compared as texts where a pattern is asked for. */
	bool as_text = f->is_like && c->kind != COLUMN_TEXT;
	struct list_column text_column = {.name = c->name, .kind = COLUMN_TEXT};
	buf_printf(&l->sql, "(%s)%s %s ", c->sql, as_text ? "::text" : "", f->sql);
	c = as_text ? &text_column : c;
	if (f->many)
		return add_values(l, c, f, filter->value, err);
	if (memchr(filter->value.ptr, ';', filter->value.len) && c->kind != COLUMN_TEXT)
		return err_set(err, INVALID_ARGUMENT, "invalid single value filter expression: %s", f->name);
	return add_value(l, c, f, filter->value, err);
}

/* Filters of an entity with rows of its own; NULL: those of the listed row. */
static enum code add_filters_of(struct list *l, const char *filters, const struct list_entity *entity, struct err *err)
{
	struct str rest = str_of(filters);
	enum code c = OK;
	bool open = false;

	while (!c && rest.ptr) {
		struct filter filter = {0};
		c = read_filter(l, str_cut(&rest, '+'), &filter, err);
		if (c || (filter.entity->exists ? filter.entity : NULL) != entity)
			continue;
		if (entity && !open) {
			list_and(l);
			buf_printf(&l->sql, "EXISTS (%s", entity->exists);
			open = true;
		}
		c = add_filter(l, &filter, err);
	}
	if (open)
		buf_addc(&l->sql, ')');
	return c;
}

bool list_filters(const struct list *l, const char *filters, const char *sql, bool equal)
{
	struct str rest = str_of(filters);

	while (rest.ptr) {
		struct filter filter = {0};
		if (read_filter(l, str_cut(&rest, '+'), &filter, NULL) != OK || filter.entity->exists)
			continue;
		bool picks = strcmp(filter.function->sql, "=") == 0 || strcmp(filter.function->sql, "IN") == 0;
		if (strcmp(filter.column->sql, sql) == 0 && (picks || !equal))
			return true;
	}
	return false;
}

enum code list_filter(struct list *l, const char *filters, struct err *err)
{
	enum code c = OK;

	if (!filters || !*filters)
		return OK;
	c = add_filters_of(l, filters, NULL, err);
	for (const struct list_entity *e = l->entities; !c && e->columns; e++)
		if (e->exists)
			c = add_filters_of(l, filters, e, err);
	return c;
}
