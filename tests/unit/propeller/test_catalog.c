/* The client of datacatalog against a server of the test's own: batching, answers in order, errors of one and of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "catalog.h"
#include "pb/pb.h"
#include "rpc/rpc.h"

enum { MANY = 2000, BATCH = 100, LARGE = 1000000, SMALL_CALL = 2000 };

static atomic_int calls, answered, wrong, refused, too_large, largest;
static atomic_bool all_asked;

/* Every third key is a miss; an artifact's id is its tag. The first call takes time, so that all others wait. */
static enum code get(struct request *rq, const AlulaBatchGetRequest *in, AlulaBatchGetResponse *ret, struct err *err)
{
	(void)err;
	int bytes = (int)pb_size(in);
	if (bytes > largest)
		largest = bytes;
	atomic_fetch_add(&too_large, in->n_keys > 1 && bytes > SMALL_CALL + (int)in->n_keys * 3);
	if (atomic_fetch_add(&calls, 1) == 0)
		for (int i = 0; !all_asked && i < 5000; i++)
			usleep(1000);
	for (size_t i = 0; i < in->n_keys; i++) {
		AlulaCatalogEntry *e = pb_new(rq->arena, ALULA_CATALOG_ENTRY_DESC);
		bool miss = atol(in->keys[i]->tag) % 3 == 0;
		e->code = miss ? NOT_FOUND : OK;
		e->error = miss ? "no such tag" : "";
		e->artifact_id = in->keys[i]->tag;
		*PB_ADD(rq->arena, ret->entries, ret->n_entries) = e;
	}
	return in->n_keys <= BATCH ? OK : err_set(err, INVALID_ARGUMENT, "too many");
}
API_THUNK(get)

static enum code release(struct request *rq, const AlulaBatchReleaseRequest *in, AlulaBatchReleaseResponse *ret,
			 struct err *err)
{
	(void)rq, (void)in, (void)ret, (void)err;
	return OK;
}
API_THUNK(release)

/* Answers less than it is asked. */
static enum code put(struct request *rq, const AlulaBatchPutRequest *in, AlulaBatchPutResponse *ret, struct err *err)
{
	(void)rq, (void)in, (void)ret, (void)err;
	return OK;
}
API_THUNK(put)

static const struct api_binding BINDINGS[] = {
	{"BatchGet", get_api}, {"BatchRelease", release_api}, {"BatchPut", put_api}, {0}};

static void on_entry(void *arg, enum code code, const void *answer, const struct err *err)
{
	long i = (long)(intptr_t)arg;
	const AlulaCatalogEntry *e = answer;
	bool ok = i % 3 ? code == OK && atol(e->artifact_id) == i
			: code == NOT_FOUND && strcmp(err->text, "no such tag") == 0;

	atomic_fetch_add(&refused, code == RESOURCE_EXHAUSTED);
	atomic_fetch_add(&wrong, !ok && code != RESOURCE_EXHAUSTED);
	atomic_fetch_add(&answered, 1);
}

static void ask(struct catalog *c, long i)
{
	AlulaCatalogKey key = ALULA_CATALOG_KEY_INIT;
	auto_mem char *tag = x_printf("%0*ld", i >= LARGE ? SMALL_CALL + 100 : 1, i);

	key.tag = tag;
	catalog_ask(c, CATALOG_GET, &key, on_entry, (void *)(intptr_t)i);
}

static struct rpc_server *serve(struct api **ret_api, char target[64])
{
	struct rpc_server *s;
	struct err err;

	*ret_api = api_new(&(struct api_options){0});
	api_bind(*ret_api, &ALULA_CATALOG_TABLE, BINDINGS);
	if (rpc_server_new(&(struct rpc_server_options){.listen = "127.0.0.1:0", .api = *ret_api}, &s, &err) != OK)
		fail_msg("%s", err.text);
	snprintf(target, 64, "127.0.0.1:%d", rpc_server_port(s));
	calls = answered = wrong = refused = too_large = largest = 0;
	all_asked = false;
	return s;
}

static void what_waits_goes_in_one_call(void **state)
{
	char target[64];
	struct api *api;
	struct rpc_server *s = serve(&api, target);
	struct catalog *c = catalog_new(&(struct catalog_options){.target = target, .batch = BATCH});
	(void)state;

	for (long i = 0; i < MANY; i++)
		ask(c, i);
	all_asked = true;
	catalog_free(c);
	assert_int_equal(answered, MANY);
	assert_int_equal(wrong + refused, 0);
	assert_in_range(calls, MANY / BATCH, MANY / BATCH * 3);
	rpc_server_stop(s, 0);
	api_free(api);
}

/* Whatever waits together: no call has more bytes, but one of a single item. */
static void large_items_go_apart(void **state)
{
	char target[64];
	struct api *api;
	struct rpc_server *s = serve(&api, target);
	struct catalog *c =
		catalog_new(&(struct catalog_options){.target = target, .batch = BATCH, .max_bytes = SMALL_CALL});
	(void)state;

	for (long i = 0; i < MANY; i++)
		ask(c, i % 50 ? i : i + LARGE);
	all_asked = true;
	catalog_free(c);
	assert_int_equal(answered, MANY);
	assert_int_equal(wrong + refused, 0);
	assert_int_equal(too_large, 0);
	assert_in_range(largest, SMALL_CALL / 2, 2 * SMALL_CALL);
	rpc_server_stop(s, 0);
	api_free(api);
}

static void too_many_are_refused(void **state)
{
	char target[64];
	struct api *api;
	struct rpc_server *s = serve(&api, target);
	struct catalog *c = catalog_new(&(struct catalog_options){.target = target, .batch = 10, .waiting = 20});
	(void)state;

	for (long i = 0; i < MANY; i++)
		ask(c, i);
	all_asked = true;
	catalog_free(c);
	assert_int_equal(answered, MANY);
	assert_int_equal(wrong, 0);
	assert_true(refused > 0 && refused < MANY);
	rpc_server_stop(s, 0);
	api_free(api);
}

static void on_code(void *arg, enum code code, const void *answer, const struct err *err)
{
	if (code)
		assert_true(err && *err->text);
	assert_null(answer);
	*(enum code *)arg = code;
}

static void errors_of_the_call_reach_each(void **state)
{
	char target[64];
	struct api *api;
	struct rpc_server *s = serve(&api, target);
	struct catalog *c = catalog_new(&(struct catalog_options){.target = target});
	enum code released = UNKNOWN, put = UNKNOWN, reserved = UNKNOWN, got = UNKNOWN;
	AlulaCatalogReserve reserve = ALULA_CATALOG_RESERVE_INIT;
	AlulaCatalogPut one = ALULA_CATALOG_PUT_INIT;
	AlulaCatalogKey key = ALULA_CATALOG_KEY_INIT;
	(void)state;

	catalog_ask(c, CATALOG_RELEASE, &reserve, on_code, &released);
	catalog_ask(c, CATALOG_PUT, &one, on_code, &put);
	catalog_ask(c, CATALOG_RESERVE, &reserve, on_code, &reserved);
	catalog_free(c);
	rpc_server_stop(s, 0);
	api_free(api);
	assert_int_equal(released, OK);
	assert_int_equal(put, DATA_LOSS);
	assert_int_equal(reserved, UNIMPLEMENTED);

	c = catalog_new(&(struct catalog_options){.target = target});
	catalog_ask(c, CATALOG_GET, &key, on_code, &got);
	catalog_free(c);
	assert_int_equal(got, UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_goes_in_one_call),
		cmocka_unit_test(large_items_go_apart),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(errors_of_the_call_reach_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
