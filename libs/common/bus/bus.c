/* The connection that comes and goes, and addressed messages over it. */
#include <stdio.h>
#include <time.h>

#include "private.h"

enum {
	FIRST_PAUSE_US = 250000,
	MAX_PAUSE_US = 5000000,
	CONNECT_TIMEOUT_MS = 2000,
	PING_INTERVAL_MS = 5000,
	WRITE_MS = 5000,
	CLOSE_WAIT_US = 5000000,
	MOST_ENDED = 500, /* subscriptions that a connection keeps */
};

struct bus_listener {
	struct bus *bus;
	char *subject, *group;
	bus_message_fn fn;
	void (*connected)(void *arg);
	void *arg;
	natsSubscription *sub; /* of the bus's link, while it has one */
	atomic_int active;     /* subscriptions that have not completed, calls of `connected` under way */
	_Atomic bool ended;
};

/* ---- links ---- */

struct link *link_get(struct bus *b)
{
	pthread_mutex_lock(&b->lock);
	struct link *l = b->link;
	if (l)
		atomic_fetch_add(&l->refs, 1);
	pthread_mutex_unlock(&b->lock);
	return l;
}

void link_put(struct link *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	struct bus *b = l->bus;
	vec_each (natsSubscription **, sub, &l->ended)
		natsSubscription_Destroy(*sub);
	vec_free(&l->ended);
	natsConnection_Destroy(l->nc);
	free(l);
	pthread_mutex_lock(&b->lock);
	b->links--;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

/* Under the bus's lock. */
static void break_locked(struct link *l)
{
	atomic_store(&l->closed, true);
	pthread_cond_broadcast(&l->bus->changed);
}

void link_break(struct link *l)
{
	pthread_mutex_lock(&l->bus->lock);
	break_locked(l);
	pthread_mutex_unlock(&l->bus->lock);
}

void link_unsubscribe(struct link *l, natsSubscription *sub)
{
	if (!sub)
		return;
	natsSubscription_Unsubscribe(sub);
	pthread_mutex_lock(&l->bus->lock);
	vec_push(&l->ended, sub);
	bool too_many = l->ended.n >= MOST_ENDED;
	pthread_mutex_unlock(&l->bus->lock);
	if (too_many)
		link_break(l);
}

struct link *link_wait(struct bus *b, uint64_t generation, int64_t timeout_us)
{
	int64_t until_us = time_mono_us() + timeout_us;
	struct link *l = NULL;

	pthread_mutex_lock(&b->lock);
	while (!b->stopping && (!b->link || b->link->generation <= generation || atomic_load(&b->link->closed)))
		if (!cond_wait_until(&b->changed, &b->lock, until_us))
			break;
	if (b->link && b->link->generation > generation && !atomic_load(&b->link->closed)) {
		l = b->link;
		atomic_fetch_add(&l->refs, 1);
	}
	pthread_mutex_unlock(&b->lock);
	return l;
}

static void on_closed(natsConnection *nc, void *closure)
{
	(void)nc;
	link_break(closure);
	link_put(closure);
}

/* Slow consumers drop addressed messages; their senders repeat them. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *closure)
{
	static struct log_limit limit;
	size_t held;

	(void)nc;
	(void)sub;
	(void)closure;
	if (log_allow(&limit, 10 * USEC_PER_SEC, &held))
		log_warn("bus", LOG_STR("error", natsStatus_GetText(status)), LOG_INT("held_back", held));
}

static natsStatus connect_link(struct bus *b, struct link *l)
{
	natsOptions *o = NULL;
	natsStatus s = natsOptions_Create(&o);

	if (s == NATS_OK)
		s = natsOptions_SetURL(o, b->url);
	if (s == NATS_OK)
		s = natsOptions_SetName(o, b->name);
	if (s == NATS_OK)
		s = natsOptions_SetAllowReconnect(o, false);
	if (s == NATS_OK)
		s = natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
	if (s == NATS_OK)
		s = natsOptions_SetPingInterval(o, PING_INTERVAL_MS);
	if (s == NATS_OK)
		s = natsOptions_SetMaxPingsOut(o, 2);
	if (s == NATS_OK)
		s = natsOptions_SetSendAsap(o, true);
	if (s == NATS_OK)
		s = natsOptions_SetWriteDeadline(o, WRITE_MS);
	if (s == NATS_OK)
		s = natsOptions_SetErrorHandler(o, on_error, l);
	if (s == NATS_OK)
		s = natsOptions_SetClosedCB(o, on_closed, l);
	if (s == NATS_OK)
		s = natsConnection_Connect(&l->nc, o);
	natsOptions_Destroy(o);
	return s;
}

static struct link *link_new(struct bus *b)
{
	struct link *l = x_calloc(1, sizeof *l);

	l->bus = b;
	l->generation = ++b->generation;
	atomic_init(&l->refs, 2); /* the bus's, and that of the closed callback */
	natsStatus s = connect_link(b, l);
	if (s == NATS_OK) {
		pthread_mutex_lock(&b->lock);
		b->links++;
		pthread_mutex_unlock(&b->lock);
		return l;
	}
	const char *why = nats_GetLastError(NULL);
	pthread_mutex_lock(&b->lock);
	snprintf(b->last_error, sizeof b->last_error, "%s", why && *why ? why : natsStatus_GetText(s));
	pthread_mutex_unlock(&b->lock);
	free(l);
	return NULL;
}

