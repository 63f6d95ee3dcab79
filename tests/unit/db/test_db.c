/* The database module against a real Postgres that is restarted. */
#include "fixture.h"

static const struct db_migration MIGRATIONS[] = {
	{"001_init", "CREATE TABLE t (id bigint PRIMARY KEY, name text, data bytea, flag boolean, at timestamptz,"
		     " weight double precision, small integer);"},
	{"002_more", "CREATE TABLE u (id bigint REFERENCES t (id)); CREATE INDEX ON u (id);"},
	{0},
};

static int setup(void **state)
{
	(void)state;
	return world_start(MIGRATIONS);
}

static const struct db_stmt INSERT = {"insert", "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7)"};
static const struct db_stmt BY_ID = {"by_id", "SELECT * FROM t WHERE id = $1"};
static const struct db_stmt REFER = {"refer", "INSERT INTO u VALUES ($1)"};
static const struct db_stmt COUNT = {"count", "SELECT count(*) FROM t"};

static void test_types(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	auto_free(db_rows_free) struct db_rows *r = NULL, *none = NULL;
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err;
	int64_t n = 0;
	const int64_t at_us = INT64_C(1763708580123456);

	assert_int_equal(db_exec(db, &INSERT, &n, &err, db_i64(-5), db_text("ä'\"\\"),
				 db_bytea(((struct str){"a\0b", 3})), db_bool(true), db_time(at_us), db_f64(-0.5),
				 db_i32(-7)),
			 OK);
	assert_int_equal(n, 1);
	assert_int_equal(db_query(db, &BY_ID, &r, &err, db_i64(-5)), OK);
	assert_int_equal(db_rows_count(r), 1);
	assert_int_equal(db_get_i64(r, 0, 0), -5);
	assert_string_equal(db_get_text(r, 0, 1, a), "ä'\"\\");
	assert_true(str_eq(db_get_str(r, 0, 2), (struct str){"a\0b", 3}));
	assert_true(db_get_bool(r, 0, 3));
	assert_int_equal(db_get_time_us(r, 0, 4), at_us);
	assert_true(db_get_f64(r, 0, 5) == -0.5);
	assert_int_equal(db_get_i64(r, 0, 6), -7);

	assert_int_equal(db_exec(db, &INSERT, NULL, &err, db_i64(6), db_null(), db_null(), db_null(), db_time(0),
				 db_null(), db_null()),
			 OK);
	db_rows_free(take(r));
	assert_int_equal(db_query(db, &BY_ID, &r, &err, db_i64(6)), OK);
	for (int col = 1; col < 7; col++)
		assert_true(db_is_null(r, 0, col));
	assert_int_equal(db_get_time_us(r, 0, 4), 0);
	assert_int_equal(db_query(db, &BY_ID, &none, &err, db_i64(404)), OK);
	assert_int_equal(db_rows_count(none), 0);
}

static void test_errors(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct err err;
	static const struct db_stmt bad = {"bad", "SELECT nonsense FROM nowhere"};
	static const struct db_stmt cast = {"cast", "SELECT $1::text::bigint"};
	auto_free(db_rows_free) struct db_rows *r = NULL;

#define ROW(id) db_i64(id), db_null(), db_null(), db_null(), db_null(), db_null(), db_null()
	assert_int_equal(db_exec(db, &INSERT, NULL, &err, ROW(100)), OK);
	assert_int_equal(db_exec(db, &INSERT, NULL, &err, ROW(100)), ALREADY_EXISTS);
	assert_int_equal(db_exec(db, &REFER, NULL, &err, db_i64(12345)), FAILED_PRECONDITION);
	assert_int_equal(db_query(db, &bad, &r, &err), INTERNAL);
	assert_int_equal(db_query(db, &cast, &r, &err, db_text("x")), INVALID_ARGUMENT);
	assert_null(r);
	/* A failed statement spoils its transaction, not the connection. */
	assert_int_equal(db_begin(db, &err), OK);
	assert_int_equal(db_exec(db, &INSERT, NULL, &err, ROW(101)), OK);
	assert_int_equal(db_exec(db, &INSERT, NULL, &err, ROW(100)), ALREADY_EXISTS);
	assert_int_equal(db_commit(db, &err), INTERNAL);
	assert_int_equal(db_query(db, &BY_ID, &r, &err, db_i64(101)), OK);
	assert_int_equal(db_rows_count(r), 0);
}

