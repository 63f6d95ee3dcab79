/* A growable buffer of bytes; always followed by a NUL that `len` does not count.
 * A limit makes growth beyond it fail: the error is sticky (`failed`), later additions do nothing, so callers check
 * once at the end. Start with `struct buf b = {0};`, end with buf_clear or auto_buf. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

struct buf {
	char *data; /* NULL while empty */
	size_t len, cap;
	size_t limit; /* bytes; 0 for none */
	bool failed;
};

void buf_clear(struct buf *b); /* frees; usable again afterwards, with the same limit */
void buf_reset(struct buf *b); /* len 0, not failed, memory kept */
/* Room for `n` more bytes: where to write them, or NULL when over the limit. buf_commit tells how many were written. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_add_str(struct buf *b, struct str s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* A number that reads back as the same double: 0.1, 1e+22; NaN, +Inf, -Inf (which JSON lacks). */
void buf_double(struct buf *b, double d);
/* A JSON string with its quotes. Invalid UTF-8 becomes U+FFFD. */
void buf_json_string(struct buf *b, struct str s);
/* The text, NUL-terminated ("" when empty); borrowed. */
const char *buf_text(const struct buf *b);
/* Hand the memory over (free() it); the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *b, size_t *ret_len);

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->data ? b->data : "", b->len};
}
#define auto_buf __attribute__((cleanup(buf_clear)))
