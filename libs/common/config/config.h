/* Configuration: Flyte's YAML keys, read into a struct by a table.
 *
 * Each service describes its keys once; the table reads the files, applies the environment, checks ranges, prints the
 * effective configuration (--dump-config) and writes docs/config/<service>.md. Several files merge in order: maps by
 * key, everything else replaced. Unknown keys are told with file and line and never fail (Flyte's files hold sections
 * of other services). Values are all checked before any is applied; every error is told, not only the first.
 *
 * Environment: ALULA_<PATH> with '.' and '-' as '_', upper case (`server.grpc.port` is ALULA_SERVER_GRPC_PORT), or the
 * key's own `env`; lists and maps there as a,b and k=v,k=v. Not thread-safe; loaded once at start. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum config_type {
	CONFIG_STRING,   /* const char *, never NULL */
	CONFIG_INT,      /* int64_t */
	CONFIG_BOOL,     /* bool */
	CONFIG_DOUBLE,   /* double */
	CONFIG_DURATION, /* int64_t microseconds; Go's syntax, or Flyte's map {duration: 10s} */
	CONFIG_SIZE,     /* int64_t bytes; Kubernetes' quantities, rounded up: 500Mi, 1Gi, 10M, 1024 */
	CONFIG_STRINGS,  /* struct config_strings: a list, or one text with commas */
	CONFIG_MAP,      /* struct config_map: text to text; keys keep their case */
	CONFIG_TREE,     /* struct config_map: maps in maps, as "a.b.c"; lists of texts as one text with commas */
};

struct config_strings {
	const char **at;
	size_t n;
};

struct config_pair {
	const char *key, *value;
};

struct config_map {
	struct config_pair *at;
	size_t n;
};

struct config_key {
	const char *path; /* "server.grpc.port"; NULL ends the table */
	enum config_type type;
	size_t offset;             /* of the field in the service's struct */
	const char *default_value; /* as it would stand in YAML; NULL for empty */
	int64_t min, max;          /* numbers, durations, sizes; both 0 for no bounds, max INT64_MAX for none above */
	const char *unit;          /* for the docs, NULL if none */
	const char *env;           /* a further environment variable; NULL */
	const char *text;          /* one or two sentences for the docs */
};

struct config;

/* Read `files` (n of them, in order), the environment and the defaults into `target`, whose layout `keys` describes;
 * several tables may be given (NULL-terminated list), all with offsets into the same struct. Strings in `target` belong
 * to the returned config.
 * Errors: INVALID_ARGUMENT, all of them in one text, "file:line: key: what is expected"; NOT_FOUND for a missing file.
 */
enum code config_load(const struct config_key *const *tables, const char *const *files, size_t n_files, void *target,
		      struct config **ret, struct err *err);
void config_free(struct config *c);
/* Keys that no table knows, "file:line: unknown key a.b (did you mean a.c?)". */
size_t config_warnings(const struct config *c, const char *const **ret);
/* The effective values as YAML; secrets (keys that end in password, secret, token, dsn) masked. */
void config_dump(const struct config_key *const *tables, const void *target, struct buf *b);
/* A Markdown table of all keys. */
void config_docs(const char *service, const struct config_key *const *tables, struct buf *b);

DEFINE_CLEANUP(struct config *, config_free);
