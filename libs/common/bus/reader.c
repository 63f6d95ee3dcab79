/* A durable pull consumer. One pull request stands at a time; the server sends what there is as it comes, and
 * heartbeats while there is nothing. When they fail to come we look, and make anew what is gone. Source: NATS ADR-37
 * and ADR-13 (pull requests, status messages). */
#include <stdio.h>

#include "private.h"

enum {
	PULL_BATCH = 256,
	PULL_EXPIRES_US = 30000000,
	HEARTBEAT_US = 1000000,
	SILENCE_US = 3 * HEARTBEAT_US,
	ACK_WAIT_US = 60000000,
	MAX_MESSAGES = 1024,
	SLICE_US = 250000,
};

struct bus_reader {
	struct bus *bus;
	struct bus_stream_config stream;
	char *stream_name, *subjects, *durable, *filter;
	struct link *link;
	natsSubscription *sub;
	natsInbox *inbox;
	size_t asked;     /* messages that the standing pull request may still bring */
	int64_t heard_us; /* monotonic: the last sign of the server */
	int64_t left_us;  /* when the last fetch ended */
	bool lost;        /* the consumer is gone, or moved */
	bool gap;
	VEC(natsMsg *) batch;
	size_t handed; /* of the batch */
};

struct bus_reader *bus_reader_new(struct bus *b, const struct bus_reader_options *options)
{
	struct bus_reader *r = x_calloc(1, sizeof *r);

	r->bus = b;
	r->stream = options->stream;
	r->stream.name = r->stream_name = x_strdup(options->stream.name);
	r->stream.subjects = r->subjects = x_strdup(options->stream.subjects);
	r->durable = x_strdup(options->durable);
	r->filter = x_strdup(options->filter);
	return r;
}

static void drop_batch(struct bus_reader *r)
{
	vec_each (natsMsg **, m, &r->batch)
		natsMsg_Destroy(*m);
	vec_clear(&r->batch);
	r->handed = 0;
}

/* The subscription stays as long as the connection, and with it what nobody has read. */
static void drop_unread(struct bus_reader *r)
{
	natsMsg *m;

	while (r->sub && natsSubscription_NextMsg(&m, r->sub, 0) == NATS_OK)
		natsMsg_Destroy(m);
}

/* Messages of an earlier attachment must not be acknowledged in a later one: its numbers are others. */
static void detach(struct bus_reader *r)
{
	drop_batch(r);
	drop_unread(r);
	link_unsubscribe(r->link, r->sub);
	natsInbox_Destroy(r->inbox);
	link_put(r->link);
	r->sub = NULL;
	r->inbox = NULL;
	r->link = NULL;
	r->asked = 0;
	r->lost = false;
}

void bus_reader_free(struct bus_reader *r)
{
	if (!r)
		return;
	detach(r);
	vec_free(&r->batch);
	free(r->stream_name);
	free(r->subjects);
	free(r->durable);
	free(r->filter);
	free(r);
}

/* What was delivered to an earlier reader and not acknowledged would come again only after the acknowledgement's time
 * is over, or never, as acknowledging a later message acknowledges it too. And a consumer that is ahead of its stream
 * (which lost its tail) would skip what takes the lost numbers. So the consumer starts anew where the
 * acknowledgements, or the stream, end. */
static natsStatus remake_if_off(struct bus_reader *r, jsCtx *js, uint64_t last_seq, jsConsumerConfig *c,
				jsConsumerInfo **info)
{
	if ((*info)->NumAckPending == 0 && (*info)->Delivered.Stream <= last_seq)
		return NATS_OK;
	c->DeliverPolicy = js_DeliverByStartSequence;
	c->OptStartSeq = MIN((*info)->AckFloor.Stream, last_seq) + 1;
	jsConsumerInfo_Destroy(*info);
	*info = NULL;
	natsStatus s = js_DeleteConsumer(js, r->stream_name, r->durable, NULL, NULL);
	return s == NATS_OK ? js_AddConsumer(info, js, r->stream_name, c, NULL, NULL) : s;
}

static enum code ensure_consumer(struct bus_reader *r, uint64_t last_seq, struct err *err)
{
	jsConsumerConfig c;
	jsConsumerInfo *info = NULL;
	jsErrCode code = 0;
	jsOptions o;
	jsCtx *js = NULL;

	jsOptions_Init(&o);
	o.Wait = 2000;
	jsConsumerConfig_Init(&c);
	c.Durable = r->durable;
	c.DeliverPolicy = js_DeliverAll;
	c.AckPolicy = js_AckAll;
	c.AckWait = (int64_t)ACK_WAIT_US * 1000;
	c.MaxAckPending = 4 * MAX_MESSAGES;
	c.FilterSubject = r->filter;
	natsStatus s = natsConnection_JetStream(&js, r->link->nc, &o);
	if (s == NATS_OK)
		s = js_GetConsumerInfo(&info, js, r->stream_name, r->durable, NULL, &code);
	if (s == NATS_OK)
		s = remake_if_off(r, js, last_seq, &c, &info);
	else if (s == NATS_NOT_FOUND)
		s = js_AddConsumer(&info, js, r->stream_name, &c, NULL, &code);
	jsConsumerInfo_Destroy(info);
	jsCtx_Destroy(js);
	if (s == NATS_OK)
		return OK;
	return err_set(err, UNAVAILABLE, "consumer %s: %s (JetStream error %d)", r->durable, natsStatus_GetText(s),
		       (int)code);
}

/* (Re)attach to stream and consumer over the present connection. */
static enum code attach(struct bus_reader *r, int64_t timeout_us, struct err *err)
{
	int64_t created;
	uint64_t last_seq;

