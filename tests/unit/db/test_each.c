/* A statement for many sets of parameters at once, against a real Postgres. */
#include "fixture.h"

static const struct db_migration MIGRATIONS[] = {
	{"001_init", "CREATE TABLE t (id bigint PRIMARY KEY, small integer);"
		     "CREATE TABLE child (id bigint REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED);"},
	{0},
};

static const struct db_stmt SERIES = {
	"series", "SELECT $1::bigint * 10 + i, $2::text FROM generate_series(1, $1::bigint) i ORDER BY i"};
static const struct db_stmt CAST = {"cast", "SELECT $1::text::bigint"};
static const struct db_stmt COUNT = {"count", "SELECT count(*) FROM t"};
static const struct db_stmt INSERT = {"insert", "INSERT INTO t VALUES ($1, $2) RETURNING small"};

static int64_t number(struct db *db, const struct db_stmt *stmt)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct err err;

	if (db_query(db, stmt, &rows, &err))
		fail_msg("%s", err.text);
	return db_get_i64(rows, 0, 0);
}

static int64_t backend(struct db *db)
{
	static const struct db_stmt pid = {"backend", "SELECT pg_backend_pid()"};

	return number(db, &pid);
}

static void free_rows(struct db_rows **rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		db_rows_free(rows[i]);
}

