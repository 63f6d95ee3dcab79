/* Errors of one compilation, collected and then told together, sorted and each once, as Flyte does.
 * Source: flytepropeller pkg/compiler/errors (v1.16.8). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"

enum { COMPILE_ERRORS_MAX = 1000 }; /* further ones are only counted */

struct compile_error {
	const char *code; /* "MismatchingTypes" */
	char *text;       /* "Code: …, Node Id: …, Description: …" */
};

struct compile_errors {
	VEC(struct compile_error) errors;
	size_t dropped;
};

/* `code` is a literal; `node` and the text are copied. */
void compile_error(struct compile_errors *e, const char *code, const char *node, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static inline size_t compile_errors_count(const struct compile_errors *e)
{
	return e->errors.n + e->dropped;
}
/* OK if there are none; else INVALID_ARGUMENT with `prefix` and all of them. Frees them. */
enum code compile_errors_finish(struct compile_errors *e, const char *prefix, struct err *err);
void compile_errors_free(struct compile_errors *e);
#define auto_compile_errors __attribute__((cleanup(compile_errors_free)))
