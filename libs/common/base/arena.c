#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
	FIRST_BLOCK_BYTES = 8 << 10,
	MIN_SECOND_BYTES = 1 << 10,
	MAX_BLOCK_BYTES = 1 << 20,
	ALIGN = _Alignof(max_align_t)
};

struct block {
	struct block *older;
	size_t cap, used;
	_Alignas(max_align_t) char data[];
};

struct arena {
	struct block *now;   /* small pieces come from here; the first block is the last of the chain */
	struct block *large; /* pieces that have a block of their own */
	size_t next_bytes, first_bytes;
	size_t used;
};

static struct block *block_new(struct block *older, size_t cap)
{
	struct block *b = x_malloc(sizeof *b + cap);
	*b = (struct block){.older = older, .cap = cap};
	ASAN_POISON_MEMORY_REGION(b->data, cap);
	return b;
}

/* Frees a chain down to `last`, which stays. */
static struct block *chain_free(struct block *b, struct block *last)
{
	while (b != last) {
		struct block *older = b->older;
		ASAN_UNPOISON_MEMORY_REGION(b->data, b->cap);
		free(b);
		b = older;
	}
	return last;
}

struct arena *arena_new(size_t block_bytes)
{
	struct arena *a = x_calloc(1, sizeof *a);
	a->first_bytes = block_bytes ? block_bytes : FIRST_BLOCK_BYTES;
	a->now = block_new(NULL, a->first_bytes);
	a->next_bytes = MAX(a->first_bytes, (size_t)MIN_SECOND_BYTES);
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	chain_free(a->large, NULL);
	chain_free(a->now, NULL);
	free(a);
}

void arena_reset(struct arena *a)
{
	a->large = chain_free(a->large, NULL);
	struct block *first = a->now;
	while (first->older)
		first = first->older;
	a->now = chain_free(a->now, first);
	ASAN_POISON_MEMORY_REGION(first->data, first->cap);
	first->used = 0;
	a->next_bytes = MAX(a->first_bytes, (size_t)MIN_SECOND_BYTES);
	a->used = 0;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

static struct block *block_for(struct arena *a, size_t n)
{
	if (n <= a->now->cap - a->now->used)
		return a->now;
	/* A piece that would fill most of a new block must not waste the rest of the current one. */
	if (n > a->next_bytes / 2)
		return a->large = block_new(a->large, n);
	a->next_bytes = MAX(a->next_bytes, MIN(a->next_bytes * 2, (size_t)MAX_BLOCK_BYTES));
	return a->now = block_new(a->now, a->next_bytes);
}

void *arena_alloc(struct arena *a, size_t n)
{
	assert(n < SIZE_MAX / 2);
	/* Even an empty piece has an address of its own. */
	size_t room = (MAX(n, (size_t)1) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *b = block_for(a, room);
	char *p = b->data + b->used;
	b->used += room;
	a->used += n;
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
	void *copy = arena_alloc(a, n);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_dup(a, s, strlen(s) + 1) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = n ? strnlen(s, n) : 0;
	char *copy = arena_alloc(a, len + 1);
	if (len)
		memcpy(copy, s, len);
	copy[len] = 0;
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return text;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(small, sizeof small, fmt, ap);
	assert(n >= 0);
	char *text = arena_alloc(a, (size_t)n + 1);
	if ((size_t)n < sizeof small)
		memcpy(text, small, (size_t)n + 1);
	else
		vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return text;
}
