/* What the flyte module's files have in common. */
#pragma once
#include <stdbool.h>

#include "google/protobuf/struct.h"

/* Does an object of JSON schema `from` satisfy schema `to`? The same schema, or one whose objects have all that `to`
 * wants (a subclass's). Source: flytepropeller validators/typing.go isSuperTypeInJSON, which asks
 * json-schema-compare; what that library does not compare is not compared here. */
bool json_schema_covers(const PbStruct *from, const PbStruct *to);