/* ---- listeners ---- */

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
	struct bus_listener *l = closure;

	(void)nc;
	(void)sub;
	metric_add(l->bus->received, 1);
	if (!atomic_load(&l->ended))
		l->fn(natsMsg_GetSubject(msg), (struct str){natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)},
		      l->arg);
	natsMsg_Destroy(msg);
}

static void on_complete(void *closure)
{
	struct bus_listener *l = closure;

	atomic_fetch_sub(&l->active, 1);
}

/* Under the bus's lock. */
static void subscribe(struct bus_listener *l, struct link *link)
{
	natsStatus s;

	if (l->group)
		s = natsConnection_QueueSubscribe(&l->sub, link->nc, l->subject, l->group, on_message, l);
	else
		s = natsConnection_Subscribe(&l->sub, link->nc, l->subject, on_message, l);
	if (s != NATS_OK) {
		break_locked(link);
		return;
	}
	atomic_fetch_add(&l->active, 1);
	if (natsSubscription_SetOnCompleteCB(l->sub, on_complete, l) != NATS_OK)
		atomic_fetch_sub(&l->active, 1); /* closed already */
	natsSubscription_SetPendingLimits(l->sub, 1 << 17, 256 << 20);
}

struct bus_listener *bus_listen(struct bus *b, const char *subject, const char *group, bus_message_fn fn,
				void (*connected)(void *arg), void *arg)
{
	struct bus_listener *l = x_calloc(1, sizeof *l);

	l->bus = b;
	l->subject = x_strdup(subject);
	l->group = x_strdup(group);
	l->fn = fn;
	l->connected = connected;
	l->arg = arg;
	pthread_mutex_lock(&b->lock);
	vec_push(&b->listeners, l);
	bool there = b->link && !atomic_load(&b->link->closed);
	if (there)
		subscribe(l, b->link);
	pthread_mutex_unlock(&b->lock);
	if (there && connected)
		connected(arg);
	return l;
}

static natsSubscription *remove_listener(struct bus *b, struct bus_listener *l, struct link **ret)
{
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < b->listeners.n; i++)
		if (b->listeners.at[i] == l)
			vec_swap_remove(&b->listeners, i);
	natsSubscription *sub = take(l->sub);
	if (sub) {
		*ret = b->link;
		atomic_fetch_add(&b->link->refs, 1);
	}
	pthread_mutex_unlock(&b->lock);
	return sub;
}

void bus_unlisten(struct bus_listener *l)
{
	struct link *link = NULL;

	if (!l)
		return;
	atomic_store(&l->ended, true);
	natsSubscription *sub = remove_listener(l->bus, l, &link);
	link_unsubscribe(link, sub);
	link_put(link);
	/* A delivery may be under way; it ends soon. */
	while (atomic_load(&l->active) > 0)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	free(l->subject);
	free(l->group);
	free(l);
}

/* ---- the thread that keeps a connection ---- */

static void install(struct bus *b, struct link *l)
{
	VEC(struct bus_listener *) tell = {0};

	pthread_mutex_lock(&b->lock);
	vec_each (struct bus_listener **, p, &b->listeners) {
		subscribe(*p, l);
		atomic_fetch_add(&(*p)->active, 1); /* it stays until it was told */
		vec_push(&tell, *p);
	}
	b->link = l;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	/* Without the lock: `connected` may wait for somebody who sends. */
	vec_each (struct bus_listener **, p, &tell) {
		if ((*p)->connected && !atomic_load(&(*p)->ended))
			(*p)->connected((*p)->arg);
		atomic_fetch_sub(&(*p)->active, 1);
	}
	vec_free(&tell);
	metric_add(b->connects, 1);
}

/* Wait until the link is closed or the bus ends. */
static void keep(struct bus *b)
{
	pthread_mutex_lock(&b->lock);
	while (!b->stopping && !atomic_load(&b->link->closed))
		pthread_cond_wait(&b->changed, &b->lock);
	struct link *l = b->link;
	b->link = NULL;
	vec_each (struct bus_listener **, p, &b->listeners)
		if ((*p)->sub)
			vec_push(&l->ended, take((*p)->sub));
	pthread_mutex_unlock(&b->lock);
	natsConnection_Close(l->nc);
	link_put(l);
}

