/* The statement of a list, its order and its pages. */
#include <string.h>

#include "base/ids.h"
#include "base/time.h"
#include "filters_private.h"

void list_clear(struct list *l)
{
	buf_clear(&l->sql);
}

void list_init(struct list *l, struct arena *a, const char *what, const struct list_entity *entities)
{
	*l = (struct list){.arena = a, .what = what, .entities = entities};
}

/* The cast that a parameter needs to be compared with a column. */
const char *list_cast(enum column_kind kind)
{
	return kind == COLUMN_TEXT ? "text" : kind == COLUMN_TIME ? "timestamptz" : "bigint";
}

const struct list_column *list_find_column(const struct list_entity *e, struct str name)
{
	for (const struct list_column *c = e->columns; c->name; c++)
		if (str_is(name, c->name))
			return c;
	return NULL;
}

static void add_value_text(struct list *l, const struct list_column *c)
{
	const char *time = "(extract(epoch FROM %s) * 1000000)::bigint::text", *other = "(%s)::text";

	buf_printf(&l->sql, c->kind == COLUMN_TIME ? time : other, c->sql);
}

/* As a text that sort_param reads back exactly: "<value>", or "<then> <value>". */
static void add_sort_value(struct list *l)
{
	if (!l->sort)
		buf_adds(&l->sql, "''");
	if (l->then) {
		add_value_text(l, l->then);
		buf_adds(&l->sql, " || ' ' || ");
	}
	if (l->sort)
		add_value_text(l, l->sort);
	buf_adds(&l->sql, " AS sort_value"); /* else ORDER BY might mean this text */
}

void list_select(struct list *l, const char *columns, const char *from, const char *id_sql, const AdminSort *sort)
{
	l->sort = sort ? list_find_column(&l->entities[0], str_of(sort->key)) : NULL;
	if (sort && !l->sort)
		l->bad_sort = arena_printf(l->arena, "invalid sort key '%s'", sort->key);
	else if (sort && sort->direction != ADMIN_SORT_DIRECTION_DESCENDING &&
		 sort->direction != ADMIN_SORT_DIRECTION_ASCENDING)
		l->bad_sort = arena_printf(l->arena, "invalid sort order specified: %d", sort->direction);
	if (!l->sort || (l->then && strcmp(l->then->sql, l->sort->sql) == 0))
		l->then = NULL;
	l->descending = sort && sort->direction == ADMIN_SORT_DIRECTION_DESCENDING;
	l->id_sql = id_sql;
	buf_adds(&l->sql, "SELECT ");
	add_sort_value(l);
	buf_printf(&l->sql, ", %s, %s FROM %s", id_sql, columns, from);
}

void list_and(struct list *l)
{
	buf_adds(&l->sql, l->has_where ? " AND " : " WHERE ");
	l->has_where = true;
}

/* Adds "$n" and remembers the value. Bounded by MAX_VALUES of a request's filters. */
void list_param(struct list *l, struct db_param value)
{
	l->params[l->n_params++] = value;
	buf_printf(&l->sql, "$%zu", l->n_params);
}

void list_where(struct list *l, const char *sql, struct db_param value)
{
	list_and(l);
	buf_printf(&l->sql, "%s = ", sql);
	list_param(l, value);
}

void list_where_sql(struct list *l, const char *sql)
{
	list_and(l);
	buf_adds(&l->sql, sql);
}

/* ---- pages ---- */

/* A token of ours: '.' and base64 of "<id> <sort value>". */
const char *list_token(struct list *l, struct str value, int64_t id)
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

/* What the sort value was as a text becomes what it is compared as; it must be ours, so nothing can fail in SQL. */
static bool sort_param(const struct list_column *c, struct str value, struct db_param *ret)
{
	int64_t number;

	if (c->kind == COLUMN_TEXT) {
		*ret = db_str(value);
		return true;
	}
	if (!str_to_i64(value, &number))
		return false;
	if (c->kind == COLUMN_TIME &&
	    (number < TIME_FIRST_SECOND * USEC_PER_SEC || number >= (TIME_LAST_SECOND + 1) * USEC_PER_SEC))
		return false;
	*ret = c->kind == COLUMN_TIME ? db_time(number) : db_i64(number);
	return true;
}

static void add_key_param(struct list *l, const struct list_column *c, struct db_param value)
{
	list_param(l, value);
	buf_printf(&l->sql, "::%s, ", list_cast(c->kind));
}

/* The rows behind a key; the keys of an order are compared as one, which an index on them can look up. */
static bool add_page_start(struct list *l, const char *token)
{
	struct str value;
	int64_t id;
	struct db_param first, then;

	if (!read_token(l, token, &value, &id))
		return false;
	if (l->then && !sort_param(l->then, str_cut(&value, ' '), &then))
		return false;
	if (l->sort && (!value.ptr || !sort_param(l->sort, value, &first)))
		return false;
	list_and(l);
	buf_adds(&l->sql, "(");
	if (l->sort)
		buf_printf(&l->sql, "%s, ", l->sort->sql);
	if (l->then)
		buf_printf(&l->sql, "%s, ", l->then->sql);
	buf_printf(&l->sql, "%s) %s (", l->id_sql, l->descending ? "<" : ">");
	if (l->sort)
		add_key_param(l, l->sort, first);
	if (l->then)
		add_key_param(l, l->then, then);
	list_param(l, db_i64(id));
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
	if (l->then)
		buf_printf(&l->sql, "%s%s, ", l->then->sql, way);
	buf_printf(&l->sql, "%s%s LIMIT ", l->id_sql, way);
	list_param(l, db_i64(limit));
	if (!offset)
		return;
	buf_adds(&l->sql, " OFFSET ");
	list_param(l, db_i64((int64_t)MIN(offset, (uint64_t)INT64_MAX)));
}

enum code list_page(struct list *l, uint32_t *limit, const char *token, struct err *err)
{
	uint64_t offset = 0;

	if (!*limit)
		return err_set(err, INVALID_ARGUMENT, "invalid value for limit");
	if (l->bad_sort)
		return err_set(err, INVALID_ARGUMENT, "%s", l->bad_sort);
	if (*token && !str_to_u64(str_of(token), &offset) && !add_page_start(l, token))
		return err_set(err, INVALID_ARGUMENT, "invalid pagination token %s for %s", token, l->what);
	*limit = MIN(*limit, (uint32_t)MAX_PAGE);
	add_order(l, *limit, offset);
	return OK;
}

enum code list_run(struct list *l, struct db *db, uint32_t limit, const char *token, struct db_rows **ret,
		   const char **ret_token, struct err *err)
{
	enum code c = list_page(l, &limit, token, err);
	if (c)
		return c;
	struct db_stmt stmt = {l->stmt ? l->stmt : l->what, buf_text(&l->sql)};
	c = db_query_replica(db, &stmt, l->n_params, l->params, ret, err);
	if (c)
		return c;
	size_t n = db_rows_count(*ret);
	*ret_token = n < limit || !n ? "" : list_token(l, db_get_str(*ret, n - 1, 0), db_get_i64(*ret, n - 1, 1));
	return OK;
}
