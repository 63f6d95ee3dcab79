#include "base/queue.h"

#include <assert.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cond.h"
#include "base/time.h"

struct queue {
	const char *name;
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	void **items; /* a ring */
	size_t capacity, first, count;
	bool closed;   /* atomic, written under the lock */
	bool signaled; /* fd is readable */
	int fd;        /* -1 until somebody asks for it */
	struct queue *prev, *next;
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct queue *all;

static void enlist(struct queue *q)
{
	pthread_mutex_lock(&all_lock);
	q->next = all;
	if (all)
		all->prev = q;
	all = q;
	pthread_mutex_unlock(&all_lock);
}

static void delist(struct queue *q)
{
	pthread_mutex_lock(&all_lock);
	*(q->prev ? &q->prev->next : &all) = q->next;
	if (q->next)
		q->next->prev = q->prev;
	pthread_mutex_unlock(&all_lock);
}

void queue_each(void (*fn)(struct queue *q, void *arg), void *arg)
{
	pthread_mutex_lock(&all_lock);
	for (struct queue *q = all; q; q = q->next)
		fn(q, arg);
	pthread_mutex_unlock(&all_lock);
}

struct queue *queue_new(const char *name, size_t capacity)
{
	assert(capacity > 0);
	struct queue *q = x_calloc(1, sizeof *q);
	q->name = name;
	q->capacity = capacity;
	q->items = x_calloc(capacity, sizeof *q->items);
	q->fd = -1;
	pthread_mutex_init(&q->lock, NULL);
	cond_init_mono(&q->not_empty);
	pthread_cond_init(&q->not_full, NULL);
	enlist(q);
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	delist(q);
	if (q->fd >= 0)
		close(q->fd);
	pthread_cond_destroy(&q->not_empty);
	pthread_cond_destroy(&q->not_full);
	pthread_mutex_destroy(&q->lock);
	free(q->items);
	free(q);
}

/* Under the lock: the descriptor follows the state. */
static void update_fd(struct queue *q)
{
	bool want = q->count || q->closed;
	if (q->fd < 0 || want == q->signaled)
		return;
	eventfd_t value;
	if (want ? eventfd_write(q->fd, 1) : eventfd_read(q->fd, &value))
		abort();
	q->signaled = want;
}

static bool push(struct queue *q, void *item, bool wait)
{
	pthread_mutex_lock(&q->lock);
	while (wait && !q->closed && q->count == q->capacity)
		pthread_cond_wait(&q->not_full, &q->lock);
	bool ok = !q->closed && q->count < q->capacity;
	if (ok) {
		q->items[(q->first + q->count++) % q->capacity] = item;
		update_fd(q);
		pthread_cond_signal(&q->not_empty);
	}
	pthread_mutex_unlock(&q->lock);
	return ok;
}

bool queue_push(struct queue *q, void *item)
{
	return push(q, item, true);
}

bool queue_try_push(struct queue *q, void *item)
{
	return push(q, item, false);
}

static void wait_for_item(struct queue *q, int64_t timeout_us)
{
	int64_t until_us;
	if (timeout_us < 0 || __builtin_add_overflow(time_mono_us(), timeout_us, &until_us))
		until_us = INT64_MAX;
	while (!q->count && !q->closed)
		if (!cond_wait_until(&q->not_empty, &q->lock, until_us))
			break;
}

size_t queue_pop(struct queue *q, void **items, size_t max, int64_t timeout_us)
{
	pthread_mutex_lock(&q->lock);
	if (!q->count && timeout_us)
		wait_for_item(q, timeout_us);
	size_t n = MIN(q->count, max);
	for (size_t i = 0; i < n; i++) {
		items[i] = q->items[q->first];
		q->first = (q->first + 1) % q->capacity;
	}
	q->count -= n;
	if (n) {
		update_fd(q);
		pthread_cond_broadcast(&q->not_full);
	}
	pthread_mutex_unlock(&q->lock);
	return n;
}

void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	__atomic_store_n(&q->closed, true, __ATOMIC_RELEASE);
	update_fd(q);
	pthread_cond_broadcast(&q->not_empty);
	pthread_cond_broadcast(&q->not_full);
	pthread_mutex_unlock(&q->lock);
}

bool queue_closed(const struct queue *q)
{
	return __atomic_load_n(&q->closed, __ATOMIC_ACQUIRE);
}

size_t queue_depth(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	size_t n = q->count;
	pthread_mutex_unlock(&q->lock);
	return n;
}

size_t queue_capacity(const struct queue *q)
{
	return q->capacity;
}

const char *queue_name(const struct queue *q)
{
	return q->name;
}

int queue_fd(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (q->fd < 0) {
		q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (q->fd < 0)
			abort();
		update_fd(q);
	}
	pthread_mutex_unlock(&q->lock);
	return q->fd;
}