static int64_t backend(struct db *db)
{
	static const struct db_stmt PID = {"pid", "SELECT pg_backend_pid()"};
	auto_free(db_rows_free) struct db_rows *r = NULL;

	assert_int_equal(db_query(db, &PID, &r, NULL), OK);
	return db_get_i64(r, 0, 0);
}

/* A primary that has become a standby refuses writes on connections that stand: they must not stay. */
static void test_read_only(void **state)
{
	static const struct db_stmt READ_ONLY = {"read_only", "SET default_transaction_read_only TO on"};
	struct db *db = take_db();
	struct err err;

	(void)state;
	int64_t pid = backend(db);
	assert_int_equal(db_exec(db, &READ_ONLY, NULL, &err), OK);
	assert_int_equal(db_exec(db, &INSERT, NULL, &err, ROW(102)), UNAVAILABLE);
	db_give(db);
	db = take_db();
	assert_true(backend(db) != pid);
	assert_int_equal(db_exec(db, &INSERT, NULL, &err, ROW(102)), OK);
	db_give(db);
}

/* The server finds out that we are gone. */
static void test_keepalive(void **state)
{
	static const struct db_stmt IDLE = {"idle", "SELECT setting::bigint FROM pg_settings WHERE name = "
						    "'tcp_keepalives_idle'"};
	auto_free(db_give) struct db *db = take_db();
	auto_free(db_rows_free) struct db_rows *r = NULL;

	(void)state;
	assert_int_equal(db_query(db, &IDLE, &r, NULL), OK);
	assert_in_range(db_get_i64(r, 0, 0), 1, 60);
}

static void test_give_back_open(void **state)
{
	(void)state;
	struct err err;
	struct db *db = take_db();

	assert_int_equal(db_begin(db, &err), OK);
	assert_int_equal(db_exec(db, &INSERT, NULL, &err, ROW(200)), OK);
	db_give(db);
	db = take_db();
	auto_free(db_rows_free) struct db_rows *r = NULL;
	assert_int_equal(db_query(db, &BY_ID, &r, &err, db_i64(200)), OK);
	assert_int_equal(db_rows_count(r), 0);
	db_give(db);
}

static void test_arrays(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_rows_free) struct db_rows *r = NULL, *empty = NULL;
	struct err err;
	static const struct db_stmt batch = {
		"batch", "INSERT INTO t (id, name, data, flag, at, weight, small) SELECT * FROM unnest($1::bigint[], "
			 "$2::text[], $3::bytea[], $4::boolean[], $5::timestamptz[], $6::float8[], $7::integer[])"};
	static const struct db_stmt any = {"any", "SELECT id, name FROM t WHERE id = ANY($1) ORDER BY id"};
	struct db_array *id = db_array_new(a, db_i64(0)), *name = db_array_new(a, db_text(""));
	struct db_array *data = db_array_new(a, db_bytea(STR(""))), *flag = db_array_new(a, db_bool(false));
	struct db_array *at = db_array_new(a, db_time(1)), *weight = db_array_new(a, db_f64(0));
	struct db_array *small = db_array_new(a, db_i32(0)), *wanted = db_array_new(a, db_i64(0));
	struct db_array *nothing = db_array_new(a, db_i64(0));
	int64_t n = 0;

	for (int i = 0; i < 5000; i++) {
		db_array_add(id, db_i64(1000 + i));
		db_array_add(name, i % 2 ? db_text("odd") : db_null());
		db_array_add(data, db_bytea(STR("xyz")));
		db_array_add(flag, db_bool(i % 3 == 0));
		db_array_add(at, db_time(i ? i * USEC_PER_SEC : 0));
		db_array_add(weight, db_f64(i));
		db_array_add(small, db_i32(i));
	}
	assert_int_equal(db_exec(db, &batch, &n, &err, db_array(id), db_array(name), db_array(data), db_array(flag),
				 db_array(at), db_array(weight), db_array(small)),
			 OK);
	assert_int_equal(n, 5000);
	db_array_add(wanted, db_i64(1001));
	db_array_add(wanted, db_i64(1002));
	assert_int_equal(db_query(db, &any, &r, &err, db_array(wanted)), OK);
	assert_int_equal(db_rows_count(r), 2);
	assert_true(str_is(db_get_str(r, 0, 1), "odd"));
	assert_true(db_is_null(r, 1, 1));
	assert_int_equal(db_query(db, &any, &empty, &err, db_array(nothing)), OK);
	assert_int_equal(db_rows_count(empty), 0);
}

