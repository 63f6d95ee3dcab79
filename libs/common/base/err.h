/* Errors of Alula's own functions: a code and one sentence for a person.
 * Codes are gRPC's status numbers (grpc/grpc doc/statuscodes.md), so a handler's error goes to the wire as it is.
 * Flyte's ExecutionError (what a task or workflow failed with) is data, not this. */
#pragma once
#include <stdarg.h>

#define ERR_CODES(X)                                                                                                   \
	X(OK, 0)                                                                                                       \
	X(CANCELLED, 1)                                                                                                \
	X(UNKNOWN, 2)                                                                                                  \
	X(INVALID_ARGUMENT, 3)                                                                                         \
	X(DEADLINE_EXCEEDED, 4)                                                                                        \
	X(NOT_FOUND, 5)                                                                                                \
	X(ALREADY_EXISTS, 6)                                                                                           \
	X(PERMISSION_DENIED, 7)                                                                                        \
	X(RESOURCE_EXHAUSTED, 8)                                                                                       \
	X(FAILED_PRECONDITION, 9)                                                                                      \
	X(ABORTED, 10)                                                                                                 \
	X(OUT_OF_RANGE, 11)                                                                                            \
	X(UNIMPLEMENTED, 12)                                                                                           \
	X(INTERNAL, 13)                                                                                                \
	X(UNAVAILABLE, 14)                                                                                             \
	X(DATA_LOSS, 15)                                                                                               \
	X(UNAUTHENTICATED, 16)

enum code {
#define X(name, number) name = number,
	ERR_CODES(X)
#undef X
};

/* A text longer than this is cut and ends with "…": it travels in gRPC trailers, which clients bound (8 to 32 KiB). */
enum { ERR_TEXT_BYTES = 4096 };

struct err {
	enum code code;
	char text[ERR_TEXT_BYTES];
};

/* Set `err` (NULL is fine) and return `code`, so that `return err_set(err, NOT_FOUND, "…")` is one line.
 * Invalid UTF-8 in the text is replaced by '?'. */
enum code err_set(struct err *err, enum code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put context before the text that `err` already has ("launch plan x: " before "not found"); the code stays. Returns
 * err->code, or `code` if err is NULL. */
enum code err_prefix(struct err *err, enum code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "NOT_FOUND"; "CODE_<n>" for an unknown number (per thread, until the next unknown one). Static storage. */
const char *code_name(enum code code);
