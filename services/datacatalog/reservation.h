/* Reservations: who computes what is not cached yet. One row a key; owner and expiry change in one statement, by the
 * database's clock, so any number of daemons agree. */
#pragma once
#include "datacatalog.h"
#include "keys.h"

struct reserve {
	struct key key;
	const char *owner;
	int64_t heartbeat_us; /* as asked; then as granted */
	/* Filled in: who has it now. */
	const char *holder;
	int64_t expires_us;
};

/* A heartbeat as the request has it (NULL: the longest), cut to the longest. INVALID_ARGUMENT when negative. */
enum code heartbeat_of(const struct catalog *catalog, const PbDuration *d, int64_t *ret, struct err *err);
/* Take what is free, expired or the owner's already; see who has the rest. Of equal keys the first is tried. In no
 * transaction: now and then what expired a day ago is forgotten. */
enum code reservations_take(struct request *rq, struct db *db, struct reserve *reserves, size_t n, struct err *err);
/* Let go of what the owners have. */
enum code reservations_release(struct request *rq, struct db *db, const struct reserve *reserves, size_t n,
			       struct err *err);
