/* Messages as people read them: protobuf's text form on one line, as Flyte puts messages into its error texts.
 *   resource_type:TASK project:"p" name:"n"      collection_type:{simple:STRING}
 * Unset fields are left out, map entries are sorted. Source: Go protobuf's String(), its random blanks left out. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/buf.h"

/* `message` starts with its ProtobufCMessage; NULL is "<nil>". */
void message_add_text(const void *message, struct buf *b);
const char *message_text(const void *message, struct arena *a);
/* One value of a field, at `at`: the member, or an element of a repeated field. */
void value_add_text(const ProtobufCFieldDescriptor *f, const void *at, struct buf *b);
