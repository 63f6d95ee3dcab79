/* Several statements in one round trip, and pools whose plans are made once, against a real Postgres. */
#include "fixture.h"

static const struct db_migration MIGRATIONS[] = {
	{"001_init", "CREATE TABLE t (id bigint PRIMARY KEY, word text)"},
	{0},
};

static const struct db_stmt BEGIN = {"begin", "BEGIN"};
static const struct db_stmt INSERT = {"insert", "INSERT INTO t SELECT i, $2 FROM generate_series(1, $1::bigint) i"};
static const struct db_stmt UPDATE = {"update", "UPDATE t SET word = $1 WHERE id > $2"};
static const struct db_stmt CLEAR = {"clear", "DELETE FROM t"};
static const struct db_stmt COUNT = {"count", "SELECT count(*) FROM t WHERE word = 'new'"};
static const struct db_stmt CAST = {"cast", "SELECT $1::text::bigint"};
static const struct db_stmt JOIN = {"join", "SELECT t.word FROM t JOIN unnest($1::bigint[]) k (id) ON t.id = k.id"};

static int64_t rows_there(struct db *db)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct err err;

	if (db_query(db, &COUNT, &rows, &err))
		fail_msg("%s", err.text);
	return db_get_i64(rows, 0, 0);
}

static void each_says_what_it_changed(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	const struct db_param insert[] = {db_i64(10), db_text("old")}, update[] = {db_text("new"), db_i64(3)};
	struct db_step steps[] = {{&CLEAR, 0, NULL, 0}, {&INSERT, 2, insert, 0}, {&UPDATE, 2, update, 0}};
	struct err err;

	for (int i = 0; i < 3; i++) {
		if (db_exec_steps(db, steps, ARRAY_SIZE(steps), &err))
			fail_msg("%s", err.text);
		assert_int_equal(steps[0].affected, i ? 10 : 0);
		assert_int_equal(steps[1].affected, 10);
		assert_int_equal(steps[2].affected, 7);
		assert_int_equal(rows_there(db), 7);
	}
	assert_int_equal(db_exec_steps(db, NULL, 0, &err), OK);
}

static void a_transaction_may_begin_here(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db(), *other = take_db();
	const struct db_param update[] = {db_text("new"), db_i64(0)}, back[] = {db_text("old"), db_i64(0)};
	struct db_step steps[] = {{&BEGIN, 0, NULL, 0}, {&UPDATE, 2, update, 0}}, undo = {&UPDATE, 2, back, 0};
	struct err err;

	assert_int_equal(db_exec_steps(db, &undo, 1, &err), OK);
	assert_int_equal(db_exec_steps(db, steps, 2, &err), OK);
	assert_int_equal(rows_there(other), 0);
	assert_int_equal(db_commit(db, &err), OK);
	assert_int_equal(rows_there(other), 10);
	assert_int_equal(db_exec_steps(db, &undo, 1, &err), OK);
	assert_int_equal(db_exec_steps(db, steps, 2, &err), OK);
	db_rollback(db);
	assert_int_equal(rows_there(other), 0);
}

static void an_error_is_that_of_all(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	const struct db_param update[] = {db_text("new"), db_i64(0)}, bad[] = {db_text("no number")};
	struct db_step steps[] = {{&UPDATE, 2, update, 0}, {&CAST, 1, bad, 0}, {&CLEAR, 0, NULL, 0}};
	struct db_step begun[] = {{&BEGIN, 0, NULL, 0}, {&UPDATE, 2, update, 0}, {&CAST, 1, bad, 0}};
	struct err err;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(db_exec_steps(db, steps, ARRAY_SIZE(steps), &err), INVALID_ARGUMENT);
		assert_non_null(strstr(err.text, "cast"));
		assert_int_equal(steps[0].affected, 0);
		assert_int_equal(rows_there(db), 0);
	}
	assert_int_equal(db_exec_steps(db, begun, ARRAY_SIZE(begun), &err), INVALID_ARGUMENT);
	assert_int_equal(db_commit(db, &err), INTERNAL);
	assert_int_equal(rows_there(db), 0);
}

/* How often it was planned for its values. */
static int64_t planned_again(struct db *db, const char *name)
{
	static const struct db_stmt plans = {"plans",
					     "SELECT custom_plans FROM pg_prepared_statements WHERE name = $1"};
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct err err;

	if (db_query(db, &plans, &rows, &err, db_text(name)))
		fail_msg("%s", err.text);
	return db_get_i64(rows, 0, 0);
}

static int64_t join_often(struct db_pool *p)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_give) struct db *db = NULL;
	struct db_array *ids = db_array_new(a, db_i64(0));
	struct err err;

	db_array_add(ids, db_i64(3));
	assert_int_equal(db_take(p, &db, &err), OK);
	for (int i = 0; i < 20; i++) {
		auto_free(db_rows_free) struct db_rows *rows = NULL;
		assert_int_equal(db_query(db, &JOIN, &rows, &err, db_array(ids)), OK);
		assert_int_equal(db_rows_count(rows), 1);
	}
	return planned_again(db, JOIN.name);
}

static void keyed_pools_plan_once(void **state)
{
	(void)state;
	auto_free(db_pool_free) struct db_pool *keyed = new_pool_of("test", 1, true);

	assert_int_equal(join_often(keyed), 0);
	assert_int_equal(join_often(pool), 20);
}

static int setup(void **state)
{
	(void)state;
	return world_start(MIGRATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_says_what_it_changed),
		cmocka_unit_test(a_transaction_may_begin_here),
		cmocka_unit_test(an_error_is_that_of_all),
		cmocka_unit_test(keyed_pools_plan_once),
	};

	return cmocka_run_group_tests_name("db steps", tests, setup, world_stop);
}
