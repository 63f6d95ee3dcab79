/* Memory that dies together: one arena per request or per batch of events.
 * Pointers stay valid until arena_reset or arena_free. Not thread-safe. Alignment is that of max_align_t. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

struct arena;

/* `block_bytes`: size of the first block, 0 for 8 KiB; blocks double up to 1 MiB, larger pieces get their own. */
struct arena *arena_new(size_t block_bytes);
void arena_free(struct arena *a); /* NULL is fine */
/* Forget everything but keep the first block: for loops. */
void arena_reset(struct arena *a);
/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *a);

void *arena_alloc(struct arena *a, size_t n);  /* not cleared; n may be 0 */
void *arena_zalloc(struct arena *a, size_t n); /* cleared */
void *arena_dup(struct arena *a, const void *p, size_t n);
char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

#define arena_new_of(a, type)   ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (n)))

DEFINE_CLEANUP(struct arena *, arena_free);
