#include "loop/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "base/vec.h"

#define SLOW_US           (50 * USEC_PER_MSEC)
#define SLOW_LOG_EVERY_US USEC_PER_SEC

struct call {
	void (*fn)(void *arg);
	void *arg;
};

typedef VEC(struct call) calls;

struct loop {
	const char *name;
	struct event_base *base;
	struct event *wake;
	int wake_fd;
	struct log_limit slow;
	pthread_mutex_t lock; /* of what follows */
	calls posted;
	bool stop;
};

/* Both are copied before a call, since it may free them. */
struct loop_timer {
	struct loop *loop;
	const char *name;
	struct call call;
	struct event *event;
};

struct loop_io {
	struct loop *loop;
	const char *name;
	void (*fn)(int fd, bool readable, bool writable, void *arg);
	void *arg;
	struct event *event;
};

static void called(struct loop *l, const char *name, int64_t since_us)
{
	int64_t took_us = time_mono_us() - since_us;
	size_t held;
	if (took_us > SLOW_US && log_allow(&l->slow, SLOW_LOG_EVERY_US, &held))
		log_warn("callback held up the loop", LOG_STR("loop", l->name), LOG_STR("callback", name),
			 LOG_INT("dur_us", took_us), LOG_INT("held_back", held));
}

static void wake_up(struct loop *l)
{
	if (eventfd_write(l->wake_fd, 1))
		abort();
}

/* Runs what was posted so far; what these calls post themselves has its turn after other events. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct loop *l = arg;
	eventfd_t value;
	eventfd_read(fd, &value);
	pthread_mutex_lock(&l->lock);
	calls batch = l->posted;
	l->posted = (calls){0};
	bool stop = l->stop;
	l->stop = false;
	pthread_mutex_unlock(&l->lock);
	vec_each (struct call *, c, &batch) {
		int64_t since_us = time_mono_us();
		c->fn(c->arg);
		called(l, "posted call", since_us);
	}
	vec_free(&batch);
	if (stop)
		event_base_loopbreak(l->base);
}

static void use_threads(void)
{
	if (evthread_use_pthreads())
		abort();
}

static struct event_base *base_new(void)
{
	/* Fresh, fine clocks: a timer set after a slow callback must not fire early. */
	struct event_config *config = event_config_new();
	if (!config)
		abort();
	event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct loop *loop_new(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, use_threads);
	struct loop *l = x_calloc(1, sizeof *l);
	l->name = name;
	pthread_mutex_init(&l->lock, NULL);
	l->base = base_new();
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!l->base || l->wake_fd < 0)
		abort();
	l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	if (!l->wake || event_add(l->wake, NULL))
		abort();
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	event_free(l->wake);
	event_base_free(l->base);
	close(l->wake_fd);
	vec_free(&l->posted);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void loop_run(struct loop *l)
{
	if (event_base_dispatch(l->base) < 0)
		abort();
}

void loop_stop(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_mutex_unlock(&l->lock);
	wake_up(l);
}

size_t loop_posted(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	size_t n = l->posted.n;
	pthread_mutex_unlock(&l->lock);
	return n;
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&l->lock);
	bool first = l->posted.n == 0;
	vec_push(&l->posted, (struct call){fn, arg});
	pthread_mutex_unlock(&l->lock);
	if (first)
		wake_up(l);
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop_timer t = *(struct loop_timer *)arg;
	int64_t since_us = time_mono_us();
	t.call.fn(t.call.arg);
	called(t.loop, t.name, since_us);
}

struct loop_timer *loop_timer_new(struct loop *l, const char *name, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = x_calloc(1, sizeof *t);
	*t = (struct loop_timer){.loop = l, .name = name, .call = {fn, arg}};
	t->event = evtimer_new(l->base, on_timer, t);
	if (!t->event)
		abort();
	return t;
}

void loop_timer_set(struct loop_timer *t, int64_t delay_us)
{
	int64_t us = MAX(delay_us, 0);
	struct timeval after = {us / USEC_PER_SEC, us % USEC_PER_SEC};
	if (evtimer_add(t->event, &after))
		abort();
}

void loop_timer_stop(struct loop_timer *t)
{
	evtimer_del(t->event);
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	event_free(t->event);
	free(t);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io io = *(struct loop_io *)arg;
	int64_t since_us = time_mono_us();
	io.fn(fd, what & EV_READ, what & EV_WRITE, io.arg);
	called(io.loop, io.name, since_us);
}

struct loop_io *loop_io_new(struct loop *l, const char *name, int fd, bool read, bool write,
			    void (*fn)(int fd, bool readable, bool writable, void *arg), void *arg)
{
	struct loop_io *io = x_calloc(1, sizeof *io);
	*io = (struct loop_io){.loop = l, .name = name, .fn = fn, .arg = arg};
	int what = (read ? EV_READ : 0) | (write ? EV_WRITE : 0) | EV_PERSIST;
	io->event = event_new(l->base, fd, (short)what, on_io, io);
	if (!io->event || event_add(io->event, NULL))
		abort();
	return io;
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	event_free(io->event);
	free(io);
}
