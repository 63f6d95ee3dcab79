/* Outbox: rows that a transaction leaves to be sent, sent until the receiver confirms its own commit.
 *
 * The service's schema holds
 *   outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key bigint, subject text, payload bytea)
 * Row order is not commit order, so there is no cursor: rows are taken by id FOR UPDATE SKIP LOCKED and
 * gone only when confirmed. A sender thread keeps at most `window` rows on their way; it is woken
 * in-process by outbox_wake after a commit, by confirms, by outbox_resend (a receiver that says it is ready), and by a
 * slow sweep for leftovers. Receivers get `payload` on `subject`, must be idempotent, and confirm by id. Several
 * daemons may share one outbox table. */
#pragma once
#include "bus/bus.h"
#include "db/db.h"

struct outbox;

struct outbox_options {
	struct bus *bus;
	struct db_pool *pool;
	size_t window;     /* rows sent and unconfirmed at most; 0 for 4096 */
	int64_t resend_us; /* a row unconfirmed for so long is sent again; 0 for 5 s */
	int64_t sweep_us;  /* look for rows of others or of before; 0 for 5 s */
	struct metrics *metrics;
	const char *metrics_prefix;
};

/* Insert a row inside the caller's transaction. The row travels as alula.Envelope{id, confirm_subject, payload}. */
enum code outbox_add(struct db *db, int64_t key, const char *subject, struct str payload, struct err *err);

struct outbox *outbox_new(const struct outbox_options *options); /* listens on its confirm subject, starts its thread */
void outbox_free(struct outbox *o);
/* A transaction that added rows has committed. */
void outbox_wake(struct outbox *o);
/* A receiver has started or changed: send everything unconfirmed on this subject now. */
void outbox_resend(struct outbox *o, const char *subject);
/* Rows of these keys have arrived, as something else than a confirm shows: delete them in the caller's transaction. */
enum code outbox_forget(struct db *db, const int64_t *keys, size_t n, struct err *err);
