/* Attribute paths: what a promise means by `.field`, `["key"]` and `[0]`, in collections, maps, dataclasses (msgpack or
 * JSON) and the values of unions. Used by the engine for values that it has, and by whoever reads values from the
 * store. Source: flytepropeller nodes/attr_path_resolver.go (v1.16.8); that leaves steps that fit nothing out, here
 * they are errors. */
#pragma once
#include "base/arena.h"
#include "flyteidl/core/literals.h"
#include "flyteidl/core/types.h"

struct value_path {
	const char *node, *var; /* whose output it starts from: for messages */
	uint32_t n;
	const CorePromiseAttribute *const *steps;
};

enum attribute_result {
	ATTRIBUTE_FOUND,
	ATTRIBUTE_ELSEWHERE, /* the way leads through an offloaded literal */
	ATTRIBUTE_MISSING,
};

struct attribute {
	const CoreLiteral *literal; /* FOUND: what is there; ELSEWHERE: the offloaded literal */
	bool composed;              /* it was put together in the arena; else it is a part of where the path began */
	uint32_t done;              /* ELSEWHERE: steps that are behind */
	const char *error;          /* MISSING: in the arena */
};

/* Follow the path from its step `from` on, which is the first one that `literal` is asked for. */
enum attribute_result attribute_follow(struct arena *a, const CoreLiteral *literal, const struct value_path *path,
				       uint32_t from, struct attribute *ret);

/* In `a`, with everything; NULL for NULL. */
const struct value_path *attribute_path_copy(struct arena *a, const struct value_path *path);
/* `head`, which may be NULL, and then steps of `tail` from `from` on; in `a`, which borrows the steps. */
const struct value_path *attribute_path_join(struct arena *a, const struct value_path *head,
					     const struct value_path *tail, uint32_t from);
/* One step more: an item of a list. */
const struct value_path *attribute_path_item(struct arena *a, const struct value_path *head, uint32_t item);
