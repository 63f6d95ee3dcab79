/* Attributes of dataclasses and dicts, which travel as msgpack: a part is cut out of the bytes, nothing is copied
 * before the end. Depth costs nothing: items are counted, not descended into. Source: flytepropeller
 * nodes/attr_path_resolver.go; the msgpack specification. */
#pragma once
#include "base/arena.h"
#include "base/str.h"
#include "flyteidl/core/literals.h"

/* The value of `key` in a map, or the item `at` of an array, as the bytes of a value. False if `value` is none that has
 * it, or is damaged. */
bool msgpack_key(struct str value, const char *key, struct str *ret);
bool msgpack_item(struct str value, int64_t at, struct str *ret);

/* As Flyte hands a part on: numbers, texts and truth values are primitives, an array is a collection of msgpack values,
 * all else is msgpack. In `a`, with bytes of its own; NULL if `value` is damaged. */
CoreLiteral *msgpack_literal(struct arena *a, struct str value);
