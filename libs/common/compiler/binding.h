/* One binding: bindings.c goes over those of a node, binding.c looks at values. */
#pragma once
#include "compiler/private.h"

/* Where an input is being bound. */
struct place {
	struct compilation *c;
	struct compile_errors *errors;
	struct edges *edges;
	uint32_t at;
	const CoreNode *node;
	const char *param;
	const CoreLiteralType **resolved; /* NULL, or: any type will do, tell which */
	bool in_union;
};

/* False after an error, and then without edges. `b` may be NULL. */
bool check_bound_value(const struct place *p, CoreBindingData *b, const CoreLiteralType *expected);
/* Tells so; false. */
bool not_bound(const struct place *p);
