/* Publishing to a stream, in order, many in flight, without trust in reconnects.
 *
 * Each message asks for its acknowledgement on an inbox of ours, "<inbox>.<id>"; the stream answers
 * {"stream":…,"seq":N} or an error. Anything but an acknowledgement makes the writer fail until it has recovered. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "private.h"

enum { ACK_TIMEOUT_US = 5000000, SLICE_US = 250000 };

struct flight {
	uint64_t id;
	bool acked;
};

struct bus_writer {
	struct bus *bus;
	struct bus_stream_config stream;
	char *stream_name, *subjects;
	size_t max_in_flight;

	pthread_mutex_t lock;
	pthread_cond_t moved;
	VEC(struct flight) flights; /* in order of id, from `first` */
	size_t first;
	uint64_t acked;
	struct link *link;
	natsSubscription *acks;
	natsInbox *inbox;
	bool failed;
	atomic_int active;
	int64_t created;   /* of the stream, as it was when it last worked */
	uint64_t last_seq; /* highest that it acknowledged */
	char why[128];
};

static size_t in_flight(const struct bus_writer *w)
{
	return w->flights.n - w->first;
}

static void fail(struct bus_writer *w, const char *why)
{
	if (!w->failed)
		snprintf(w->why, sizeof w->why, "%s", why);
	w->failed = true;
	pthread_cond_broadcast(&w->moved);
}

/* The number after "seq": in an acknowledgement; 0 when it is something else. */
static uint64_t seq_of(natsMsg *msg)
{
	char text[256];
	int n = natsMsg_GetDataLength(msg);

	if (n <= 0 || n >= (int)sizeof text)
		return 0;
	memcpy(text, natsMsg_GetData(msg), (size_t)n);
	text[n] = '\0';
	const char *seq = strstr(text, "\"error\"") ? NULL : strstr(text, "\"seq\":");
	return seq ? strtoull(seq + 6, NULL, 10) : 0;
}

