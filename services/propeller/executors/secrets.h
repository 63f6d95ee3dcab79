/* Secrets of tasks, read on this host and handed to the attempt's process: never to the journal, to logs or to files
 * that stay. Values come from variables of propeller's own environment (`secrets.env-prefix` + GROUP_KEY) or else from
 * files (`secrets.secrets-prefix`/<group>/<key>).
 *
 * ENV_VAR gives the variable _FSEC_<GROUP>_<KEY>, FILE and ANY the file <group>/<key> in small letters below
 * $FLYTE_SECRETS_DEFAULT_DIR; `env_var` names one more variable, for the value or for the file's path. A group version
 * stands between group and key where it is asked for, and the names without it are there too.
 * Source: flytepropeller pkg/webhook/{k8s_secrets,utils}.go, nodes/task/secretmanager; flytekit SecretsManager. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/core/security.h"

struct secrets_source {
	const char *dir;        /* <group>/<key>, or <group>/<version>/<key> */
	const char *env_prefix; /* "FLYTE_SECRET_"; "" for none */
};

struct secret {
	const CoreSecret *asked;
	struct str value;
	bool as_file;
};

struct secrets {
	struct secret *at;
	size_t n;
	bool files; /* some are files */
};

/* Read what the task asks for; values live in `a`. `context` NULL: none. Small blocking file work.
 * Errors: NOT_FOUND with group and key of a secret that is not there; INVALID_ARGUMENT for a name or a value that
 * cannot be one. No text ever holds a value. */
enum code secrets_read(const struct secrets_source *from, const CoreSecurityContext *context, struct arena *a,
		       struct secrets *ret, struct err *err);
/* Make `dir` (mode 0700) and the files in it (0400). Nothing if none are files. */
enum code secrets_write(const struct secrets *s, const char *dir, struct err *err);
/* "KEY=value" of everything a task must know, NULL at the end; in `a`. `dir` as above, absolute. */
char **secrets_env(const struct secrets *s, const char *dir, struct arena *a);
