/* A borrowed piece of text or bytes: pointer and length, no terminating NUL promised. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *ptr;
	size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* for "%.*s" */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_of(const char *s)
{
	return (struct str){s ? s : "", s ? strlen(s) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_is(struct str a, const char *b)
{
	return str_eq(a, str_of(b));
}

bool str_starts(struct str s, const char *prefix);
bool str_ends(struct str s, const char *suffix);
/* Without blanks at both ends. */
struct str str_trim(struct str s);
/* Cut `*rest` at the first `sep`: returns what stands before it, leaves what follows in *rest (ptr NULL at the end).
 * Loop: `while (rest.ptr) { struct str part = str_cut(&rest, ','); … }` */
struct str str_cut(struct str *rest, char sep);
/* Decimal, the whole of `s`, within the range: false otherwise and *ret is left alone. */
bool str_to_i64(struct str s, int64_t *ret);
bool str_to_u64(struct str s, uint64_t *ret);
bool str_to_double(struct str s, double *ret);
/* Bytes of the well-formed UTF-8 character that starts at `p` (1 to 4), 0 if there is none. */
size_t utf8_len(const void *p, size_t len);
/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). NUL bytes count as well-formed. */
bool utf8_valid(const void *p, size_t len);
