/* A bounded queue of pointers between threads, many writers and readers. Full: writers wait (back-pressure).
 * Readers wait on a condition; a reader that sits in an event loop watches queue_fd instead. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct queue;

/* `name` is for metrics, and shared by queues that mean the same; it must live as long as the queue. */
struct queue *queue_new(const char *name, size_t capacity);
/* What is still inside is the caller's: drain first. NULL is fine. */
void queue_free(struct queue *q);
/* Blocks while full; false once closed (the item stays the caller's). */
bool queue_push(struct queue *q, void *item);
/* Never blocks: false when full or closed. */
bool queue_try_push(struct queue *q, void *item);
/* Up to `max` items at once into `items`; waits for the first until `timeout_us` has passed (-1: for ever, 0: not at
 * all). Returns how many; 0 on timeout, or when closed and empty. */
size_t queue_pop(struct queue *q, void **items, size_t max, int64_t timeout_us);
/* No more pushes; readers get the rest. Wakes everybody. */
void queue_close(struct queue *q);
bool queue_closed(const struct queue *q);
size_t queue_depth(struct queue *q);
size_t queue_capacity(const struct queue *q);
const char *queue_name(const struct queue *q);
/* An eventfd, readable while items wait, and for good once closed (readers that got the rest then stop watching).
 * Owned by the queue; only queue_pop makes it unreadable. */
int queue_fd(struct queue *q);

/* All queues of this process, for metrics. No queue is made or freed meanwhile. */
void queue_each(void (*fn)(struct queue *q, void *arg), void *arg);

DEFINE_CLEANUP(struct queue *, queue_free);
