/* What carries messages between daemons. Postgres is the truth: a fact is committed first, published after, and can be
 * published again; so every message here may be lost, doubled or late, and receivers are idempotent.
 *
 * Two kinds of traffic:
 *   - addressed messages (bus_send, bus_listen): commands, confirms, resends. At most once; the sender repeats until
 * the receiver has confirmed its commit. NATS core.
 *   - streams (bus_writer, bus_reader): events, which several durable consumers read at their own pace. Ordered per
 *     subject, kept by limits. NATS JetStream, limits retention.
 *
 * Connections never reconnect by themselves behind our back (nats.c's asynchronous publisher left holes across
 * automatic reconnects): on any error the bus drops the connection, makes a new one, tells writers and readers, and
 * they find out what was lost (bus_writer) or recreate what is gone (bus_reader). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "metrics/metrics.h"

struct bus;

struct bus_options {
	const char *url;         /* "nats://host:port", several with commas */
	const char *name;        /* of the client, for the server's logs */
	struct metrics *metrics; /* borrowed; NULL for none */
};

/* Connects in the background and keeps at it (1/4 s to 5 s between tries). Never fails; strings are copied. */
struct bus *bus_new(const struct bus_options *options);
void bus_free(struct bus *b); /* after all writers, readers and listeners */
bool bus_connected(const struct bus *b);
/* Block until connected or timeout. UNAVAILABLE names the URL and the last error. */
enum code bus_wait(struct bus *b, int64_t timeout_us, struct err *err);

/* ---- addressed messages ---- */

/* Fire and forget; UNAVAILABLE while not connected, RESOURCE_EXHAUSTED above the server's limit (1 MiB),
 * INVALID_ARGUMENT for what is no subject (it may come from a message). */
enum code bus_send(struct bus *b, const char *subject, struct str payload, struct err *err);
/* Call fn(subject, payload, arg) for each message on `subject` ('*' matches a token, '>' the rest), on a thread of the
 * bus: fn must be quick (hand over to a queue). With `group`, one member of the group gets each message.
 * Survives reconnects; `connected` (may be NULL) is called after each (re)connection once the subscription stands:
 * messages may have been lost before. */
struct bus_listener;
typedef void (*bus_message_fn)(const char *subject, struct str payload, void *arg);
struct bus_listener *bus_listen(struct bus *b, const char *subject, const char *group, bus_message_fn fn,
				void (*connected)(void *arg), void *arg);
void bus_unlisten(struct bus_listener *l); /* NULL is fine; no call is under way or will come after it returns */

/* ---- streams ---- */

struct bus_stream_config {
	const char *name;     /* "ALULA_EVENTS" */
	const char *subjects; /* "alula.events.>" */
	int64_t max_bytes;    /* old messages go first */
	int64_t max_age_us;
};

/* Publishes in order with many in flight. One thread uses a writer. */
struct bus_writer;
struct bus_writer_options {
	struct bus_stream_config stream; /* created if missing */
	size_t max_in_flight;            /* 0 for 256 */
};
struct bus_writer *bus_writer_new(struct bus *b, const struct bus_writer_options *options);
void bus_writer_free(struct bus_writer *w);
/* Queue a message; `id` is the caller's, growing. Blocks while too many are in flight.
 * Errors: UNAVAILABLE: nothing was queued, call bus_writer_recover; RESOURCE_EXHAUSTED: too large. */
enum code bus_writer_publish(struct bus_writer *w, const char *subject, struct str payload, uint64_t id,
			     struct err *err);
/* The highest id such that it and all before it are in the stream; 0 for none yet, and after DATA_LOSS. */
uint64_t bus_writer_acked(struct bus_writer *w);
/* After an error: a new connection, then compare the stream's creation time and last sequence with those remembered.
 *   OK         the stream has all that was acknowledged: publish again, in order, everything after bus_writer_acked
 *   DATA_LOSS  the stream lost its tail or was made anew: publish again from what the consumers have confirmed
 *   other      not possible yet: try later */
enum code bus_writer_recover(struct bus_writer *w, int64_t timeout_us, struct err *err);

/* Durable pull consumer of a stream, fetching batches with heartbeats. One thread uses a reader. */
struct bus_reader;
struct bus_reader_options {
	struct bus_stream_config stream; /* created if missing, as its writer would */
	const char *durable;             /* "admin-0" */
	const char *filter;              /* "alula.events.0.*" */
};
struct bus_message {
	const char *subject;
	struct str payload;
	void *handle;
};
struct bus_reader *bus_reader_new(struct bus *b, const struct bus_reader_options *options);
void bus_reader_free(struct bus_reader *r);
/* Up to `max` messages, waiting up to `timeout_us` for the first; whatever is there comes at once. Messages are valid
 * until bus_reader_done. Missed heartbeats, lost connections and vanished streams or consumers are mended inside, and
 * told by *ret_gap = true once: messages may have been skipped.
 * Errors: UNAVAILABLE while there is no bus. */
enum code bus_reader_fetch(struct bus_reader *r, struct bus_message *messages, size_t max, int64_t timeout_us,
			   size_t *ret_n, bool *ret_gap, struct err *err);
/* The batch is committed here: acknowledge and free it. With `again`, nothing is acknowledged and the next fetch brings
 * it once more, before anything later (which, acknowledged, would cover it). */
void bus_reader_done(struct bus_reader *r, bool again);

DEFINE_CLEANUP(struct bus *, bus_free);
