/* Shared by the store's files. */
#pragma once
#include "store/store.h"

struct queue;

struct store {
	char *root; /* real path, no slash at the end */
	char *upload_dir;
	int root_fd;
	bool durable;
	char *public_url; /* no slash at the end; NULL: no signed URLs */
	struct buf secret;
	struct queue *jobs;
	size_t n_threads;
	unsigned long *threads; /* pthread_t */
};

/* The part of `uri` below the root, without a leading slash, borrowed from `uri`; INVALID_ARGUMENT for anything that is
 * not plainly inside: another root, "..", ".", empty segments, NUL. */
enum code store_relative(const struct store *s, struct str uri, struct str *ret, struct err *err);

/* ---- file.c: blocking work on paths below the root ---- */
enum code file_read(const struct store *s, const char *uri, size_t max_bytes, struct buf *ret, struct err *err);
enum code file_write(const struct store *s, const char *uri, struct str data, struct err *err);