static bool pause_for(struct bus *b, int64_t us)
{
	int64_t until_us = time_mono_us() + us;

	pthread_mutex_lock(&b->lock);
	while (!b->stopping && cond_wait_until(&b->changed, &b->lock, until_us))
		continue;
	bool go_on = !b->stopping;
	pthread_mutex_unlock(&b->lock);
	return go_on;
}

static void log_away(struct bus *b)
{
	static struct log_limit limit;
	size_t held;

	if (log_allow(&limit, 60 * USEC_PER_SEC, &held))
		log_warn("the bus is away", LOG_STR("error", b->last_error), LOG_INT("held_back", held));
}

static void *bus_thread(void *arg)
{
	struct bus *b = arg;
	int64_t pause_us = FIRST_PAUSE_US;
	struct link *l;

	pthread_setname_np(pthread_self(), "bus");
	do {
		l = link_new(b);
		if (!l) {
			log_away(b);
			pause_us = MIN(pause_us * 2, MAX_PAUSE_US);
			continue;
		}
		pause_us = FIRST_PAUSE_US / 2;
		install(b, l);
		log_info("connected to the bus");
		keep(b);
	} while (pause_for(b, pause_us));
	return NULL;
}

struct bus *bus_new(const struct bus_options *options)
{
	struct bus *b = x_calloc(1, sizeof *b);

	b->url = x_strdup(options->url);
	b->name = x_strdup(options->name);
	snprintf(b->last_error, sizeof b->last_error, "no answer yet");
	pthread_mutex_init(&b->lock, NULL);
	cond_init_mono(&b->changed);
	if (options->metrics) {
		b->connects = metrics_counter(options->metrics, "bus:connects", NULL, "Connections made.");
		b->sent = metrics_counter(options->metrics, "bus:sent", NULL, "Addressed messages sent.");
		b->received = metrics_counter(options->metrics, "bus:received", NULL, "Addressed messages received.");
	}
	pthread_create(&b->thread, NULL, bus_thread, b);
	return b;
}

/* A connection says on a thread of its own that it is closed. Should a writer or reader hold one against the contract,
 * the bus is left to it. */
static bool wait_closed(struct bus *b)
{
	int64_t until_us = time_mono_us() + CLOSE_WAIT_US;

	pthread_mutex_lock(&b->lock);
	while (b->links > 0 && cond_wait_until(&b->changed, &b->lock, until_us))
		continue;
	bool closed = b->links == 0;
	pthread_mutex_unlock(&b->lock);
	return closed;
}

void bus_free(struct bus *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->stopping = true;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	if (!wait_closed(b))
		return;
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->changed);
	vec_free(&b->listeners);
	free(b->url);
	free(b->name);
	free(b);
}

bool bus_connected(const struct bus *b)
{
	struct link *l = link_get((struct bus *)b);
	bool connected = l && !atomic_load(&l->closed);

	link_put(l);
	return connected;
}

enum code bus_wait(struct bus *b, int64_t timeout_us, struct err *err)
{
	struct link *l = link_wait(b, 0, timeout_us);

	link_put(l);
	if (l)
		return OK;
	pthread_mutex_lock(&b->lock);
	enum code c = err_set(err, UNAVAILABLE, "cannot reach the bus at %s: %s", b->url, b->last_error);
	pthread_mutex_unlock(&b->lock);
	return c;
}

/* Subjects may come from messages, and nats.c writes them as they are into a protocol of lines and blanks. */
static bool is_subject(const char *subject)
{
	const char *p = subject;

	for (; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '*' || *p == '>' || *p == 0x7f ||
		    (*p == '.' && (p == subject || p[-1] == '.')))
			return false;
	return p > subject && p[-1] != '.';
}

enum code bus_send(struct bus *b, const char *subject, struct str payload, struct err *err)
{
	if (!is_subject(subject))
		return err_set(err, INVALID_ARGUMENT, "a message cannot go to subject \"%s\"", subject);
	struct link *l = link_get(b);
	if (!l || atomic_load(&l->closed)) {
		link_put(l);
		return err_set(err, UNAVAILABLE, "no connection to the bus at %s", b->url);
	}
	if ((int64_t)payload.len > natsConnection_GetMaxPayload(l->nc)) {
		link_put(l);
		return err_set(err, RESOURCE_EXHAUSTED, "a message of %zu bytes is too large for the bus", payload.len);
	}
	natsStatus s = natsConnection_Publish(l->nc, subject, payload.ptr, (int)payload.len);
	if (s != NATS_OK)
		link_break(l);
	else
		metric_add(b->sent, 1);
	link_put(l);
	return s == NATS_OK ? OK : err_set(err, UNAVAILABLE, "bus: %s", natsStatus_GetText(s));
}
