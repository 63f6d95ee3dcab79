/* What differs between two messages of one type, for people who re-register something under an old version. */
#pragma once
#include "base/buf.h"

/* A piece for each field that differs: "/template/container/image:\n\t- old \n\t+ new", parted by newlines; at most
 * `max_bytes` or a little more. */
void add_differences(const void *old_message, const void *new_message, size_t max_bytes, struct buf *b);
