/* Shared by the files of bus. */
#pragma once
#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "bus/bus.h"

/* One connection, as long as it lives. Who uses it holds a reference; when it breaks it is only replaced. */
struct link {
	natsConnection *nc;
	uint64_t generation;
	atomic_int refs;
	_Atomic bool closed;
	struct bus *bus;
	VEC(natsSubscription *) ended; /* under the bus's lock; freed with the connection */
};

struct bus {
	char *url, *name;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* the link came or went */
	struct link *link;      /* NULL while there is none */
	uint64_t generation;
	int links; /* that live */
	bool stopping;
	pthread_t thread;
	VEC(struct bus_listener *) listeners;
	char last_error[256];
	struct metric *connects, *sent, *received;
};

/* A reference to the present connection, or NULL. */
struct link *link_get(struct bus *b);
void link_put(struct link *l);
/* It does not work as it should: drop it, so that a new one is made. */
void link_break(struct link *l);
/* End a subscription of this connection. It stays in memory as long as the connection: libnats' reading thread may look
 * at one that was destroyed meanwhile (nats.c issue 637, mended after 3.5.0); a connection with very many of them is
 * replaced. NULL is fine. */
void link_unsubscribe(struct link *l, natsSubscription *sub);
/* Wait for a connection newer than `generation` (0: any). */
struct link *link_wait(struct bus *b, uint64_t generation, int64_t timeout_us);

/* Create the stream if it is missing, and look at it. *ret_created in ns since the epoch. */
enum code stream_ensure(struct link *l, const struct bus_stream_config *config, int64_t *ret_created,
			uint64_t *ret_last_seq, struct err *err);