static void test_copy(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	auto_free(db_rows_free) struct db_rows *before = NULL, *after = NULL;
	struct err err;

	assert_int_equal(db_query(db, &COUNT, &before, &err), OK);
	int64_t start_us = time_mono_us();
	assert_int_equal(db_copy_start(db, "COPY t (id, name) FROM STDIN BINARY", &err), OK);
	for (int i = 0; i < 100000; i++) {
		struct db_param row[] = {db_i64(100000 + i), i % 2 ? db_text("copied") : db_null()};
		assert_int_equal(db_copy_row(db, 2, row, &err), OK);
	}
	assert_int_equal(db_copy_finish(db, &err), OK);
	print_message("%d rows a second by COPY\n", (int)(100000 * USEC_PER_SEC / (time_mono_us() - start_us)));
	assert_int_equal(db_query(db, &COUNT, &after, &err), OK);
	assert_int_equal(db_get_i64(after, 0, 0) - db_get_i64(before, 0, 0), 100000);

	assert_int_equal(db_copy_start(db, "COPY t (id, name) FROM STDIN BINARY", &err), OK);
	struct db_param twice[] = {db_i64(100000), db_null()};
	assert_int_equal(db_copy_row(db, 2, twice, &err), OK);
	assert_int_equal(db_copy_finish(db, &err), ALREADY_EXISTS);
	auto_free(db_rows_free) struct db_rows *still = NULL;
	assert_int_equal(db_query(db, &COUNT, &still, &err), OK);
}

static void test_text_statements(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct err err;

	for (int i = 0; i < 300; i++) {
		auto_free(db_rows_free) struct db_rows *r = NULL;
		auto_mem char *sql = x_printf("SELECT $1 + %d", i);
		struct db_stmt stmt = {"text", sql};
		assert_int_equal(db_query_text(db, &stmt, 1, (struct db_param[]){db_i64(1)}, &r, &err), OK);
		assert_int_equal(db_get_i64(r, 0, 0), i + 1);
	}
	auto_free(db_rows_free) struct db_rows *r = NULL;
	static const struct db_stmt kept = {"kept", "SELECT count(*) FROM pg_prepared_statements"};
	assert_int_equal(db_query(db, &kept, &r, &err), OK);
	assert_true(db_get_i64(r, 0, 0) < 20); /* no plan of theirs stays */
}

