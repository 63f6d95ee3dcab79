/* What the fuzz targets share. A target is tests/fuzz/<name>.c with one LLVMFuzzerTestOneInput: libFuzzer calls it with
 * inputs that it makes up (`make fuzz`), replay.c with those of tests/fuzz/corpus/<name>/ (`make test`). A target that
 * returns has held all its properties; one that does not hold ends the program. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "pb/pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(condition, ...)                                                                                          \
	do {                                                                                                           \
		if (condition)                                                                                         \
			break;                                                                                         \
		fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                        \
		fprintf(stderr, __VA_ARGS__);                                                                          \
		fputc('\n', stderr);                                                                                   \
		abort();                                                                                               \
	} while (0)

/* Whatever fails says so: the code is in the error, with a text that a person and gRPC can read. */
static inline void check_error(enum code code, const struct err *err)
{
	if (!code)
		return;
	HOLDS(err->code == code, "%s is returned, %s set", code_name(code), code_name(err->code));
	HOLDS(err->text[0] && utf8_valid(err->text, strlen(err->text)), "\"%s\"", err->text);
}

/* Memory is in proportion to the input: `per_byte` of it for each of `size` bytes, and something to begin with. */
static inline void check_memory(const struct arena *a, size_t size, size_t per_byte)
{
	HOLDS(arena_used(a) <= 65536 + size * per_byte, "%zu bytes for an input of %zu", arena_used(a), size);
}

/* The message types that targets over any message choose from, by the first byte of their input, 'A' for the first.
 * Append only: the corpus depends on the order. */
extern const ProtobufCMessageDescriptor *const FUZZ_TYPES[];
extern const size_t N_FUZZ_TYPES;

static inline const ProtobufCMessageDescriptor *fuzz_type(uint8_t choice)
{
	return FUZZ_TYPES[(uint8_t)(choice - 'A') % N_FUZZ_TYPES];
}
