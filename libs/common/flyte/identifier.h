/* Flyte's identifiers: text forms, names of resource types. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "flyteidl/core/identifier.h"

/* "task", "workflow", "launch_plan", "dataset", "unspecified" */
const char *resource_type_name(CoreResourceType type);
/* "TASK", …, as in protobuf's text form. */
const char *resource_type_word(CoreResourceType type);

/* `resource_type:TASK project:"p" domain:"d" name:"n" version:"v"`: protobuf's text form, as Flyte's messages show
 * identifiers; empty fields are left out. In `a`. NULL is "<nil>". */
const char *identifier_text(const CoreIdentifier *id, struct arena *a);
/* "p:d:n:v", for keys and logs. */
void identifier_add_key(const CoreIdentifier *id, struct buf *b);
/* Equal in type, project, domain, name, version and org. */
bool identifier_equal(const CoreIdentifier *a, const CoreIdentifier *b);
