/* Allocation that does not fail, cleanup attributes, and a few macros.
 * Small allocations abort when memory is out: Postgres has the truth and a restart replays it. Sizes that come from
 * outside are bounded before they get here. */
#pragma once
#include <stddef.h>
#include <stdlib.h>

void *x_malloc(size_t n);
void *x_calloc(size_t n, size_t size);
void *x_realloc(void *p, size_t n);
char *x_strdup(const char *s); /* NULL gives NULL */
char *x_strndup(const char *s, size_t n);
char *x_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

/* `auto_free(arena_free) struct arena *a = NULL;` calls arena_free(a) when `a` leaves its scope.
 * A function joins in with DEFINE_CLEANUP(struct arena *, arena_free) in its header; it must accept NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                                       \
	static inline void fn##_at(type *p)                                                                            \
	{                                                                                                              \
		fn(*p);                                                                                                \
	}                                                                                                              \
	struct fn##_cleanup_defined
#define auto_free(fn) __attribute__((cleanup(fn##_at)))

/* Hand over what an auto_free variable holds: `*ret = take(p);` */
#define take(p)                                                                                                        \
	({                                                                                                             \
		__typeof__(p) take_ = (p);                                                                             \
		(p) = NULL;                                                                                            \
		take_;                                                                                                 \
	})

static inline void x_free_at(void *p)
{
	free(*(void **)p);
}
#define auto_mem __attribute__((cleanup(x_free_at))) /* for what free() takes */

static inline void close_fd_at(int *fd)
{
	extern int close(int);
	if (*fd >= 0)
		close(*fd);
}
#define auto_fd __attribute__((cleanup(close_fd_at))) /* int fd = -1 */
