/* The cacher with a datacatalog of ours, which says at once what it is told to. */
#include "cacher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "base/base.h"
#include "catalog.h"
#include "known.h"
#include "pb/pb.h"
#include "told.h"

enum { EXECUTION = 7 };

/* ---- datacatalog: nothing is there, and somebody else has the first reservation ---- */

static int reservations;

struct catalog *catalog_new(const struct catalog_options *options)
{
	(void)options;
	reservations = 0;
	return x_malloc(1);
}

void catalog_free(struct catalog *c)
{
	free(c);
}

/* On the cacher's thread. */
void catalog_ask(struct catalog *c, enum catalog_call call, const void *item, catalog_fn fn, void *arg)
{
	AlulaCatalogReservation r = ALULA_CATALOG_RESERVATION_INIT;
	struct err err;

	(void)c;
	if (call != CATALOG_RESERVE) {
		fn(arg, err_set(&err, NOT_FOUND, "nothing"), NULL, &err);
		return;
	}
	r.owner_id = reservations++ ? ((const AlulaCatalogReserve *)item)->owner_id : "another";
	fn(arg, OK, &r, NULL);
}

/* ---- the engine ---- */

static void feed(void *arg, const AlulaInput *in)
{
	bool waits = in->cache_answered->answer_case == ALULA_CACHE_ANSWERED_ANSWER_WAITING;

	(void)arg;
	pthread_mutex_lock(&told.lock);
	buf_adds(&told.text, waits ? "waits; " : "runs; ");
	pthread_mutex_unlock(&told.lock);
}

/* ---- the test ---- */

static struct propeller_config config = {
	.catalog_type = "datacatalog",
	.catalog_endpoint = "here",
	.catalog_insecure = true,
	.max_output_bytes = 1 << 20,
	.reeval_us = 500000,
};

/* The shards that are being loaded are not ours before all of them is read, which may take long. */
static void waits_for_a_reservation_while_shards_are_loaded(void **state)
{
	struct propeller p = {.config = &config, .metrics = metrics_new(), .known = known_new()};
	struct executor_host host = {.feed = feed};
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreTaskTemplate *task = pb_new(a, CORE_TASK_TEMPLATE_DESC);
	struct cache_ask ask = {.task = task, .version = "1", .serialize = true, .owner = "me", .outputs_uri = "/o"};
	struct action action = {.kind = ACTION_CACHE_LOOKUP, .execution = EXECUTION, .cache = &ask};
	struct cacher *c;
	struct err err;

	(void)state;
	task->id = pb_new(a, CORE_IDENTIFIER_DESC);
	ask.source = pb_new(a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);
	assert_int_equal(cacher_new(&p, &host, &c, &err), OK);
	known_committed(p.known, EXECUTION);
	cacher_act(c, &action);
	wait_told("waits; runs; ", 10);
	cacher_free(c);
	known_free(p.known);
	metrics_free(p.metrics);
	buf_clear(&told.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_a_reservation_while_shards_are_loaded),
	};

	log_set_level(LOG_ERROR + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
