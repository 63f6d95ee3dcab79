/* Lists of admin: filters, sort key and token become SQL. Input: lines; '0' to '3' (1: the order has a second key, 2:
 * descending) and the sort key; the token; the filters. */
#include "../unit/admin/list_of_tasks.h"
#include "filters_private.h"
#include "fuzz.h"

enum { PER_BYTE = 400 };

/* All words that the SQL may have. */
static const char WORDS[] =
	" SELECT FROM WHERE AND NOT IN LIKE IS NULL EXISTS ORDER BY DESC LIMIT OFFSET AS extract epoch text bigint"
	" timestamptz sort_value coalesce tasks tags t g g.of t.id t.name t.state t.phase t.created_at t.updated_at"
	" t.duration w.name g.name g.value columns ";

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_.", c);
}

static void check_word(const char *word, size_t n, const char *sql)
{
	auto_mem char *padded = x_malloc(n + 3);

	sprintf(padded, " %.*s ", (int)n, word);
	HOLDS(strstr(WORDS, padded) || strspn(padded, " 0123456789") == n + 2, "a word of its own,%s, in %s", padded,
	      sql);
}

/* Nothing of the input is in the text: our words, parameters by number and in order, brackets in pairs. */
static void check_sql(const char *sql, size_t n_params)
{
	static const char marks[] = " (),:=<>*|'";
	int open = 0;
	size_t params = 0;

	for (const char *p = sql; *p;) {
		size_t n = 0;
		while (p[n] && is_word(p[n]))
			n++;
		if (n)
			check_word(p, n, sql);
		if (*p == '$')
			HOLDS(strtoul(p + 1, NULL, 10) == ++params, "%s", sql);
		else if (!n)
			HOLDS(strchr(marks, *p), "'%c' in %s", *p, sql);
		open += (*p == '(') - (*p == ')');
		HOLDS(open >= 0, "%s", sql);
		p += n ? n : 1;
		p += *sql && p[-1] == '$' ? strspn(p, "0123456789") : 0;
	}
	HOLDS(open == 0 && params == n_params, "%zu parameters for %s", n_params, sql);
}

static void check_params(const struct list *l)
{
	HOLDS(l->n_params <= ARRAY_SIZE(l->params), "%zu parameters", l->n_params);
	for (size_t i = 0; i < l->n_params; i++)
		HOLDS(l->params[i].kind != DB_TEXT || (utf8_valid(l->params[i].s.ptr, l->params[i].s.len) &&
						       !memchr(l->params[i].s.ptr, 0, l->params[i].s.len)),
		      "parameter %zu", i);
}

static void start(struct list *l, struct arena *a, char flags, struct str key)
{
	AdminSort sort = ADMIN_SORT_INIT;

	sort.key = arena_strndup(a, key.ptr, key.len);
	sort.direction = flags & 2 ? ADMIN_SORT_DIRECTION_DESCENDING : ADMIN_SORT_DIRECTION_ASCENDING;
	list_init(l, a, "ListTasks", ENTITIES);
	if (flags & 1)
		list_then_by(l, &COLUMNS[2]);
	list_select(l, "columns", "tasks t", "t.id", key.len ? &sort : NULL);
}

/* The token behind a row is taken for the next page. */
static void check_token(struct arena *a, char flags, struct str key, struct str value)
{
	auto_list struct list l;
	struct err err = {0};
	uint32_t limit = 20000;

	start(&l, a, flags, key);
	if (l.bad_sort)
		return;
	if (!l.sort)
		value = STR("");
	else if (l.sort->kind != COLUMN_TEXT)
		value = STR("1763712000000000");
	const char *sort_value = arena_printf(a, "%s%.*s", l.then ? "2 " : "", STR_ARG(value));
	const char *token = list_token(&l, str_of(sort_value), 17);
	enum code c = list_page(&l, &limit, token, &err);
	HOLDS(!c && limit == 10000, "%s: %s", token, err.text);
	check_sql(buf_text(&l.sql), l.n_params);
	HOLDS(l.params[l.n_params - 2].i == 17, "the id is lost");
	if (l.sort && l.sort->kind == COLUMN_TEXT)
		HOLDS(str_eq(l.params[0].s, value), "the value is lost: %.*s", STR_ARG(l.params[0].s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_list struct list l = {0};
	struct err err = {0};
	uint32_t limit = 100;

	/* A request's texts are UTF-8 without NUL. */
	if (size == 0 || !utf8_valid(data, size) || memchr(data, 0, size))
		return 0;
	struct str rest = {(const char *)data + 1, size - 1};
	struct str key = str_cut(&rest, '\n');
	struct str token = rest.ptr ? str_cut(&rest, '\n') : STR("");
	const char *filters = rest.ptr ? arena_strndup(a, rest.ptr, rest.len) : "";
	start(&l, a, (char)data[0], key);
	enum code c = list_filter(&l, filters, &err);
	if (!c)
		c = list_page(&l, &limit, arena_strndup(a, token.ptr, token.len), &err);
	check_error(c, &err);
	HOLDS(c == OK || c == INVALID_ARGUMENT, "%s", err.text);
	check_memory(a, size + l.sql.cap, PER_BYTE);
	check_params(&l);
	if (!c)
		check_sql(buf_text(&l.sql), l.n_params);
	check_token(a, (char)data[0], key, token);
	return 0;
}
