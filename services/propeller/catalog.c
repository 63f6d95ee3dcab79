#include "catalog.h"

#include <pthread.h>

#include "base/base.h"
#include "pb/pb.h"
#include "rpc/rpc.h"

enum {
	CALLS = 4,
	DEFAULT_BATCH = 500,
	DEFAULT_WAITING = 100000,
	DEFAULT_TIMEOUT_US = 10000000,
	DEFAULT_BYTES = 8 << 20
};

/* Requests and answers hold their items in the first field, a repeated message; BatchRelease answers nothing. */
static const char *const METHODS[CALLS] = {
	[CATALOG_GET] = "BatchGet",
	[CATALOG_PUT] = "BatchPut",
	[CATALOG_RESERVE] = "BatchReserve",
	[CATALOG_RELEASE] = "BatchRelease",
};

struct ask {
	struct arena *arena;
	void *item;
	size_t bytes; /* packed */
	catalog_fn fn;
	void *arg;
};

struct lane {
	struct catalog *catalog;
	const struct pb_method *method;
	struct queue *queue; /* of struct ask */
	pthread_t thread;
};

struct catalog {
	struct rpc_channel *channel;
	size_t batch, max_bytes;
	int64_t timeout_us;
	struct lane lanes[CALLS];
};

/* What every answer begins with. */
struct answer {
	ProtobufCMessage base;
	uint32_t code;
	char *error;
};
_Static_assert(offsetof(AlulaCatalogEntry, code) == offsetof(struct answer, code) &&
		       offsetof(AlulaCatalogEntry, error) == offsetof(struct answer, error) &&
		       offsetof(AlulaCatalogPutResult, error) == offsetof(struct answer, error) &&
		       offsetof(AlulaCatalogReservation, error) == offsetof(struct answer, error),
	       "answers begin with code and error");

static void finish(struct ask *q, enum code code, const void *answer, const struct err *err)
{
	q->fn(q->arg, code, answer, err);
	arena_free(q->arena);
}

static void finish_all(struct ask **asks, size_t n, enum code code, const struct err *err)
{
	for (size_t i = 0; i < n; i++)
		finish(asks[i], code, NULL, err);
}

static void finish_each(struct ask **asks, size_t n, struct answer *const *answers)
{
	struct err err;

	for (size_t i = 0; i < n; i++) {
		enum code code = (enum code)answers[i]->code;
		if (code)
			err_set(&err, code, "%s", answers[i]->error);
		finish(asks[i], code, code ? NULL : answers[i], code ? &err : NULL);
	}
}

static void run(struct lane *l, struct ask **asks, size_t n)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const ProtobufCFieldDescriptor *in_field = l->method->in->fields;
	const ProtobufCFieldDescriptor *out_field = l->method->out->n_fields ? l->method->out->fields : NULL;
	char *in = pb_new(a, l->method->in), *out;
	void **items = arena_array(a, void *, n);
	void *answer;
	struct err err;

	for (size_t i = 0; i < n; i++)
		items[i] = asks[i]->item;
	*(size_t *)(in + in_field->quantifier_offset) = n;
	*(void ***)(in + in_field->offset) = items;
	enum code c = rpc_call(l->catalog->channel, l->method, in, l->catalog->timeout_us, a, &answer, &err);
	out = answer;
	if (!c && out_field && *(size_t *)(out + out_field->quantifier_offset) != n)
		c = err_set(&err, DATA_LOSS, "datacatalog answered %zu of %zu items",
			    *(size_t *)(out + out_field->quantifier_offset), n);
	if (c)
		finish_all(asks, n, c, &err);
	else if (!out_field)
		finish_all(asks, n, OK, NULL);
	else
		finish_each(asks, n, *(struct answer ***)(out + out_field->offset));
}

/* How many of them fit into one call: at least one. */
static size_t fitting(const struct lane *l, struct ask *const *asks, size_t n)
{
	size_t bytes = asks[0]->bytes, fit = 1;

	while (fit < n && bytes + asks[fit]->bytes <= l->catalog->max_bytes)
		bytes += asks[fit++]->bytes;
	return fit;
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct ask **asks = x_calloc(l->catalog->batch, sizeof *asks);
	size_t n;

	while ((n = queue_pop(l->queue, (void **)asks, l->catalog->batch, -1)) > 0)
		for (size_t i = 0, fit; i < n; i += fit) {
			fit = fitting(l, asks + i, n - i);
			run(l, asks + i, fit);
		}
	free(asks);
	return NULL;
}

static const struct pb_method *method_named(const char *name)
{
	const struct pb_method *m = ALULA_CATALOG_TABLE.methods;

	while (strcmp(m->name, name) != 0)
		m++;
	return m;
}

struct catalog *catalog_new(const struct catalog_options *options)
{
	struct catalog *c = x_calloc(1, sizeof *c);
	struct rpc_channel_options channel = {.target = options->target, .name = "datacatalog"};

	c->channel = rpc_channel_new(&channel);
	c->batch = options->batch ? options->batch : DEFAULT_BATCH;
	c->max_bytes = options->max_bytes ? options->max_bytes : DEFAULT_BYTES;
	c->timeout_us = options->timeout_us ? options->timeout_us : DEFAULT_TIMEOUT_US;
	for (int i = 0; i < CALLS; i++) {
		struct lane *l = &c->lanes[i];
		l->catalog = c;
		l->method = method_named(METHODS[i]);
		l->queue = queue_new(METHODS[i], options->waiting ? options->waiting : DEFAULT_WAITING);
		if (pthread_create(&l->thread, NULL, lane_main, l) != 0)
			abort();
	}
	return c;
}

void catalog_free(struct catalog *c)
{
	if (!c)
		return;
	for (int i = 0; i < CALLS; i++)
		queue_close(c->lanes[i].queue);
	for (int i = 0; i < CALLS; i++) {
		pthread_join(c->lanes[i].thread, NULL);
		queue_free(c->lanes[i].queue);
	}
	rpc_channel_free(c->channel);
	free(c);
}

void catalog_ask(struct catalog *c, enum catalog_call call, const void *item, catalog_fn fn, void *arg)
{
	struct lane *l = &c->lanes[call];
	struct arena *arena = arena_new(1024);
	struct ask *q = arena_new_of(arena, struct ask);
	struct err err;

	*q = (struct ask){arena, pb_clone(item, arena), pb_size(item), fn, arg};
	if (!queue_try_push(l->queue, q))
		finish(q, err_set(&err, RESOURCE_EXHAUSTED, "%s: too many items wait for datacatalog", l->method->name),
		       NULL, &err);
}
