/* Packed literals: parts of them are found and put together by their bytes, without making messages of what may be many
 * times as large. Nothing here is trusted: what is damaged has no parts. Bytes that are handed on are not looked into:
 * whoever makes messages of them unpacks them guarded. Source: the protobuf encoding; flyteidl/core/literals.proto. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "flyteidl/core/literals.h"

/* Which member of its oneof a packed Literal has (CORE_LITERAL_VALUE_…; 0 for none), and its body. False if damaged. */
bool packed_open(struct str literal, int *ret_case, struct str *ret_body);
/* The literal of this name in a packed LiteralMap. */
bool packed_key(struct str map, const char *key, struct str *ret);
/* The literal at this place in a packed LiteralCollection, and how many it has; false if damaged or not there. */
bool packed_item(struct str collection, size_t at, struct str *ret);
bool packed_count(struct str collection, size_t *ret);

/* The keys of a packed LiteralMap in `a`, at most `max`, but those that are no text: how many. */
size_t packed_keys(struct str map, struct arena *a, size_t max, char ***ret);

/* ---- writing ---- */

/* A field of type message or bytes: how long it is with its head, and the head itself. Fields below 16. */
size_t packed_field_size(size_t body);
void packed_add_head(struct buf *b, unsigned field, size_t body);