/* A NULL has no type: the one that the server infers must not garble a later value of another. */
static void test_null_first(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct err err;
	static const struct db_stmt stmt = {"null_first", "INSERT INTO t (id, small) VALUES ($1, $2)"};
	static const struct db_stmt small = {"small", "SELECT small FROM t WHERE id = $1"};
	static const struct db_stmt text = {"text", "SELECT $1 + 1::integer"};

	assert_int_equal(db_exec(db, &stmt, NULL, &err, db_i64(300), db_null()), OK);
	assert_int_equal(db_exec(db, &stmt, NULL, &err, db_i64(301), db_i64(77)), OK);
	assert_int_equal(db_exec(db, &stmt, NULL, &err, db_i64(302), db_null()), OK);
	assert_int_equal(db_exec(db, &stmt, NULL, &err, db_i32(303), db_i32(78)), OK);
	for (int i = 300; i < 304; i++) {
		auto_free(db_rows_free) struct db_rows *r = NULL;
		static const int expected[] = {0, 77, 0, 78};
		assert_int_equal(db_query(db, &small, &r, &err, db_i64(i)), OK);
		assert_int_equal(db_get_i64(r, 0, 0), expected[i - 300]);
		assert_int_equal(db_is_null(r, 0, 0), expected[i - 300] == 0);
	}
	for (int i = 0; i < 3; i++) {
		auto_free(db_rows_free) struct db_rows *r = NULL;
		struct db_param param = i == 1 ? db_i64(INT64_C(1) << 40) : db_null();
		assert_int_equal(db_query_text(db, &text, 1, &param, &r, &err), OK);
		assert_true(i == 1 ? db_get_i64(r, 0, 0) == (INT64_C(1) << 40) + 1 : db_is_null(r, 0, 0));
	}
}

/* What could not be prepared is prepared anew, when its table is there. */
static void test_prepared_too_early(void **state)
{
	(void)state;
	auto_free(db_give) struct db *db = take_db();
	struct err err;
	static const struct db_stmt create = {"create_late", "CREATE TABLE late (a integer)"};
	static const struct db_stmt alter = {"alter_late", "ALTER TABLE late ALTER a TYPE bigint"};
	static const struct db_stmt read = {"read_late", "SELECT * FROM late"};
	static const struct db_stmt text = {"text", "SELECT a FROM late"};
	auto_free(db_rows_free) struct db_rows *r = NULL;

	assert_int_equal(db_query_text(db, &text, 0, NULL, &r, &err), INTERNAL);
	assert_int_equal(db_query(db, &read, &r, &err), INTERNAL);
	assert_int_equal(db_exec(db, &create, NULL, &err), OK);
	assert_int_equal(db_query_text(db, &text, 0, NULL, &r, &err), OK);
	db_rows_free(take(r));
	assert_int_equal(db_query(db, &read, &r, &err), OK);
	db_rows_free(take(r));
	/* A migration changes the columns behind a prepared statement: not for ever. */
	assert_int_equal(db_exec(db, &alter, NULL, &err), OK);
	assert_int_equal(db_query(db, &read, &r, &err), INTERNAL);
	db_give(db);
	db = take_db();
	assert_int_equal(db_query(db, &read, &r, &err), OK);
}

static void test_give_back_in_copy(void **state)
{
	(void)state;
	struct err err;
	struct db *db = take_db();
	struct db_param row[] = {db_i64(400), db_null()};

	assert_int_equal(db_copy_start(db, "COPY t (id, name) FROM STDIN BINARY", &err), OK);
	assert_int_equal(db_copy_row(db, 2, row, &err), OK);
	db_give(db);
	for (int i = 0; i < 4; i++) {
		db = take_db();
		auto_free(db_rows_free) struct db_rows *r = NULL;
		assert_int_equal(db_query(db, &BY_ID, &r, &err, db_i64(400)), OK);
		assert_int_equal(db_rows_count(r), 0);
		db_give(db);
	}
}

static void *lock_other_way(void *arg)
{
	struct db *db = arg;
	static const struct db_stmt lock = {"lock_row", "UPDATE t SET name = 'x' WHERE id = $1"};

	usleep(50000);
	return (void *)(intptr_t)db_exec(db, &lock, NULL, NULL, db_i64(500));
}

