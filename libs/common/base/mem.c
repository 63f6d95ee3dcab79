#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *checked(void *p, size_t n)
{
	if (!p) {
		fprintf(stderr, "out of memory: %zu bytes\n", n);
		abort();
	}
	return p;
}

void *x_malloc(size_t n)
{
	return checked(malloc(n ? n : 1), n);
}

void *x_calloc(size_t n, size_t size)
{
	return checked(n && size ? calloc(n, size) : calloc(1, 1), n * size);
}

void *x_realloc(void *p, size_t n)
{
	return checked(realloc(p, n ? n : 1), n);
}

char *x_strdup(const char *s)
{
	return s ? x_strndup(s, strlen(s)) : NULL;
}

char *x_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = x_malloc(len + 1);
	memcpy(copy, s, len);
	copy[len] = 0;
	return copy;
}

char *x_printf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = NULL;
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : text, 0);
}