	detach(r);
	r->link = link_wait(r->bus, 0, timeout_us);
	if (!r->link)
		return err_set(err, UNAVAILABLE, "no connection to the bus at %s", r->bus->url);
	enum code c = stream_ensure(r->link, &r->stream, &created, &last_seq, err);
	if (!c)
		c = ensure_consumer(r, last_seq, err);
	natsStatus s = c ? NATS_OK : natsInbox_Create(&r->inbox);
	if (!c && s == NATS_OK)
		s = natsConnection_SubscribeSync(&r->sub, r->link->nc, r->inbox);
	if (!c && s != NATS_OK)
		c = err_set(err, UNAVAILABLE, "bus: %s", natsStatus_GetText(s));
	if (c) {
		detach(r);
		return c;
	}
	natsSubscription_SetPendingLimits(r->sub, -1, -1);
	r->heard_us = time_mono_us();
	r->gap = true;
	return OK;
}

static enum code pull(struct bus_reader *r, struct err *err)
{
	auto_mem char *subject = x_printf("$JS.API.CONSUMER.MSG.NEXT.%s.%s", r->stream_name, r->durable);
	char body[128];

	snprintf(body, sizeof body, "{\"batch\":%d,\"expires\":%lld,\"idle_heartbeat\":%lld}", PULL_BATCH,
		 (long long)PULL_EXPIRES_US * 1000, (long long)HEARTBEAT_US * 1000);
	natsStatus s = natsConnection_PublishRequestString(r->link->nc, subject, r->inbox, body);
	if (s != NATS_OK)
		return err_set(err, UNAVAILABLE, "bus: %s", natsStatus_GetText(s));
	r->asked = PULL_BATCH;
	r->heard_us = time_mono_us();
	return OK;
}

/* A status instead of a message. Source: NATS ADR-13. */
static bool take_status(struct bus_reader *r, natsMsg *m)
{
	const char *status = NULL;

	if (natsMsg_GetDataLength(m) > 0 || natsMsgHeader_Get(m, "Status", &status) != NATS_OK || !status)
		return false;
	if (strcmp(status, "100") == 0) /* heartbeat */
		return true;
	r->asked = 0;
	/* 404, 408: the request has ended. 409: consumer deleted, server going down; 503: nobody takes requests. */
	r->lost |= strcmp(status, "404") != 0 && strcmp(status, "408") != 0;
	return true;
}

/* One message, or a status; false when nothing came in time. */
static bool take_one(struct bus_reader *r, int64_t wait_us)
{
	natsMsg *m = NULL;

	if (natsSubscription_NextMsg(&m, r->sub, MAX(wait_us / 1000, 0)) != NATS_OK)
		return false;
	r->heard_us = time_mono_us();
	if (take_status(r, m)) {
		natsMsg_Destroy(m);
		return true;
	}
	if (r->asked)
		r->asked--;
	vec_push(&r->batch, m);
	return true;
}

static bool alive(const struct bus_reader *r)
{
	return r->link && !r->lost && !atomic_load(&r->link->closed);
}

static bool healthy(const struct bus_reader *r)
{
	return alive(r) && time_mono_us() - r->heard_us < SILENCE_US;
}

static void collect(struct bus_reader *r, size_t max)
{
	while (r->batch.n < max && take_one(r, 0))
		continue;
}

static void hand_out(struct bus_reader *r, struct bus_message *messages, size_t max, size_t *ret_n)
{
	r->handed = MIN(r->batch.n, max);
	for (size_t i = 0; i < r->handed; i++) {
		natsMsg *m = r->batch.at[i];
		messages[i] = (struct bus_message){
			.subject = natsMsg_GetSubject(m),
			.payload = {natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m)},
			.handle = m,
		};
	}
	*ret_n = r->handed;
}

static enum code fill(struct bus_reader *r, size_t max, int64_t until_us, struct err *err)
{
	enum code c = OK;

	while (!c && r->batch.n == 0) {
		int64_t left_us = until_us - time_mono_us();
		if (left_us < 0)
			break;
		if (!healthy(r))
			c = attach(r, MIN(left_us, 1000000), err);
		if (!c && r->asked == 0)
			c = pull(r, err);
		if (!c && take_one(r, MIN(left_us, SLICE_US)))
			collect(r, max);
	}
	return c;
}

enum code bus_reader_fetch(struct bus_reader *r, struct bus_message *messages, size_t max, int64_t timeout_us,
			   size_t *ret_n, bool *ret_gap, struct err *err)
{
	int64_t now_us = time_mono_us();

	if (!alive(r))
		drop_batch(r);
	r->heard_us += now_us - r->left_us; /* while we were away nobody listened */
	max = MIN(max, MAX_MESSAGES);
	enum code c = fill(r, max, now_us + timeout_us, err);
	r->left_us = time_mono_us();
	if (c) {
		detach(r);
		return c;
	}
	hand_out(r, messages, max, ret_n);
	*ret_gap = r->gap;
	r->gap = false;
	return OK;
}

/* Acknowledging the last acknowledges all before it. A broken connection shows at the next fetch. */
void bus_reader_done(struct bus_reader *r, bool again)
{
	size_t n = r->handed;

	r->handed = 0;
	if (again || n == 0)
		return;
	const char *reply = natsMsg_GetReply(r->batch.at[n - 1]);
	if (reply)
		natsConnection_PublishString(r->link->nc, reply, "+ACK");
	for (size_t i = 0; i < n; i++)
		natsMsg_Destroy(r->batch.at[i]);
	r->batch.n -= n;
	memmove(r->batch.at, r->batch.at + n, r->batch.n * sizeof *r->batch.at);
}
