/* The object store: inputs, outputs, closures, uploads. Asynchronous, since S3 and others will sit behind it; `file` is
 * the only kind now.
 *
 * A URI of the `file` kind is a bare absolute path (flytekit cannot work with file://). Writes go to a temporary file,
 * fsync (unless `durable` is off), rename; so a reader never sees half a file. A path that leaves the store's root by
 * "..", symlinks or absolute tricks is refused with INVALID_ARGUMENT.
 * Completion functions run on one of the store's threads: hand over to a queue or loop. Thread-safe. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct store;

struct store_options {
	const char *type; /* "file" */
	const char *root; /* absolute directory, created if missing; Flyte's bucket/container */
	int threads;      /* 0 for 4 */
	bool durable;     /* fsync file and directory */
	/* Signed URLs: where admin serves them, and the key of their HMAC-SHA256 (at least 32 bytes). NULL: none. */
	const char *public_url; /* "http://localhost:8088"; a request's own authority may replace it */
	struct str secret;
};

enum code store_new(const struct store_options *options, struct store **ret, struct err *err);
/* Finish what was asked for, and end the threads: what is asked for later is done by the caller's. */
void store_stop(struct store *s);
void store_free(struct store *s); /* stops it */
const char *store_root(const struct store *s);
/* Is the URI inside this store (after normalisation)? */
bool store_owns(const struct store *s, struct str uri);

/* Errors of all that follows: UNAVAILABLE when the machine is short of something (disk, descriptors, memory): later it
 * may work. INTERNAL for other faults, which may pass or stay (EIO). RESOURCE_EXHAUSTED only for what is larger than it
 * may be. */

/* `data` is malloc'd or NULL and becomes the callee's. code NOT_FOUND, RESOURCE_EXHAUSTED (larger than max), … */
typedef void (*store_read_fn)(void *arg, enum code code, char *data, size_t len, const struct err *err);
typedef void (*store_done_fn)(void *arg, enum code code, const struct err *err);
void store_read(struct store *s, const char *uri, size_t max_bytes, store_read_fn fn, void *arg);
void store_write(struct store *s, const char *uri, struct str data, store_done_fn fn, void *arg); /* data is copied */

/* The same, waiting: for worker threads. */
enum code store_get(struct store *s, const char *uri, size_t max_bytes, struct buf *ret, struct err *err);
enum code store_put(struct store *s, const char *uri, struct str data, struct err *err);
/* NOT_FOUND when it was not there. */
enum code store_remove(struct store *s, const char *uri, struct err *err);
/* Everything below the folder `uri`, and the folder. OK when there was none. Links are removed, not followed. */
enum code store_remove_all(struct store *s, const char *uri, struct err *err);
/* Size in bytes; NOT_FOUND. */
enum code store_stat(struct store *s, const char *uri, uint64_t *ret_bytes, struct err *err);
/* Names of what lies directly in the folder `uri`, sorted, in `a`; a folder that is not there has none. Errors:
 * RESOURCE_EXHAUSTED for more than `max`. */
enum code store_list(struct store *s, const char *uri, size_t max, struct arena *a, const char ***ret, size_t *ret_n,
		     struct err *err);
/* Take over a finished temporary file (an upload) under `uri`, atomically. */
enum code store_adopt(struct store *s, const char *uri, const char *path, struct err *err);
/* Directory for such temporary files, on the same file system. */
const char *store_upload_dir(const struct store *s);

/* Signed URLs of the store's own objects, "…/data/<path>?op=put&expires=…&signature=…" (op, path, expiry, and for
 * uploads the MD5 if known, are under the signature). `authority` ("host:port") replaces public_url's when not NULL.
 * `content_md5`: 16 bytes or empty. */
enum store_op { STORE_GET, STORE_PUT };
enum code store_sign(struct store *s, enum store_op op, const char *uri, int64_t expires_us, struct str content_md5,
		     const char *authority, struct buf *ret, struct err *err);
/* Check path and query of a request to such a URL: the URI that it allows. PERMISSION_DENIED (tampered or expired),
 * INVALID_ARGUMENT, NOT_FOUND. *ret_md5 has 16 bytes if `has_md5`. */
enum code store_verify(struct store *s, enum store_op op, const char *path, const char *query, int64_t now_us,
		       struct buf *ret_uri, uint8_t ret_md5[16], bool *ret_has_md5, struct err *err);

DEFINE_CLEANUP(struct store *, store_free);