static void test_deadlock_is_aborted(void **state)
{
	(void)state;
	auto_free(db_give) struct db *a = take_db(), *b = take_db();
	static const struct db_stmt lock = {"lock_row", "UPDATE t SET name = 'x' WHERE id = $1"};
	struct err err;
	pthread_t thread;
	void *other;

	assert_int_equal(db_exec(a, &INSERT, NULL, &err, ROW(500)), OK);
	assert_int_equal(db_exec(a, &INSERT, NULL, &err, ROW(501)), OK);
	assert_int_equal(db_begin(a, &err), OK);
	assert_int_equal(db_begin(b, &err), OK);
	assert_int_equal(db_exec(a, &lock, NULL, &err, db_i64(500)), OK);
	assert_int_equal(db_exec(b, &lock, NULL, &err, db_i64(501)), OK);
	pthread_create(&thread, NULL, lock_other_way, b);
	enum code mine = db_exec(a, &lock, NULL, &err, db_i64(501));
	db_rollback(a);
	pthread_join(thread, &other);
	assert_true((mine == ABORTED) != ((intptr_t)other == ABORTED));
	assert_true(mine == OK || (intptr_t)other == OK);
}

static void test_pool_is_bounded(void **state)
{
	(void)state;
	struct db *db[4], *more = NULL;
	struct err err;

	for (int i = 0; i < 4; i++)
		db[i] = take_db();
	assert_int_equal(db_take(pool, &more, &err), UNAVAILABLE);
	for (int i = 0; i < 4; i++)
		db_give(db[i]);
}

static const struct db_stmt NEW_TABLE = {"new_table", "CREATE TABLE growing (id bigint PRIMARY KEY)"};
static const struct db_stmt GROW = {"grow", "INSERT INTO growing SELECT generate_series($1::bigint, $2::bigint)"};
static const struct db_stmt ANALYZE = {"analyze", "ANALYZE growing"};
static const struct db_stmt LOOK_UP = {"look_up", "SELECT id FROM growing WHERE id = ANY($1)"};
static const struct db_stmt FLUSH = {"flush", "SELECT pg_stat_force_next_flush()"};
static const struct db_stmt SCANS = {"scans", "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'growing'"};

static int64_t scans(struct db *db)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;

	assert_int_equal(db_exec(db, &FLUSH, NULL, NULL), OK);
	assert_int_equal(db_query(db, &SCANS, &rows, NULL), OK);
	return db_get_i64(rows, 0, 0);
}

/* A statement that was planned while its table was small does not scan all of it when it has grown. */
static void test_plans_of_growing_tables(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_give) struct db *db = take_db();
	struct db_array *ids = db_array_new(a, db_i64(0));

	for (int64_t i = 1; i < 5; i++)
		db_array_add(ids, db_i64(i));
	assert_int_equal(db_exec(db, &NEW_TABLE, NULL, NULL), OK);
	assert_int_equal(db_exec(db, &GROW, NULL, NULL, db_i64(1), db_i64(20)), OK);
	assert_int_equal(db_exec(db, &ANALYZE, NULL, NULL), OK);
	int64_t before = scans(db);
	for (int i = 0; i < 30; i++) {
		auto_free(db_rows_free) struct db_rows *rows = NULL;
		if (i == 20)
			assert_int_equal(db_exec(db, &GROW, NULL, NULL, db_i64(21), db_i64(20000)), OK);
		assert_int_equal(db_query(db, &LOOK_UP, &rows, NULL, db_array(ids)), OK);
		assert_int_equal(db_rows_count(rows), 4);
	}
	assert_int_equal(scans(db), before);
}

