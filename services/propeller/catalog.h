/* Client of datacatalog's batched service. Whoever asks hands over one item and goes on; a thread for each kind of call
 * gathers what waits, makes one call of it and hands the answers back.
 *
 *   catalog_ask(c, CATALOG_GET, key, on_entry, node);
 *
 * Thread-safe. Ended by catalog_free, which answers all that was asked. Source: proto/alula/catalog.proto. */
#pragma once
#include "alula/catalog.h"
#include "base/err.h"
#include "base/mem.h"

struct catalog;

struct catalog_options {
	const char *target; /* "host:port" of datacatalog */
	size_t batch;       /* items of one call; 0 for 500, what datacatalog takes at most is its own key */
	size_t max_bytes;   /* of the items of one call, if it has more than one; 0 for 8 MiB */
	size_t waiting;     /* items that may wait of each kind; 0 for 100,000 */
	int64_t timeout_us; /* of a call; 0 for 10 s */
};

/*                    asked with           answered with */
enum catalog_call {
	CATALOG_GET,     /* AlulaCatalogKey,     AlulaCatalogEntry */
	CATALOG_PUT,     /* AlulaCatalogPut,     AlulaCatalogPutResult */
	CATALOG_RESERVE, /* AlulaCatalogReserve, AlulaCatalogReservation */
	CATALOG_RELEASE, /* AlulaCatalogReserve, NULL */
};

/* `answer` is NULL unless `code` is OK; it is borrowed until the function returns. A miss is NOT_FOUND; UNAVAILABLE or
 * DEADLINE_EXCEEDED when datacatalog is not there. Runs on the client's thread: hand over to a queue or loop. */
typedef void (*catalog_fn)(void *arg, enum code code, const void *answer, const struct err *err);

/* Connects when it first must. */
struct catalog *catalog_new(const struct catalog_options *options);
void catalog_free(struct catalog *c); /* NULL is fine; nobody may be asking any more */
/* `item` is copied. When too many wait, `fn` gets RESOURCE_EXHAUSTED before this returns. */
void catalog_ask(struct catalog *c, enum catalog_call call, const void *item, catalog_fn fn, void *arg);

DEFINE_CLEANUP(struct catalog *, catalog_free);