static void mark(struct bus_writer *w, uint64_t id)
{
	size_t low = w->first, high = w->flights.n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (w->flights.at[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < w->flights.n && w->flights.at[low].id == id)
		w->flights.at[low].acked = true;
	while (w->first < w->flights.n && w->flights.at[w->first].acked)
		w->acked = w->flights.at[w->first++].id;
	if (w->first == w->flights.n || w->first > 4096) {
		vec_drop(&w->flights, w->first);
		w->first = 0;
	}
}

static void on_ack(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
	struct bus_writer *w = closure;
	const char *dot = strrchr(natsMsg_GetSubject(msg), '.');
	uint64_t seq = seq_of(msg), id = 0;

	(void)nc;
	(void)sub;
	pthread_mutex_lock(&w->lock);
	if (seq && seq <= w->last_seq) {
		fail(w, "the stream was made anew"); /* it counts from 1 again */
	} else if (seq && dot && str_to_u64(str_of(dot + 1), &id)) {
		w->last_seq = seq;
		mark(w, id);
		pthread_cond_broadcast(&w->moved);
	} else {
		fail(w, natsMsg_IsNoResponders(msg) ? "the stream is gone" : "the stream refused a message");
	}
	pthread_mutex_unlock(&w->lock);
	natsMsg_Destroy(msg);
}

static void on_complete(void *closure)
{
	struct bus_writer *w = closure;

	atomic_fetch_sub(&w->active, 1);
}

struct bus_writer *bus_writer_new(struct bus *b, const struct bus_writer_options *options)
{
	struct bus_writer *w = x_calloc(1, sizeof *w);

	w->bus = b;
	w->stream = options->stream;
	w->stream.name = w->stream_name = x_strdup(options->stream.name);
	w->stream.subjects = w->subjects = x_strdup(options->stream.subjects);
	w->max_in_flight = options->max_in_flight ? options->max_in_flight : 256;
	w->failed = true; /* until the first recovery */
	snprintf(w->why, sizeof w->why, "not connected yet");
	pthread_mutex_init(&w->lock, NULL);
	cond_init_mono(&w->moved);
	return w;
}

static void detach(struct bus_writer *w)
{
	link_unsubscribe(w->link, w->acks);
	w->acks = NULL;
	while (atomic_load(&w->active) > 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	natsInbox_Destroy(w->inbox);
	w->inbox = NULL;
	link_put(w->link);
	w->link = NULL;
}

void bus_writer_free(struct bus_writer *w)
{
	if (!w)
		return;
	detach(w);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->moved);
	vec_free(&w->flights);
	free(w->stream_name);
	free(w->subjects);
	free(w);
}

/* Room in the window; with the lock held. A connection that is lost wakes nobody here, so we look. */
static bool wait_room(struct bus_writer *w)
{
	int64_t until_us = time_mono_us() + ACK_TIMEOUT_US;

	while (!w->failed && in_flight(w) >= w->max_in_flight) {
		int64_t now_us = time_mono_us(), next_us = MIN(now_us + SLICE_US, until_us);
		if (atomic_load(&w->link->closed))
			fail(w, "the connection was lost");
		else if (now_us >= until_us)
			fail(w, "no acknowledgement for 5 s");
		else
			cond_wait_until(&w->moved, &w->lock, next_us);
	}
	return !w->failed;
}

enum code bus_writer_publish(struct bus_writer *w, const char *subject, struct str payload, uint64_t id,
			     struct err *err)
{
	char reply[128];

	pthread_mutex_lock(&w->lock);
	if (!w->failed && atomic_load(&w->link->closed))
		fail(w, "the connection was lost");
	if (!wait_room(w)) {
		enum code c = err_set(err, UNAVAILABLE, "cannot publish to %s: %s", w->stream_name, w->why);
		pthread_mutex_unlock(&w->lock);
		return c;
	}
	if ((int64_t)payload.len > natsConnection_GetMaxPayload(w->link->nc)) {
		pthread_mutex_unlock(&w->lock);
		return err_set(err, RESOURCE_EXHAUSTED, "a message of %zu bytes is too large for the bus", payload.len);
	}
	assert(in_flight(w) == 0 || id > w->flights.at[w->flights.n - 1].id);
	vec_push(&w->flights, (struct flight){id, false});
	snprintf(reply, sizeof reply, "%s.%llu", w->inbox, (unsigned long long)id);
	pthread_mutex_unlock(&w->lock);

	natsStatus s = natsConnection_PublishRequest(w->link->nc, subject, reply, payload.ptr, (int)payload.len);
	if (s == NATS_OK)
		return OK;
	pthread_mutex_lock(&w->lock);
	fail(w, natsStatus_GetText(s));
	pthread_mutex_unlock(&w->lock);
	return err_set(err, UNAVAILABLE, "cannot publish to %s: %s", w->stream_name, natsStatus_GetText(s));
}

uint64_t bus_writer_acked(struct bus_writer *w)
{
	pthread_mutex_lock(&w->lock);
	uint64_t id = w->acked;
	pthread_mutex_unlock(&w->lock);
	return id;
}

static natsStatus listen_acks(struct bus_writer *w)
{
	char all[128];
	natsStatus s = natsInbox_Create(&w->inbox);

	if (s != NATS_OK)
		return s;
	snprintf(all, sizeof all, "%s.*", w->inbox);
	s = natsConnection_Subscribe(&w->acks, w->link->nc, all, on_ack, w);
	if (s != NATS_OK)
		return s;
	atomic_fetch_add(&w->active, 1);
	if (natsSubscription_SetOnCompleteCB(w->acks, on_complete, w) != NATS_OK)
		atomic_fetch_sub(&w->active, 1); /* closed already */
	return natsSubscription_SetPendingLimits(w->acks, -1, -1);
}

/* Did the stream keep what it acknowledged? */
static enum code compare(struct bus_writer *w, struct err *err)
{
	int64_t created;
	uint64_t last_seq;
	enum code c = stream_ensure(w->link, &w->stream, &created, &last_seq, err);

	if (c)
		return c;
	bool lost = w->created && (created != w->created || last_seq < w->last_seq);
	w->created = created;
	if (lost)
		w->last_seq = last_seq;
	return lost ? err_set(err, DATA_LOSS, "stream %s lost messages that it had acknowledged", w->stream_name) : OK;
}

enum code bus_writer_recover(struct bus_writer *w, int64_t timeout_us, struct err *err)
{
	uint64_t generation = w->link ? w->link->generation : 0;

	/* A new connection: what the old one still carries must not be mixed with what is published again. */
	if (w->link) {
		link_break(w->link);
		detach(w);
	}
	w->link = link_wait(w->bus, generation, timeout_us);
	if (!w->link)
		return err_set(err, UNAVAILABLE, "no connection to the bus at %s", w->bus->url);
	natsStatus s = listen_acks(w);
	/* Last, since it tells of a loss only once. */
	enum code c = s == NATS_OK ? compare(w, err) : err_set(err, UNAVAILABLE, "bus: %s", natsStatus_GetText(s));
	pthread_mutex_lock(&w->lock);
	w->flights.n = w->first = 0;
	if (c == DATA_LOSS)
		w->acked = 0;
	w->failed = c != OK && c != DATA_LOSS;
	pthread_mutex_unlock(&w->lock);
	return c;
}
