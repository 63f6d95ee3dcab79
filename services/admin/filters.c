#include "filters.h"

#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "base/time.h"

/* ---- the statement ---- */

void list_clear(struct list *l)
{
	buf_clear(&l->sql);
}

void list_init(struct list *l, struct arena *a, const char *what, const struct list_entity *entities)
{
	*l = (struct list){.arena = a, .what = what, .entities = entities};
}

/* The cast that a parameter needs to be compared with a column. */
static const char *cast_of(enum column_kind kind)
{
	return kind == COLUMN_TEXT ? "text" : kind == COLUMN_TIME ? "timestamptz" : "bigint";
}

static const struct list_column *find_column(const struct list_entity *e, struct str name)
{
	for (const struct list_column *c = e->columns; c->name; c++)
		if (str_is(name, c->name))
			return c;
	return NULL;
}

/* As a text that sort_param reads back exactly. */
static void add_sort_value(struct list *l)
{
	if (!l->sort)
		buf_adds(&l->sql, "''");
	else if (l->sort->kind == COLUMN_TIME)
		buf_printf(&l->sql, "(extract(epoch FROM %s) * 1000000)::bigint::text", l->sort->sql);
	else
		buf_printf(&l->sql, "(%s)::text", l->sort->sql);
	buf_adds(&l->sql, " AS sort_value"); /* else ORDER BY might mean this text */
}

enum code list_select(struct list *l, const char *columns, const char *from, const char *id_sql, const AdminSort *sort,
		      struct err *err)
{
	if (sort) {
		l->sort = find_column(&l->entities[0], str_of(sort->key));
		if (!l->sort)
			return err_set(err, INVALID_ARGUMENT, "invalid sort key '%s'", sort->key);
		if (sort->direction != ADMIN_SORT_DIRECTION_DESCENDING &&
		    sort->direction != ADMIN_SORT_DIRECTION_ASCENDING)
			return err_set(err, INVALID_ARGUMENT, "invalid sort order specified: %d", sort->direction);
	}
	l->descending = sort && sort->direction == ADMIN_SORT_DIRECTION_DESCENDING;
	l->id_sql = id_sql;
	buf_adds(&l->sql, "SELECT ");
	add_sort_value(l);
	buf_printf(&l->sql, ", %s, %s FROM %s", id_sql, columns, from);
	return OK;
}

static void add_and(struct list *l)
{
	buf_adds(&l->sql, l->has_where ? " AND " : " WHERE ");
	l->has_where = true;
}

/* Adds "$n" and remembers the value. Bounded by MAX_VALUES of a request's filters. */
static void add_param(struct list *l, struct db_param value)
{
	l->params[l->n_params++] = value;
	buf_printf(&l->sql, "$%zu", l->n_params);
}

void list_where(struct list *l, const char *sql, struct db_param value)
{
	add_and(l);
	buf_printf(&l->sql, "%s = ", sql);
	add_param(l, value);
}

void list_where_sql(struct list *l, const char *sql)
{
	add_and(l);
	buf_adds(&l->sql, sql);
}

/* ---- filters ---- */

static const struct function {
	const char *name, *sql;
	bool many;     /* takes several values */
	bool is_like;  /* only texts are like something */
	bool anywhere; /* … in any place */
} FUNCTIONS[] = {
	{.name = "contains", .sql = "LIKE", .is_like = true, .anywhere = true},
	{.name = "not_like", .sql = "NOT LIKE", .is_like = true},
	{.name = "gt", .sql = ">"},
	{.name = "gte", .sql = ">="},
	{.name = "lt", .sql = "<"},
	{.name = "lte", .sql = "<="},
	{.name = "eq", .sql = "="},
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
	*ret = find_column(e, field);
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
	*ret = (int64_t)(seconds * 1e6);
	return seconds > -9e12 && seconds < 9e12;
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
	add_param(l, p);
	buf_printf(&l->sql, "::%s", cast_of(c->kind));
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

static enum code add_filter(struct list *l, const struct filter *filter, struct err *err)
{
	const struct list_column *c = filter->column;
	const struct function *f = filter->function;

	add_and(l);
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
			add_and(l);
			buf_printf(&l->sql, "EXISTS (%s", entity->exists);
			open = true;
		}
		c = add_filter(l, &filter, err);
	}
	if (open)
		buf_addc(&l->sql, ')');
	return c;
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

