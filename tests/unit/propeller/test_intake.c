/* The intake between a real Postgres and a real nats-server, with a store that has no descriptors for a while. What it
 * gives to engine and relay is noted here. */
#include "intake.h"

#include <sys/resource.h>

#include "../db/fixture.h"
#include "alula/bus.h"
#include "alula/journal.h"
#include "cacher.h"
#include "core.h"
#include "flyte/shard.h"
#include "known.h"
#include "pb/pb.h"
#include "relay.h"
#include "told.h"

extern const struct db_migration propeller_migrations[];

/* ---- what is noted ---- */

static void note(const char *what, int64_t execution, int64_t seq)
{
	pthread_mutex_lock(&told.lock);
	buf_printf(&told.text, "%s %lld.%lld\n", what, (long long)execution, (long long)seq);
	pthread_mutex_unlock(&told.lock);
}

struct item *item_new(int kind)
{
	struct arena *a = arena_new(0);
	struct item *item = arena_new_of(a, struct item);

	item->kind = kind;
	item->arena = a;
	return item;
}

void item_free(struct item *item)
{
	arena_free(item->arena);
}

bool core_push(struct core *core, struct item *item)
{
	(void)core;
	switch (item->kind) {
	case ITEM_INPUT: note(item->in->accepted->unreadable ? "unreadable" : "input", item->execution, 0); break;
	case ITEM_REPLAY: note("replay", item->execution, item->entry->record->seq); break;
	case ITEM_PENDING: note("pending", item->execution, 0); break;
	case ITEM_FORGET: note("forget", item->execution, 0); break;
	}
	item_free(item);
	return true;
}

void relay_loaded(struct relay *r, int64_t execution, unsigned shard, int64_t written, bool last, bool stored)
{
	(void)r, (void)shard, (void)last, (void)stored;
	note("loaded", execution, written);
}

bool cacher_is_on(const struct propeller_config *c)
{
	(void)c;
	return false;
}

/* ---- the world ---- */

static struct server nats;
static struct propeller p;
static struct arena *a;
static char *closure_uri;
static CoreCompiledWorkflowClosure *closure;

/* Of an execution whose workflow lies in the store, or in the command. */
static AlulaCommand *start_of(int64_t execution, bool stored)
{
	AlulaCommand *c = pb_new(a, ALULA_COMMAND_DESC);

	c->execution = execution;
	c->id = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	c->command_case = ALULA_COMMAND_COMMAND_START;
	c->start = pb_new(a, ALULA_START_EXECUTION_DESC);
	if (stored)
		c->start->closure_uri = closure_uri;
	else
		c->start->closure = closure;
	c->start->created_at_us = time_now_us();
	return c;
}

static void write_rows(int64_t execution, int64_t n, bool stored)
{
	auto_free(db_give) struct db *db = take_db();
	struct err err;

	for (int64_t seq = 1; seq <= n; seq++) {
		AlulaInput *in = pb_new(a, ALULA_INPUT_DESC);
		AlulaRecord *record = pb_new(a, ALULA_RECORD_DESC);
		struct buf b = {0};
		struct str ignored;
		in->execution = record->execution = execution;
		record->seq = seq;
		if (seq == 1) {
			in->input_case = ALULA_INPUT_INPUT_ACCEPTED;
			in->accepted = pb_new(a, ALULA_ACCEPTED_DESC);
			in->accepted->command = start_of(execution, stored);
		}
		journal_entry_pack(&b, in, record, &ignored);
		struct journal_row row = {.shard = 0, .execution = execution, .seq = seq, .entry = buf_str(&b)};
		assert_int_equal(journal_commit(db, "a", 1, &row, 1, &err), OK);
		buf_clear(&b);
	}
}

/* No more than there are: what is open stays. */
static void few_descriptors(bool few)
{
	struct rlimit limit;
	int free = dup(0);

	close(free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = few ? (rlim_t)free : MIN(limit.rlim_max, 1024);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void send_command(const AlulaCommand *c)
{
	AlulaEnvelope e = ALULA_ENVELOPE_INIT;
	struct str payload = pb_pack(c, a), packed;
	struct err err;

	e.id = 1;
	e.confirm_subject = "confirm";
	e.payload = (ProtobufCBinaryData){payload.len, (uint8_t *)payload.ptr};
	packed = pb_pack(&e, a);
	const char *subject = arena_printf(a, "alula.commands.%u", execution_shard(c->execution));
	assert_int_equal(bus_send(p.bus, subject, packed, &err), OK);
}

static int begin(void **state)
{
	static const struct db_stmt WRITER = {
		"writer", "INSERT INTO propellers (name, epoch) VALUES ('a', 1) ON CONFLICT DO NOTHING"};
	char url[64];
	struct err err;

	(void)state;
	nats_new(&nats);
	a = arena_new(0);
	snprintf(url, sizeof url, "nats://127.0.0.1:%d", nats.port);
	p.db = pool;
	p.metrics = metrics_new();
	p.bus = bus_new(&(struct bus_options){.url = url, .name = "test"});
	p.known = known_new();
	struct store_options store = {.type = "file", .root = arena_printf(a, "%s/store", nats.dir)};
	assert_int_equal(store_new(&store, &p.store, &err), OK);
	closure_uri = arena_printf(a, "%s/closure.pb", store_root(p.store));
	closure = pb_new(a, CORE_COMPILED_WORKFLOW_CLOSURE_DESC);
	closure->primary = pb_new(a, CORE_COMPILED_WORKFLOW_DESC);
	assert_int_equal(store_put(p.store, closure_uri, pb_pack(closure, a), &err), OK);
	assert_int_equal(bus_wait(p.bus, 10 * USEC_PER_SEC, &err), OK);
	auto_free(db_give) struct db *db = take_db();
	assert_int_equal(db_exec(db, &WRITER, NULL, &err), OK);
	p.intake = intake_new(&p);
	return 0;
}

static int end(void **state)
{
	(void)state;
	intake_free(p.intake);
	bus_free(p.bus);
	known_free(p.known);
	store_free(p.store);
	metrics_free(p.metrics);
	buf_clear(&told.text);
	arena_free(a);
	server_free(&nats, SIGTERM);
	return 0;
}

/* ---- the tests ---- */

/* The first row of an execution is the one that needs a file; what came before it in the page was another's. */
static void loads_all_rows_when_a_file_cannot_be_read_at_first(void **state)
{
	(void)state;
	write_rows(10, 3, false);
	write_rows(11, 2, true);
	few_descriptors(true);
	intake_start(p.intake);
	intake_load(p.intake, 1);
	usleep(300000);
	few_descriptors(false);
	wait_told("replay 10.1\nreplay 10.2\nreplay 10.3\nloaded 10.3\npending 10.0\n"
		  "replay 11.1\nreplay 11.2\nloaded 11.2\npending 11.0\n",
		  5);
}

static void takes_an_execution_once_it_can_be_read(void **state)
{
	(void)state;
	AlulaCommand *c = start_of(12, true);
	atomic_store(&p.owned, UINT64_MAX);
	intake_start(p.intake);
	few_descriptors(true);
	send_command(c);
	usleep(300000);
	wait_told("", 5);
	few_descriptors(false);
	send_command(c);
	wait_told("input 12.0\n", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(loads_all_rows_when_a_file_cannot_be_read_at_first, begin, end),
		cmocka_unit_test_setup_teardown(takes_an_execution_once_it_can_be_read, begin, end),
	};

	log_set_level(LOG_ERROR + 1);
	if (world_start(propeller_migrations))
		return 1;
	return cmocka_run_group_tests(tests, NULL, world_stop);
}