/* Set i asks for i % 4 rows; every third has a NULL. */
static void check_series(struct db *db, size_t n)
{
	struct db_param params[2 * 32] = {0};
	struct db_rows *rows[32];
	struct err err;

	for (size_t i = 0; i < n; i++) {
		params[2 * i] = db_i64((int64_t)i % 4);
		params[2 * i + 1] = i % 3 ? db_text("word") : db_null();
	}
	if (db_query_each(db, &SERIES, 2, params, n, rows, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(db_rows_count(rows[i]), i % 4);
		for (size_t k = 0; k < i % 4; k++) {
			assert_int_equal(db_get_i64(rows[i], k, 0), i % 4 * 10 + k + 1);
			assert_true(i % 3 ? str_is(db_get_str(rows[i], k, 1), "word") : db_is_null(rows[i], k, 1));
		}
	}
	free_rows(rows, n);
}

static void each_set_has_its_rows(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();

	check_series(db, 32);
	check_series(db, 1);
	check_series(db, 2);
	assert_int_equal(number(db, &COUNT), 0);
	check_series(db, 32);
}

static void none_is_nothing(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct db_rows *mark = (void *)&mark;
	struct err err;

	assert_int_equal(db_query_each(db, &CAST, 1, NULL, 0, &mark, &err), OK);
	assert_ptr_equal(mark, &mark);
	assert_int_equal(number(db, &COUNT), 0);
}

static void without_parameters(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct db_rows *rows[3];
	struct err err;

	assert_int_equal(db_query_each(db, &COUNT, 0, NULL, 3, rows, &err), OK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(db_get_i64(rows[i], 0, 0), 0);
	free_rows(rows, 3);
}

/* The column is an integer: the server would infer that of a NULL, and take 64 bits for garbage. */
static void null_before_a_wider_kind(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct db_param params[] = {db_i64(1), db_null(), db_i64(2), db_i64(77)};
	struct db_rows *rows[2];
	struct err err;

	if (db_query_each(db, &INSERT, 2, params, 2, rows, &err))
		fail_msg("%s", err.text);
	assert_true(db_is_null(rows[0], 0, 0));
	assert_int_equal(db_get_i64(rows[1], 0, 0), 77);
	free_rows(rows, 2);
}

static void inside_a_transaction(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct db_param params[] = {db_i64(10), db_i64(1), db_i64(11), db_i64(2)};
	struct db_rows *rows[2];
	struct err err;
	int64_t before = number(db, &COUNT);

	for (int commit = 0; commit < 2; commit++) {
		assert_int_equal(db_begin(db, &err), OK);
		check_series(db, 8);
		assert_int_equal(db_query_each(db, &INSERT, 2, params, 2, rows, &err), OK);
		free_rows(rows, 2);
		assert_int_equal(number(db, &COUNT), before + 2);
		if (commit)
			assert_int_equal(db_commit(db, &err), OK);
		else
			db_rollback(db);
		assert_int_equal(number(db, &COUNT), before + 2 * commit);
	}
}

/* ---- errors ---- */

static void one_error_is_that_of_all(void **state)
{
	(void)state;
	struct db *db = take_db();
	struct db_rows *rows[9], *none[9] = {0};
	struct db_param params[9];
	struct err err;
	int64_t pid = backend(db);

	for (size_t bad = 0; bad < 9; bad += 4) {
		memset(rows, 0, sizeof rows);
		for (size_t i = 0; i < 9; i++)
			params[i] = db_text(i == bad ? "x" : "5");
		assert_int_equal(db_query_each(db, &CAST, 1, params, 9, rows, &err), INVALID_ARGUMENT);
		assert_string_equal(err.text, "database: cast: invalid input syntax for type bigint: \"x\"");
		assert_memory_equal(rows, none, sizeof rows);
		check_series(db, 4);
	}
	db_give(db);
	db = take_db();
	assert_int_equal(backend(db), pid); /* it was given back whole */
	db_give(db);
}

/* What came before the error has not happened. */
static void an_error_undoes_all(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct db_param params[] = {db_i64(20), db_null(), db_i64(21), db_null(), db_i64(20), db_null()};
	struct db_rows *rows[3];
	struct err err;
	int64_t before = number(db, &COUNT);

	assert_int_equal(db_query_each(db, &INSERT, 2, params, 3, rows, &err), ALREADY_EXISTS);
	assert_int_equal(number(db, &COUNT), before);
	assert_int_equal(db_begin(db, &err), OK);
	assert_int_equal(db_query_each(db, &INSERT, 2, params, 3, rows, &err), ALREADY_EXISTS);
	assert_int_equal(db_commit(db, &err), INTERNAL);
	assert_int_equal(number(db, &COUNT), before);
}

/* All statements were answered, but what they did cannot be committed. */
static void a_commit_may_fail_too(void **state)
{
	(void)state;
	static const struct db_stmt insert = {"insert_child", "INSERT INTO child VALUES ($1) RETURNING id"};
	static const struct db_stmt count = {"count_children", "SELECT count(*) FROM child"};
	struct db_param params[] = {db_i64(404), db_i64(405)};
	struct db_rows *mark = (void *)&mark, *rows[] = {mark, mark};
	struct db *db = take_db();
	struct err err;

	assert_int_equal(db_query_each(db, &insert, 1, params, 2, rows, &err), FAILED_PRECONDITION);
	assert_ptr_equal(rows[0], mark);
	db_give(db);
	db = take_db();
	assert_int_equal(number(db, &count), 0);
	db_give(db);
}

static void what_cannot_be_prepared(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	static const struct db_stmt bad = {"bad", "SELECT $1::text FROM nowhere"};
	struct db_param params[] = {db_text("a"), db_text("b")};
	struct db_rows *rows[2];
	struct err err;

	assert_int_equal(db_query_each(db, &bad, 1, params, 2, rows, &err), INTERNAL);
	check_series(db, 4);
}

/* The server ends the connection before the pipeline, and in the midst of it. */
static void a_lost_connection_is_unavailable(void **state)
{
	(void)state;
	static const struct db_stmt end = {"end", "SELECT pg_terminate_backend($1::integer)"};
	struct err err;

	for (int in_the_midst = 0; in_the_midst < 2; in_the_midst++) {
		struct db *db = take_db(), *other = take_db();
		struct db_rows *mark = (void *)&mark, *rows[8];
		struct db_param params[8];
		int32_t pid = (int32_t)backend(db);

		check_series(db, 4);
		for (size_t i = 0; i < 8; i++) {
			params[i] = db_i32(i == 3 && in_the_midst ? pid : 0);
			rows[i] = mark;
		}
		if (!in_the_midst) {
			auto_free(db_rows_free) struct db_rows *ended = NULL;
			assert_int_equal(db_query(db, &end, &ended, &err, db_i32(0)), OK);
			db_rows_free(take(ended));
			assert_int_equal(db_query(other, &end, &ended, &err, db_i32(pid)), OK);
		}
		assert_int_equal(db_query_each(db, &end, 1, params, 8, rows, &err), UNAVAILABLE);
		for (size_t i = 0; i < 8; i++)
			assert_ptr_equal(rows[i], mark);
		db_give(db);
		db_give(other);
		db = take_db();
		assert_int_not_equal(backend(db), pid);
		check_series(db, 4);
		db_give(db);
	}
}

/* ---- more than the sockets hold ---- */

static void large_in_both_directions(void **state)
{
	(void)state;
	static const struct db_stmt echo = {"echo", "SELECT $1::bytea, repeat('y', 1 << 20)"};
	auto_free(db_give) struct db *db = take_db();
	auto_mem char *bytes = x_calloc(1, 1 << 20);
	struct db_param params[32];
	struct db_rows *rows[32];
	struct err err;

	memset(bytes, 'x', 1 << 20);
	for (size_t i = 0; i < 32; i++)
		params[i] = db_bytea((struct str){bytes, (1 << 20) - i});
	if (db_query_each(db, &echo, 1, params, 32, rows, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < 32; i++) {
		assert_int_equal(db_get_str(rows[i], 0, 0).len, (1 << 20) - i);
		assert_int_equal(db_get_str(rows[i], 0, 1).len, 1 << 20);
	}
	free_rows(rows, 32);
}

static int setup(void **state)
{
	(void)state;
	return world_start(MIGRATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_set_has_its_rows),    cmocka_unit_test(none_is_nothing),
		cmocka_unit_test(without_parameters),       cmocka_unit_test(null_before_a_wider_kind),
		cmocka_unit_test(inside_a_transaction),     cmocka_unit_test(one_error_is_that_of_all),
		cmocka_unit_test(an_error_undoes_all),      cmocka_unit_test(a_commit_may_fail_too),
		cmocka_unit_test(what_cannot_be_prepared),  cmocka_unit_test(a_lost_connection_is_unavailable),
		cmocka_unit_test(large_in_both_directions),
	};

	return cmocka_run_group_tests_name("db each", tests, setup, world_stop);
}