static void test_restart(void **state)
{
	(void)state;
	struct err err;
	struct db *db = take_db();
	auto_free(db_rows_free) struct db_rows *r = NULL;

	assert_int_equal(db_query(db, &COUNT, &r, &err), OK);
	server_stop(&pg, SIGQUIT);
	struct db_rows *none = NULL;
	assert_int_equal(db_query(db, &COUNT, &none, &err), UNAVAILABLE);
	db_give(db);
	struct db *no = NULL;
	assert_int_equal(db_take(pool, &no, &err), UNAVAILABLE);
	postgres_start(&pg);
	db = take_db();
	assert_int_equal(db_query(db, &COUNT, &none, &err), OK);
	db_rows_free(none);
	db_give(db);
}

static void test_migrations(void **state)
{
	(void)state;
	struct err err;
	struct db_migration changed[] = {MIGRATIONS[0], {"002_more", "SELECT 1"}, {0}};
	struct db_migration older[] = {MIGRATIONS[0], {0}};
	struct db_migration newer[] = {MIGRATIONS[0], MIGRATIONS[1], {"003_x", "CREATE TABLE x ()"}, {0}};
	struct db_migration broken[] = {MIGRATIONS[0], MIGRATIONS[1], newer[2], {"004_y", "CREATE TABLE ("}, {0}};

	assert_int_equal(db_migrate(pool, MIGRATIONS, &err), OK);
	assert_int_equal(db_migrate(pool, changed, &err), FAILED_PRECONDITION);
	assert_non_null(strstr(err.text, "002_more"));
	assert_int_equal(db_migrate(pool, older, &err), FAILED_PRECONDITION);
	assert_non_null(strstr(err.text, "newer"));
	assert_int_equal(db_migrate(pool, newer, &err), OK);
	assert_int_equal(db_migrate(pool, broken, &err), INTERNAL);
	assert_non_null(strstr(err.text, "004_y"));
	assert_int_equal(db_migrate(pool, newer, &err), OK);
}

static void test_migration_status(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_pool_free) struct db_pool *p = new_pool("states", 1);
	struct db_migration changed[] = {MIGRATIONS[0], {"002_more", "SELECT 1"}, {"003_x", "CREATE TABLE x ()"}, {0}};
	struct db_migration older[] = {MIGRATIONS[0], {0}};
	struct db_migration_status *rows;
	size_t n;
	struct err err;

	assert_int_equal(db_migration_status(p, MIGRATIONS, a, &rows, &n, &err), OK);
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].state, MIGRATION_PENDING);
	assert_int_equal(db_migrate(p, MIGRATIONS, &err), OK);
	assert_int_equal(db_migration_status(p, changed, a, &rows, &n, &err), OK);
	assert_int_equal(n, 3);
	assert_int_equal(rows[0].state, MIGRATION_APPLIED);
	assert_int_equal(rows[1].state, MIGRATION_CHANGED);
	assert_int_equal(rows[2].state, MIGRATION_PENDING);
	assert_int_equal(db_migration_status(p, older, a, &rows, &n, &err), OK);
	assert_int_equal(n, 2);
	assert_int_equal(rows[1].state, MIGRATION_UNKNOWN);
	assert_string_equal(rows[1].name, MIGRATIONS[1].name);
}

/* Processes that start at once migrate once. */
static void test_migrate_at_once(void **state)
{
	(void)state;
	pid_t pids[4];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct db_pool *p = new_pool("fresh", 1);
			_exit(db_migrate(p, MIGRATIONS, NULL));
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status;
		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_give_back_open),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_text_statements),
		cmocka_unit_test(test_null_first),
		cmocka_unit_test(test_prepared_too_early),
		cmocka_unit_test(test_give_back_in_copy),
		cmocka_unit_test(test_deadlock_is_aborted),
		cmocka_unit_test(test_pool_is_bounded),
		cmocka_unit_test(test_plans_of_growing_tables),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_migrations),
		cmocka_unit_test(test_migration_status),
		cmocka_unit_test(test_migrate_at_once),
	};
	return cmocka_run_group_tests(tests, setup, world_stop);
}
