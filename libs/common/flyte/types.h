/* Literal types: which value goes where.
 * Pure functions over messages; nothing is kept. What they return lives in the arena or borrows from the arguments.
 * Source: flytepropeller pkg/compiler/validators/typing.go, utils.go (v1.16.8). */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "flyteidl/core/interface.h"
#include "flyteidl/core/literals.h"
#include "flyteidl/core/types.h"

/* Levels of messages in a map of literals, at most: with all that such a map is sent in it stays below PB_MAX_DEPTH. */
enum { LITERAL_MAP_MAX_DEPTH = 90 };

/* May a value of type `from` be given to a variable of type `to`? NULL types match nothing. */
bool type_castable(const CoreLiteralType *from, const CoreLiteralType *to);
/* The same for many calls whose work is bounded together: *steps is what is left, and without steps nothing casts. */
bool type_castable_within(const CoreLiteralType *from, const CoreLiteralType *to, int *steps);
/* The same type, metadata, annotations and structure left aside. */
bool type_same(const CoreLiteralType *a, const CoreLiteralType *b);
/* Does a union of the type have none among its variants? */
bool type_optional(const CoreLiteralType *t);
/* `simple:INTEGER`, `collection_type:{simple:STRING}`: protobuf's text form, as Flyte's messages show types. */
void type_add_text(const CoreLiteralType *t, struct buf *b);
const char *type_text(const CoreLiteralType *t, struct arena *a);

/* Type of a value; NULL when the value says nothing of it (unset). */
const CoreLiteralType *literal_type(const CoreLiteral *l, struct arena *a);
const CoreLiteralType *scalar_type(const CoreScalar *s, struct arena *a);
/* A type that literal_type made is whole: INVALID_ARGUMENT in Flyte's words otherwise. */
enum code literal_type_check(const CoreLiteralType *t, struct err *err);

/* A literal with a scalar of this kind (CORE_SCALAR_VALUE_UNION), or with a primitive of this kind
 * (CORE_PRIMITIVE_VALUE_INTEGER), whose value the caller sets. */
CoreLiteral *literal_of_scalar(struct arena *a, int value_case);
CoreLiteral *literal_of_primitive(struct arena *a, int value_case);

/* Entries by key; NULL if absent, or if the map is NULL. For a few look-ups: they walk. */
const CoreVariable *variable_get(const CoreVariableMap *m, const char *name);
const CoreParameter *parameter_get(const CoreParameterMap *m, const char *name);
CoreLiteral *literal_get(const CoreLiteralMap *m, const char *name);
