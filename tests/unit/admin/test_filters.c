/* Filter expressions become SQL of our own texts and parameters only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "filters.h"
#include "list_of_tasks.h"

struct fixture {
	struct arena *arena;
	struct list list;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = x_calloc(1, sizeof *f);

	f->arena = arena_new(0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	list_clear(&f->list);
	arena_free(f->arena);
	free(f);
	return 0;
}

static enum code filter(struct fixture *f, const char *text)
{
	list_clear(&f->list);
	list_init(&f->list, f->arena, "ListTasks", ENTITIES);
	return list_filter(&f->list, text, &f->err);
}

/* "SQL | parameters" */
static const char *show(struct fixture *f)
{
	auto_buf struct buf b = {0};

	buf_printf(&b, "%s |", buf_text(&f->list.sql));
	for (size_t i = 0; i < f->list.n_params; i++) {
		const struct db_param *p = &f->list.params[i];
		if (p->kind == DB_TEXT)
			buf_printf(&b, " '%.*s'", STR_ARG(p->s));
		else
			buf_printf(&b, " %lld", (long long)p->i);
	}
	return arena_strdup(f->arena, buf_text(&b));
}

static void test_filters(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", " |"},
		{"eq(name,x)", " WHERE (t.name) = $1::text | 'x'"},
		{"eq(name, x)", " WHERE (t.name) = $1::text | 'x'"},
		{"ne(task.name,x)", " WHERE (t.name) <> $1::text | 'x'"},
		{"eq(workflow.name,x)", " WHERE (w.name) = $1::text | 'x'"},
		{"contains(name,x)", " WHERE (t.name) LIKE $1::text | '%x%'"},
		{"not_like(name,.f%)", " WHERE (t.name) NOT LIKE $1::text | '.f%'"},
		{"eq(name,f(a))", " WHERE (t.name) = $1::text | 'f(a)'"},
		{"value_in(name,a;b)", " WHERE (t.name) IN ($1::text, $2::text) | 'a' 'b'"},
		{"value_not_in(state,1)", " WHERE (t.state) NOT IN ($1::bigint) | 1"},
		{"gt(state,1)+lte(state,5)", " WHERE (t.state) > $1::bigint AND (t.state) <= $2::bigint | 1 5"},
		{"value_in(phase,QUEUED;RUNNING;7)",
		 " WHERE (t.phase) IN ($1::bigint, $2::bigint, $3::bigint) | 1 2 7"},
		{"contains(state,1)", " WHERE (t.state)::text LIKE $1::text | '%1%'"},
		{"gte(created_at,1970-01-01T00:00:02Z)", " WHERE (t.created_at) >= $1::timestamptz | 2000000"},
		{"gte(created_at,1970-01-02)", " WHERE (t.created_at) >= $1::timestamptz | 86400000000"},
		{"gte(created_at,1970-01-02 00:00:01)", " WHERE (t.created_at) >= $1::timestamptz | 86401000000"},
		{"gt(duration,1.5)", " WHERE (t.duration) > $1::bigint | 1500000"},
		{"gt(duration,2m)", " WHERE (t.duration) > $1::bigint | 120000000"},
		{"eq(name,'; DROP TABLE x --)", " WHERE (t.name) = $1::text | ''; DROP TABLE x --'"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (filter(f, cases[i].text))
			fail_msg("%s: %s", cases[i].text, f->err.text);
		assert_string_equal(show(f), cases[i].expected);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"name", "invalid value for filters"},
		{"eq(name)", "invalid value for filters"},
		{"eq(,x)", "invalid value for filters"},
		{"eq(name,)", "invalid value for filters"},
		{"(name,x)", "invalid value for filters"},
		{"eq(name,x)+", "invalid value for filters"},
		{"eq(Name,x)", "'t.Name' is invalid filter"},
		{"eq(workflow.version,x)", "'w.version' is invalid filter"},
		{"eq(execution.name,x)", "'e' entity is not allowed in filters"},
		{"eq(nobody.name,x)", "'t.nobody.name' is invalid filter"},
		{"like(name,x)", "unrecognized filter function: like"},
		{"eq(state,x)", "invalid value [x] for state: a number is expected"},
		{"gt(created_at,x)", "Timestamp x must conform to RFC3339 Nano spec"},
		{"gt(duration,x)", "Failed to parse duration [x]"},
		{"eq(state,1;2)", "invalid single value filter expression: eq"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(filter(f, cases[i].text), INVALID_ARGUMENT);
		assert_string_equal(f->err.text, cases[i].expected);
	}
}

/* What may have several rows must have one that all filters fit. */
static void test_rows_that_belong(void **state)
{
	struct fixture *f = *state;

	if (filter(f, "value_in(admin_tag.name,a;b)+eq(name,n)+eq(admin_tag.value,v)"))
		fail_msg("%s", f->err.text);
	assert_string_equal(show(f), " WHERE (t.name) = $1::text AND EXISTS (SELECT FROM tags g WHERE g.of = t.id AND "
				     "(g.name) IN ($2::text, $3::text) AND (g.value) = $4::text) | 'n' 'a' 'b' 'v'");
	assert_int_equal(filter(f, "eq(admin_tag.other,a)"), INVALID_ARGUMENT);
}

static void test_sort(void **state)
{
	struct fixture *f = *state;
	AdminSort sort = ADMIN_SORT_INIT;

	sort.key = "created_at";
	list_init(&f->list, f->arena, "ListTasks", ENTITIES);
	list_select(&f->list, "t.x", "tasks t", "t.id", &sort);
	list_where(&f->list, "t.project", db_text("p"));
	assert_string_equal(
		show(f), "SELECT (extract(epoch FROM t.created_at) * 1000000)::bigint::text AS sort_value, t.id, t.x "
			 "FROM tasks t WHERE t.project = $1 | 'p'");
	assert_true(f->list.descending);
	sort.key = "closure";
	list_clear(&f->list);
	list_select(&f->list, "t.x", "tasks t", "t.id", &sort);
	assert_int_equal(list_filter(&f->list, "nonsense", &f->err), INVALID_ARGUMENT);
	assert_string_equal(f->err.text, "invalid value for filters");
	assert_int_equal(list_run(&f->list, NULL, 1, "x", NULL, NULL, &f->err), INVALID_ARGUMENT);
	assert_string_equal(f->err.text, "invalid sort key 'closure'");
	sort.key = "name";
	sort.direction = 5;
	list_clear(&f->list);
	list_select(&f->list, "t.x", "tasks t", "t.id", &sort);
	assert_int_equal(list_run(&f->list, NULL, 1, "", NULL, NULL, &f->err), INVALID_ARGUMENT);
	assert_string_equal(f->err.text, "invalid sort order specified: 5");
}

static void test_too_many_values(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf b = {0};

	buf_adds(&b, "value_in(name,a");
	for (int i = 0; i < 250; i++)
		buf_adds(&b, ";a");
	buf_adds(&b, ")");
	assert_int_equal(filter(f, buf_text(&b)), INVALID_ARGUMENT);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_filters), TEST(test_errors),          TEST(test_rows_that_belong),
		TEST(test_sort),    TEST(test_too_many_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
