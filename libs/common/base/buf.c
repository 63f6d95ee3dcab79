#include "base/buf.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MIN_CAP = 64 };

void buf_clear(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.limit = b->limit};
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n >= SIZE_MAX / 2 - b->len || (b->limit && n > b->limit - MIN(b->len, b->limit))) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->len + n + 1;
	if (need > b->cap) {
		b->cap = MAX(MAX(need, b->cap * 2), (size_t)MIN_CAP);
		b->data = x_realloc(b->data, b->cap);
		b->data[b->len] = 0;
	}
	return b->data + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
	assert(n < b->cap - b->len);
	b->len += n;
	b->data[b->len] = 0;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n);
	if (!at)
		return;
	if (n)
		memcpy(at, p, n);
	buf_commit(b, n);
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.ptr, s.len);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	if (b->failed)
		return;
	va_list again;
	va_copy(again, ap);
	size_t room = b->cap - b->len;
	int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
	assert(n >= 0);
	char *at = buf_reserve(b, (size_t)n);
	if (at) {
		if ((size_t)n >= room)
			vsnprintf(at, (size_t)n + 1, fmt, again);
		buf_commit(b, (size_t)n);
	} else if (b->data) {
		b->data[b->len] = 0;
	}
	va_end(again);
}

void buf_double(struct buf *b, double d)
{
	if (!isfinite(d)) {
		buf_adds(b, isnan(d) ? "NaN" : d > 0 ? "+Inf" : "-Inf");
		return;
	}
	char text[40];
	snprintf(text, sizeof text, "%.15g", d);
	if (strtod(text, NULL) != d)
		snprintf(text, sizeof text, "%.17g", d);
	buf_adds(b, text);
}

/* RFC 8259 section 7: the short escape of a character, 0 if it has none. */
static char json_escape(unsigned char c)
{
	switch (c) {
	case '"': return '"';
	case '\\': return '\\';
	case '\b': return 'b';
	case '\f': return 'f';
	case '\n': return 'n';
	case '\r': return 'r';
	case '\t': return 't';
	default: return 0;
	}
}

static void json_special(struct buf *b, unsigned char c)
{
	char escape = json_escape(c);
	if (escape)
		buf_add(b, (char[]){'\\', escape}, 2);
	else if (c < 0x20)
		buf_printf(b, "\\u%04x", c);
	else
		buf_adds(b, "\xef\xbf\xbd");
}

void buf_json_string(struct buf *b, struct str s)
{
	size_t start = 0, i = 0;
	buf_addc(b, '"');
	while (i < s.len) {
		unsigned char c = (unsigned char)s.ptr[i];
		size_t n = c < 0x20 || c == '"' || c == '\\' ? 0 : utf8_len(s.ptr + i, s.len - i);
		if (n) {
			i += n;
			continue;
		}
		buf_add(b, s.ptr + start, i - start);
		json_special(b, c);
		start = ++i;
	}
	if (s.len > start)
		buf_add(b, s.ptr + start, s.len - start);
	buf_addc(b, '"');
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b, size_t *ret_len)
{
	char *data = b->data ? b->data : x_calloc(1, 1);
	if (ret_len)
		*ret_len = b->len;
	*b = (struct buf){.limit = b->limit};
	return data;
}
