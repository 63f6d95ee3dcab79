/* The cacher against a datacatalog of the test's own: what waits for others, or keeps a reservation, for long. */
#include "cacher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <malloc.h>

#include "api/api.h"
#include "base/base.h"
#include "catalog.h"
#include "known.h"
#include "pb/pb.h"
#include "rpc/rpc.h"

enum { EXECUTION = 1, NODES = 50, ROUNDS = 20, OWNER_BYTES = 4000, MOST_BYTES = 1 << 20 };

static struct {
	char dir[32], target[32], other[OWNER_BYTES];
	struct propeller_config config;
	struct propeller p;
	struct executor_host host;
	struct cacher *cacher;
	struct api *api;
	struct rpc_server *server;
	struct arena *a;
	bool ours; /* who asks gets the reservation */
	atomic_int reserved;
} t;

static enum code get(struct request *rq, const AlulaBatchGetRequest *in, AlulaBatchGetResponse *ret, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < in->n_keys; i++) {
		AlulaCatalogEntry *e = pb_new(rq->arena, ALULA_CATALOG_ENTRY_DESC);
		e->code = NOT_FOUND;
		*PB_ADD(rq->arena, ret->entries, ret->n_entries) = e;
	}
	return OK;
}
API_THUNK(get)

static enum code reserve(struct request *rq, const AlulaBatchReserveRequest *in, AlulaBatchReserveResponse *ret,
			 struct err *err)
{
	(void)err;
	for (size_t i = 0; i < in->n_reserves; i++) {
		AlulaCatalogReservation *r = pb_new(rq->arena, ALULA_CATALOG_RESERVATION_DESC);
		r->owner_id = t.ours ? in->reserves[i]->owner_id : t.other;
		*PB_ADD(rq->arena, ret->reservations, ret->n_reservations) = r;
	}
	atomic_fetch_add(&t.reserved, (int)in->n_reserves);
	return OK;
}
API_THUNK(reserve)

static const struct api_binding BINDINGS[] = {{"BatchGet", get_api}, {"BatchReserve", reserve_api}, {0}};

static void feed(void *arg, const AlulaInput *in)
{
	(void)arg, (void)in;
}

static int setup(void **state)
{
	struct store_options store = {.type = "file", .root = t.dir};
	struct err err;

	(void)state;
	memset(&t, 0, sizeof t);
	memset(t.other, 'x', sizeof t.other - 1);
	strcpy(t.dir, "/tmp/alula-cacher-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	t.a = arena_new(0);
	t.api = api_new(&(struct api_options){0});
	api_bind(t.api, &ALULA_CATALOG_TABLE, BINDINGS);
	assert_int_equal(
		rpc_server_new(&(struct rpc_server_options){.listen = "127.0.0.1:0", .api = t.api}, &t.server, &err),
		OK);
	snprintf(t.target, sizeof t.target, "127.0.0.1:%d", rpc_server_port(t.server));
	t.config.catalog_type = "datacatalog";
	t.config.catalog_endpoint = t.target;
	t.config.catalog_insecure = true;
	t.config.max_output_bytes = t.config.inline_bytes = 65536;
	t.config.reeval_us = 100000;
	t.p.config = &t.config;
	t.p.metrics = metrics_new();
	t.p.known = known_new();
	known_committed(t.p.known, EXECUTION);
	assert_int_equal(store_new(&store, &t.p.store, &err), OK);
	t.host.feed = feed;
	assert_int_equal(cacher_new(&t.p, &t.host, &t.cacher, &err), OK);
	return 0;
}

static int teardown(void **state)
{
	auto_mem char *remove = x_printf("rm -rf %s", t.dir);

	(void)state;
	cacher_free(t.cacher);
	rpc_server_stop(t.server, 0);
	api_free(t.api);
	store_free(t.p.store);
	known_free(t.p.known);
	metrics_free(t.p.metrics);
	arena_free(t.a);
	return system(remove);
}

static void look_up(uint32_t node)
{
	CoreTaskTemplate *task = pb_new(t.a, CORE_TASK_TEMPLATE_DESC);
	struct cache_ask ask = {.task = task, .version = "1", .serialize = true, .outputs_uri = ""};
	struct action action = {.kind = ACTION_CACHE_LOOKUP, .execution = EXECUTION, .node = node, .cache = &ask};

	task->id = pb_new(t.a, CORE_IDENTIFIER_DESC);
	task->id->name = "task";
	ask.source = pb_new(t.a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);
	ask.owner = arena_printf(t.a, "%0*u", t.ours ? OWNER_BYTES - 1 : 1, node);
	cacher_act(t.cacher, &action);
}

static size_t bytes_after(int reserved)
{
	for (int i = 0; t.reserved < reserved; i++) {
		assert_in_range(i, 0, 60000);
		usleep(1000);
	}
	return mallinfo2().uordblks;
}

static void asks_for_long(bool ours)
{
	t.ours = ours;
	for (uint32_t i = 0; i < NODES; i++)
		look_up(i);
	size_t before = bytes_after(3 * NODES), after = bytes_after((3 + ROUNDS) * NODES);
	if (after > before + MOST_BYTES)
		fail_msg("%zu bytes after 3 rounds, %zu after %d", before, after, 3 + ROUNDS);
}

static void who_waits_needs_no_more_and_more(void **state)
{
	(void)state;
	asks_for_long(false);
}

static void who_has_a_reservation_needs_no_more_and_more(void **state)
{
	(void)state;
	asks_for_long(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_waits_needs_no_more_and_more, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_a_reservation_needs_no_more_and_more, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
