/* Connections: who is in which state since when, and the sweeper that ends those who take too long. */
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "http/private.h"

static void name_peer(struct http_connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;
	char host[INET6_ADDRSTRLEN], port[8];
	socklen_t len = sa && sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (!sa || getnameinfo(sa, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(c->peer, sizeof c->peer, "unknown");
	else
		snprintf(c->peer, sizeof c->peer, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void opened(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
	struct http_connection *c = x_calloc(1, sizeof *c);
	*context = c;
	c->server = s;
	c->mhd = mhd;
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->since_us = time_mono_us();
	c->deadline_us = c->since_us + s->o.idle_timeout_us;
	name_peer(c);
	pthread_mutex_lock(&s->lock);
	c->next = s->connections;
	c->prev = &s->connections;
	if (c->next)
		c->next->prev = &c->next;
	else
		pthread_cond_broadcast(&s->changed);
	s->connections = c;
	pthread_mutex_unlock(&s->lock);
	metric_add(s->metrics.connections, 1);
}

static void closed(struct http_server *s, struct http_connection *c)
{
	pthread_mutex_lock(&s->lock);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	pthread_mutex_unlock(&s->lock);
	metric_add(s->metrics.connections, -1);
	free(c);
}

void http_on_connection(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		opened(cls, mhd, context);
	else
		closed(cls, *context);
}

void http_connection_enter(struct http_connection *c, enum http_state state, int64_t within_us)
{
	struct http_server *s = c->server;
	int64_t now_us = time_mono_us();
	pthread_mutex_lock(&s->lock);
	s->n_busy += (size_t)((state != HTTP_IDLE) - (c->state != HTTP_IDLE));
	c->state = state;
	c->since_us = now_us;
	c->deadline_us = within_us < 0 ? INT64_MAX : now_us + within_us;
	c->acked = 0;
	c->gone = false;
	bool drained = s->n_busy == 0 && atomic_load(&s->draining);
	if (drained)
		pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void http_connection_abort(struct http_connection *c, int status)
{
	char text[160];
	int n = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status,
			 MHD_get_reason_phrase_for((unsigned)status));
	if (send(c->fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		metric_add(c->server->metrics.classes[status / 100], 1);
	shutdown(c->fd, SHUT_RDWR);
}

/* Has the client taken nothing of the response since c->since_us? */
static bool stalled(struct http_connection *c, int64_t now_us)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_bytes_acked != c->acked) {
		c->acked = info.tcpi_bytes_acked;
		c->since_us = now_us;
	}
	return now_us - c->since_us > c->server->o.request_timeout_us;
}

/* Has the client closed its side before the end of its request? libmicrohttpd takes a short read for "no more yet", and
 * epoll doesn't tell twice; so it never learns of an end that came together with the last bytes. Two sweeps must see
 * it, since those bytes may be with the event thread. */
static bool abandoned(struct http_connection *c)
{
	char byte;
	if (c->state != HTTP_HEADERS && c->state != HTTP_BODY)
		return false;
	bool before = c->gone;
	c->gone = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
	return before && c->gone;
}

static void end(struct http_connection *c)
{
	if (c->ended)
		return;
	c->ended = true;
	if (c->state == HTTP_HEADERS || c->state == HTTP_BODY)
		http_connection_abort(c, MHD_HTTP_REQUEST_TIMEOUT);
	else
		shutdown(c->fd, SHUT_RDWR);
}

static bool too_long(struct http_connection *c, int64_t now_us)
{
	return now_us >= c->deadline_us || (c->state == HTTP_RESPONDING && stalled(c, now_us));
}

static void sweep(struct http_server *s)
{
	int64_t now_us = time_mono_us();
	for (struct http_connection *c = s->connections; c; c = c->next) {
		bool late = !c->ended && too_long(c, now_us);
		if (late && c->state != HTTP_IDLE)
			metric_add(s->metrics.timeouts, 1);
		if (late || (!c->ended && abandoned(c)))
			end(c);
	}
}

void *http_sweeper(void *server)
{
	struct http_server *s = server;
	int64_t tick_us = MIN(s->o.request_timeout_us, s->o.idle_timeout_us) / 8;
	tick_us = MAX(5 * USEC_PER_MSEC, MIN(tick_us, USEC_PER_SEC));
	pthread_mutex_lock(&s->lock);
	while (!s->quit) {
		if (!s->connections) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		cond_wait_until(&s->changed, &s->lock, time_mono_us() + tick_us);
		sweep(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void http_connections_end(struct http_server *s, bool all)
{
	pthread_mutex_lock(&s->lock);
	for (struct http_connection *c = s->connections; c; c = c->next)
		if (c->state == HTTP_IDLE || (all && c->state != HTTP_HANDLING))
			end(c);
	pthread_mutex_unlock(&s->lock);
}

bool http_connections_wait(struct http_server *s, int64_t deadline_us)
{
	pthread_mutex_lock(&s->lock);
	while (s->n_busy && cond_wait_until(&s->changed, &s->lock, deadline_us))
		continue;
	bool idle = s->n_busy == 0;
	pthread_mutex_unlock(&s->lock);
	return idle;
}
