/* The lease of shards and the fence of the journal, on a Postgres of the test's own. The intake is ours. */
#include "shards.h"

#include "../db/fixture.h"
#include "flyte/shard.h"
#include "intake.h"
#include "journal.h"
#include "known.h"

#define ALL UINT64_MAX

extern const struct db_migration propeller_migrations[];

static _Atomic uint64_t loaded;

void intake_load(struct intake *in, uint64_t shards)
{
	(void)in;
	atomic_fetch_or(&loaded, shards);
}

/* ---- a propeller ---- */

static struct propeller_config config = {.lease_us = 200000};

static struct propeller *propeller_new(const char *name)
{
	struct propeller *p = x_calloc(1, sizeof *p);
	struct err err;

	p->config = &config;
	p->db = pool;
	p->metrics = metrics_new();
	p->name = x_strdup(name);
	p->known = known_new();
	p->shards = shards_new(p);
	assert_int_equal(shards_register(p->shards, &err), OK);
	return p;
}

static void propeller_end(struct propeller *p)
{
	shards_stop(p->shards);
	shards_leave(p->shards);
	shards_free(p->shards);
	known_free(p->known);
	metrics_free(p->metrics);
	free(p->name);
	free(p);
}

static void sql(const struct db_stmt *stmt)
{
	auto_free(db_give) struct db *db = take_db();
	struct err err;

	assert_int_equal(db_exec(db, stmt, NULL, &err), OK);
}

static void wait_loaded(uint64_t shards)
{
	for (int i = 0; i < 500 && atomic_load(&loaded) != shards; i++)
		usleep(10000);
	assert_int_equal(atomic_load(&loaded), shards);
}

static int forget(void **state)
{
	static const struct db_stmt FREE = {"free", "UPDATE shards SET owner = NULL, host = NULL"};

	(void)state;
	atomic_store(&loaded, 0);
	sql(&FREE);
	return 0;
}

/* ---- shards ---- */

static void takes_all_when_alone(void **state)
{
	(void)state;
	struct propeller *p = propeller_new("a");

	shards_start(p->shards);
	wait_loaded(ALL);
	assert_int_equal(atomic_load(&p->foreign), 0);
	propeller_end(p);
}

/* The statement that gave them to us, or was to take them from us, may have been cut off from its answer. */
static void takes_what_only_the_table_says_is_its_own(void **state)
{
	static const struct db_stmt OURS = {"ours", "UPDATE shards SET owner = 'a' WHERE shard IN (3, 5)"};

	(void)state;
	struct propeller *p = propeller_new("a");

	sql(&OURS);
	shards_start(p->shards);
	wait_loaded(ALL);
	propeller_end(p);
}

/* Attempts that run elsewhere cannot be found again here. */
static void knows_which_shards_ran_elsewhere(void **state)
{
	static const struct db_stmt ELSEWHERE = {"elsewhere",
						 "UPDATE shards SET host = 'elsewhere' WHERE shard IN (0, 63)"};
	static const struct db_stmt HERE = {"here",
					    "SELECT count(DISTINCT host) FROM shards WHERE host <> 'elsewhere'"};
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct err err;

	(void)state;
	struct propeller *p = propeller_new("a");
	sql(&ELSEWHERE);
	shards_start(p->shards);
	wait_loaded(ALL);
	assert_int_equal(atomic_load(&p->foreign), UINT64_C(1) << 63 | 1);
	propeller_end(p);
	auto_free(db_give) struct db *db = take_db();
	assert_int_equal(db_query(db, &HERE, &rows, &err), OK);
	assert_int_equal(db_get_i64(rows, 0, 0), 1);
}

static int64_t owned_by(const char *name, int32_t below)
{
	static const struct db_stmt OWNED = {"owned", "SELECT count(*) FROM shards WHERE owner = $1 AND shard < $2"};
	auto_free(db_give) struct db *db = take_db();
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct err err;

	assert_int_equal(db_query(db, &OWNED, &rows, &err, db_text(name), db_i32(below)), OK);
	return db_get_i64(rows, 0, 0);
}

/* It may not be committed yet, and whoever gets the shard would not find it in the journal. */
static void keeps_a_shard_of_which_it_has_taken_a_command(void **state)
{
	int64_t execution = 1;

	(void)state;
	while (execution_shard(execution) != 0)
		execution++;
	config.lease_us = 2000000;
	struct propeller *a = propeller_new("a");
	shards_start(a->shards);
	wait_loaded(ALL);
	atomic_store(&a->owned, ALL);
	known_claim(a->known, execution);
	struct propeller *b = propeller_new("b");
	shards_start(b->shards);
	for (int i = 0; i < 1000 && owned_by("b", SHARDS) < SHARDS / 2; i++)
		usleep(10000);
	assert_int_equal(owned_by("b", SHARDS), SHARDS / 2);
	assert_int_equal(owned_by("a", 1), 1);
	propeller_end(a);
	propeller_end(b);
	config.lease_us = 200000;
}

/* ---- the fence ---- */

static const struct journal_row ROW = {.shard = 1, .execution = 7, .seq = 3, .entry = {"x", 1}};

/* A row of that number says nothing of ours once another writes: it wrote its own. */
static void who_lost_the_lease_has_committed_nothing(void **state)
{
	bool there = false;
	struct err err;

	(void)state;
	struct propeller *p = propeller_new("a");
	uint64_t epoch = p->epoch;
	auto_free(db_give) struct db *db = take_db();
	assert_int_equal(journal_has(db, "a", epoch, &ROW, &there, &err), OK);
	assert_false(there);
	assert_int_equal(shards_register(p->shards, &err), OK);
	assert_int_equal(journal_commit(db, "a", epoch, &ROW, 1, &err), ABORTED);
	assert_int_equal(journal_commit(db, "a", p->epoch, &ROW, 1, &err), OK);
	assert_int_equal(journal_has(db, "a", p->epoch, &ROW, &there, &err), OK);
	assert_true(there);
	assert_int_equal(journal_has(db, "a", epoch, &ROW, &there, &err), ABORTED);
	assert_memory_equal(err.text, "fenced", 6);
	propeller_end(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(takes_all_when_alone, forget),
		cmocka_unit_test_setup(takes_what_only_the_table_says_is_its_own, forget),
		cmocka_unit_test_setup(knows_which_shards_ran_elsewhere, forget),
		cmocka_unit_test_setup(keeps_a_shard_of_which_it_has_taken_a_command, forget),
		cmocka_unit_test_setup(who_lost_the_lease_has_committed_nothing, forget),
	};

	log_set_level(LOG_ERROR + 1);
	if (world_start(propeller_migrations))
		return 1;
	return cmocka_run_group_tests(tests, NULL, world_stop);
}
