#include "relay_batch.h"

#include "alula/bus.h"
#include "base/base.h"
#include "flyte/shard.h"
#include "pb/wire.h"

enum {
	IN_FLIGHT = 256,
	BATCH_SHARD = 1,
	BATCH_PROPELLER = 2,
	BATCH_EPOCH = 3,
	BATCH_RECORDS = 4,
	BATCH_URI = 5,
};
#define STREAM_BYTES  (INT64_C(2) << 30)
#define STREAM_AGE_US (INT64_C(24) * 3600 * USEC_PER_SEC)

struct part {
	int64_t execution, seq;
	uint64_t message; /* id of the message it went out in */
};

typedef VEC(struct part) part_list;

/* What waits to become a shard's next message. */
struct gathered {
	struct buf message;
	part_list parts;
};

struct batcher {
	struct propeller *p;
	struct bus_writer *writer;
	struct gathered shard[SHARDS];
	uint64_t dirty; /* shards with something gathered */
	uint64_t next_id;
	part_list sent; /* in order of messages */
	size_t first;   /* those before it are acknowledged */
};

struct batcher *batcher_new(struct propeller *p)
{
	struct batcher *b = x_calloc(1, sizeof *b);
	struct bus_writer_options options = {
		.stream = {STREAM_EVENTS, STREAM_EVENTS_SUBJECTS, STREAM_BYTES, STREAM_AGE_US},
		.max_in_flight = IN_FLIGHT,
	};

	b->p = p;
	b->next_id = 1;
	b->writer = bus_writer_new(p->bus, &options);
	return b;
}

void batcher_free(struct batcher *b)
{
	if (!b)
		return;
	bus_writer_free(b->writer);
	for (size_t i = 0; i < SHARDS; i++) {
		buf_clear(&b->shard[i].message);
		vec_free(&b->shard[i].parts);
	}
	vec_free(&b->sent);
	free(b);
}

static void start_message(struct batcher *b, struct buf *m, unsigned shard)
{
	if (shard)
		wire_add_number(m, BATCH_SHARD, shard);
	wire_add_bytes(m, BATCH_PROPELLER, str_of(b->p->name));
	wire_add_number(m, BATCH_EPOCH, b->p->epoch);
}

/* Acknowledged parts leave from the front; the array moves down now and then. */
static void drop_acked(struct batcher *b)
{
	uint64_t acked = bus_writer_acked(b->writer);

	while (b->first < b->sent.n && b->sent.at[b->first].message <= acked)
		b->first++;
	if (b->first == b->sent.n || (b->first > 4096 && b->first > b->sent.n / 2)) {
		vec_drop(&b->sent, b->first);
		b->first = 0;
	}
}

static enum code publish(struct batcher *b, unsigned shard, struct str message, struct err *err)
{
	char subject[SUBJECT_BYTES];

	subject_events(shard, subject);
	enum code c = bus_writer_publish(b->writer, subject, message, b->next_id, err);
	if (c == OK)
		b->next_id++;
	return c;
}

static enum code flush_shard(struct batcher *b, unsigned shard, struct err *err)
{
	struct gathered *g = &b->shard[shard];
	enum code c = publish(b, shard, buf_str(&g->message), err);

	if (c)
		return c;
	vec_each (struct part *, part, &g->parts)
		vec_push(&b->sent, (struct part){part->execution, part->seq, b->next_id - 1});
	vec_clear(&g->parts);
	buf_reset(&g->message);
	b->dirty &= ~(UINT64_C(1) << shard);
	return OK;
}

static char *stored_uri(const struct batcher *b, int64_t execution, int64_t seq)
{
	return x_printf("%s/_batches/%lld-%lld.pb", b->p->metadata_root, (long long)execution, (long long)seq);
}

/* Larger than a message may be: the batch goes to the store, the message says where. */
static enum code publish_large(struct batcher *b, unsigned shard, int64_t execution, int64_t seq, struct str record,
			       struct err *err)
{
	auto_buf struct buf file = {0}, m = {0};
	auto_mem char *uri = stored_uri(b, execution, seq);

	start_message(b, &file, shard);
	wire_add_bytes(&file, BATCH_RECORDS, record);
	enum code c = store_put(b->p->store, uri, buf_str(&file), err);
	if (c)
		return c;
	start_message(b, &m, shard);
	wire_add_bytes(&m, BATCH_URI, str_of(uri));
	c = publish(b, shard, buf_str(&m), err);
	if (c == OK)
		vec_push(&b->sent, (struct part){execution, seq, b->next_id - 1});
	return c;
}

enum code batcher_add(struct batcher *b, unsigned shard, int64_t execution, int64_t seq, struct str record,
		      struct err *err)
{
	struct gathered *g = &b->shard[shard];
	struct buf *m = &g->message;
	bool large = record.len > BATCH_MESSAGE_BYTES;

	if (m->len && (large || m->len + record.len > BATCH_MESSAGE_BYTES)) {
		enum code c = flush_shard(b, shard, err);
		if (c)
			return c;
	}
	if (large)
		return publish_large(b, shard, execution, seq, record, err);
	if (!m->len)
		start_message(b, m, shard);
	wire_add_bytes(m, BATCH_RECORDS, record);
	b->dirty |= UINT64_C(1) << shard;
	vec_push(&g->parts, (struct part){execution, seq, 0});
	return OK;
}

enum code batcher_flush(struct batcher *b, struct err *err)
{
	while (b->dirty) {
		enum code c = flush_shard(b, (unsigned)__builtin_ctzll(b->dirty), err);
		if (c)
			return c;
	}
	drop_acked(b);
	return OK;
}

enum code batcher_recover(struct batcher *b, int64_t timeout_us, struct err *err)
{
	return bus_writer_recover(b->writer, timeout_us, err);
}

struct u64map *batcher_unacked(struct batcher *b)
{
	struct u64map *map = u64map_new();

	/* Backwards, so that the first of each execution stays. */
	for (size_t i = 0; i < SHARDS; i++)
		for (size_t k = b->shard[i].parts.n; k-- > 0;)
			u64map_put(map, (uint64_t)b->shard[i].parts.at[k].execution,
				   (void *)(uintptr_t)b->shard[i].parts.at[k].seq);
	drop_acked(b);
	for (size_t i = b->sent.n; i-- > b->first;)
		u64map_put(map, (uint64_t)b->sent.at[i].execution, (void *)(uintptr_t)b->sent.at[i].seq);
	return map;
}

void batcher_reset(struct batcher *b)
{
	for (size_t i = 0; i < SHARDS; i++) {
		buf_reset(&b->shard[i].message);
		vec_clear(&b->shard[i].parts);
	}
	b->dirty = 0;
	b->sent.n = b->first = 0;
}

void batcher_remove_stored(struct batcher *b, int64_t execution, int64_t seq)
{
	auto_mem char *uri = stored_uri(b, execution, seq);

	store_remove(b->p->store, uri, NULL);
}
