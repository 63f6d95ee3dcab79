/* Outbox: rows that a transaction leaves to be sent, sent until the receiver confirms its own commit. Any number of
 * processes may share a table.
 *
 * The service's schema holds
 *   outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key bigint NOT NULL, subject text NOT NULL,
 *           payload bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now())
 * A row goes out as alula.Envelope{id, confirm_subject, payload} and is deleted once its receiver has confirmed it. Row
 * order is not commit order, so there is no cursor over ids: a transaction's rows are handed over in memory after its
 * commit, and what nobody in this process knows (a crash, a full window, another daemon) is found by a slow sweep.
 * Receivers may get a row several times, from several daemons; a confirm counts only for rows that this process has on
 * their way. At most `window` rows and 64 MiB are on their way at once, and all are sent again after a reconnect.
 *
 *   struct outbox_rows rows = {0};
 *   … outbox_add(db, &rows, key, subject, payload, err) … db_commit …
 *   outbox_send(outbox, &rows);     only after a successful commit
 *   outbox_rows_clear(&rows);       always */
#pragma once
#include "base/vec.h"
#include "bus/bus.h"
#include "db/db.h"

struct outbox;

struct outbox_options {
	struct bus *bus;
	struct db_pool *pool;
	size_t window;     /* rows sent and unconfirmed at most; 0 for 4096 */
	int64_t resend_us; /* a row unconfirmed for so long is sent again; 0 for 5 s */
	int64_t sweep_us;  /* how often, and from which age on, rows that nobody here knows are looked for; 0 for 5 s */
	struct metrics *metrics;
	const char *metrics_prefix;
};

struct outbox_row {
	int64_t id;
	char *subject;
	struct buf payload;
};

struct outbox_rows {
	VEC(struct outbox_row) rows;
};
void outbox_rows_clear(struct outbox_rows *r);
#define auto_outbox_rows __attribute__((cleanup(outbox_rows_clear)))

/* Insert a row inside the caller's transaction and remember it in `rows`. */
enum code outbox_add(struct db *db, struct outbox_rows *rows, int64_t key, const char *subject, struct str payload,
		     struct err *err);
/* Rows that the caller inserted by itself (in a larger statement): the same memory of them. */
void outbox_note(struct outbox_rows *rows, int64_t id, const char *subject, struct str payload);
/* Rows of these keys have arrived, as something else than a confirm shows: a step of the caller's transaction that
 * deletes them. In `a`. */
struct db_step outbox_forget(struct arena *a, const int64_t *keys, size_t n);

struct outbox *outbox_new(const struct outbox_options *options); /* listens on its confirm subject, starts its thread */
void outbox_free(struct outbox *o);
/* The transaction of these rows has committed. Takes what is in `rows`. From any thread; waits while very many rows
 * wait to be sent. */
void outbox_send(struct outbox *o, struct outbox_rows *rows);
/* A receiver has started or changed: send everything unconfirmed on this subject now. From any thread. */
void outbox_resend(struct outbox *o, const char *subject);
