/* Names that Flyte makes of several parts: node executions, pods, child executions.
 * Source: flyteplugins pluginmachinery/encoding/encoder.go (v1.16.8). */
#pragma once
#include <stddef.h>

#include "base/arena.h"

/* Which hash a name gets that would be too long: 8 or 14 characters. */
enum unique_id_hash { UNIQUE_ID_FNV32, UNIQUE_ID_FNV64 };

/* Longest names by use. */
enum { NODE_UNIQUE_ID_MAX = 20, TASK_UNIQUE_NAME_MAX = 50 };

/* The parts joined by '-' (empty parts at the front leave none), if no longer than `max`; else 'f' and the hash of that
 * text in base32. `max` is at least 14. */
const char *flyte_unique_id(struct arena *a, const char *const *parts, size_t n, size_t max, enum unique_id_hash hash);
