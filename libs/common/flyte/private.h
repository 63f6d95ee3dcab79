/* What the flyte module's files have in common. */
#pragma once
#include <stdbool.h>

#include "google/protobuf/struct.h"

/* Does an object of JSON schema `from` satisfy schema `to`? The same schema, or one whose objects have all that `to`
 * wants (a subclass's). Source: flytepropeller validators/typing.go isSuperTypeInJSON, which asks a library; here
 * properties, their types, items and what is required are compared. */
bool json_schema_covers(const PbStruct *from, const PbStruct *to);
