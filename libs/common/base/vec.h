/* Typed growable arrays: `struct { int *at; size_t n, cap; } v = {0}; vec_push(&v, 7); … vec_free(&v);`
 * Declare with VEC(type). Elements move when it grows. */
#pragma once
#include <string.h>

#include "base/mem.h"

#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type *at;                                                                                              \
		size_t n, cap;                                                                                         \
	}

#define vec_reserve(v, more)                                                                                           \
	do {                                                                                                           \
		if ((v)->n + (more) > (v)->cap) {                                                                      \
			(v)->cap = MAX((v)->cap * 2, (v)->n + (more) + 7);                                             \
			(v)->at = x_realloc((v)->at, (v)->cap * sizeof *(v)->at);                                      \
		}                                                                                                      \
	} while (0)
#define vec_push(v, ...)                                                                                               \
	do {                                                                                                           \
		vec_reserve((v), 1);                                                                                   \
		(v)->at[(v)->n++] = (__VA_ARGS__);                                                                     \
	} while (0)
/* Remove element i; the last takes its place. */
#define vec_swap_remove(v, i)                                                                                          \
	do {                                                                                                           \
		size_t i_ = (i);                                                                                       \
		(v)->n--;                                                                                              \
		(v)->at[i_] = (v)->at[(v)->n];                                                                         \
	} while (0)
/* Remove the first k elements; the rest moves down. */
#define vec_drop(v, k)                                                                                                 \
	do {                                                                                                           \
		(v)->n -= (k);                                                                                         \
		if ((v)->n)                                                                                            \
			memmove((v)->at, (v)->at + (k), (v)->n * sizeof *(v)->at);                                     \
	} while (0)
#define vec_clear(v) ((v)->n = 0)
#define vec_free(v)                                                                                                    \
	do {                                                                                                           \
		free((v)->at);                                                                                         \
		(v)->at = NULL;                                                                                        \
		(v)->n = (v)->cap = 0;                                                                                 \
	} while (0)
/* `vec_each(struct node *, p, &v)`: p points at each element in turn. */
#define vec_each(type, p, v) for (type p = (v)->at; p < (v)->at + (v)->n; p++)