/* ---- pages ---- */

/* A token of ours: '.' and base64 of "<id> <sort value>". */
static const char *make_token(struct list *l, struct str value, int64_t id)
{
	auto_buf struct buf plain = {0}, token = {0};

	buf_printf(&plain, "%lld %.*s", (long long)id, STR_ARG(value));
	buf_addc(&token, '.');
	base64_add(&token, plain.data, plain.len, true);
	return arena_strdup(l->arena, buf_text(&token));
}

static bool read_token(struct list *l, const char *token, struct str *ret_value, int64_t *ret_id)
{
	auto_buf struct buf plain = {0};

	if (*token != '.' || !base64_decode(&plain, str_of(token + 1)) || memchr(buf_text(&plain), 0, plain.len))
		return false;
	struct str rest = str_of(arena_strdup(l->arena, buf_text(&plain)));
	struct str id = str_cut(&rest, ' ');
	*ret_value = rest;
	return rest.ptr && str_to_i64(id, ret_id) && utf8_valid(rest.ptr, rest.len);
}

/* Protobuf's timestamps: the years 1 to 9999. */
#define FIRST_YEAR_US INT64_C(-62135596800000000)
#define LAST_YEAR_US  INT64_C(253402300799999999)

/* What the sort value was as a text becomes what it is compared as; it must be ours, so nothing can fail in SQL. */
static bool sort_param(struct list *l, struct str value, struct db_param *ret)
{
	int64_t number;

	if (l->sort->kind == COLUMN_TEXT) {
		*ret = db_str(value);
		return true;
	}
	if (!str_to_i64(value, &number))
		return false;
	if (l->sort->kind == COLUMN_TIME && (number < FIRST_YEAR_US || number > LAST_YEAR_US))
		return false;
	*ret = l->sort->kind == COLUMN_TIME ? db_time(number) : db_i64(number);
	return true;
}

static bool add_page_start(struct list *l, const char *token)
{
	struct str value;
	int64_t id;
	struct db_param p;
	const char *than = l->descending ? "<" : ">";

	if (!read_token(l, token, &value, &id))
		return false;
	add_and(l);
	if (!l->sort) {
		buf_printf(&l->sql, "%s > ", l->id_sql);
		add_param(l, db_i64(id));
		return true;
	}
	if (!sort_param(l, value, &p))
		return false;
	buf_printf(&l->sql, "(%s, %s) %s (", l->sort->sql, l->id_sql, than);
	add_param(l, p);
	buf_printf(&l->sql, "::%s, ", cast_of(l->sort->kind));
	add_param(l, db_i64(id));
	buf_adds(&l->sql, ")");
	return true;
}

enum { MAX_PAGE = 10000 }; /* rows; who asks for more gets a token */

static void add_order(struct list *l, uint32_t limit, uint64_t offset)
{
	const char *way = l->descending ? " DESC" : "";

	buf_adds(&l->sql, " ORDER BY ");
	if (l->sort)
		buf_printf(&l->sql, "%s%s, ", l->sort->sql, way);
	buf_printf(&l->sql, "%s%s LIMIT ", l->id_sql, way);
	add_param(l, db_i64(limit));
	if (!offset)
		return;
	buf_adds(&l->sql, " OFFSET ");
	add_param(l, db_i64((int64_t)MIN(offset, (uint64_t)INT64_MAX)));
}

enum code list_run(struct list *l, struct db *db, uint32_t limit, const char *token, struct db_rows **ret,
		   const char **ret_token, struct err *err)
{
	uint64_t offset = 0;

	if (!limit)
		return err_set(err, INVALID_ARGUMENT, "invalid value for limit");
	if (*token && !str_to_u64(str_of(token), &offset) && !add_page_start(l, token))
		return err_set(err, INVALID_ARGUMENT, "invalid pagination token %s for %s", token, l->what);
	limit = MIN(limit, (uint32_t)MAX_PAGE);
	add_order(l, limit, offset);
	enum code c = db_query_text(db, buf_text(&l->sql), l->n_params, l->params, ret, err);
	if (c)
		return c;
	size_t n = db_rows_count(*ret);
	*ret_token = n < limit || !n ? "" : make_token(l, db_get_str(*ret, n - 1, 0), db_get_i64(*ret, n - 1, 1));
	return OK;
}
