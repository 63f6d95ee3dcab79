/* Start and stop: limits, the listening socket, MHD's daemon, workers. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/private.h"

enum {
	SPARE_FILES = 512, /* for everything but connections: database, files, bus */
	BACKLOG = 4096,
	LAST_WORDS_US = 500000, /* for the answers of handlers that ended after the grace */
};

static void set_defaults(struct http_server_options *o)
{
	static const int64_t sec = USEC_PER_SEC;
	o->event_threads = MAX(o->event_threads, 1);
	o->workers = o->workers > 0 ? o->workers : 8;
	o->max_body_bytes = o->max_body_bytes ? o->max_body_bytes : (size_t)64 << 20;
	o->max_upload_bytes = o->max_upload_bytes ? o->max_upload_bytes : UINT64_C(5) << 30;
	o->request_timeout_us = o->request_timeout_us ? o->request_timeout_us : 30 * sec;
	o->upload_timeout_us = o->upload_timeout_us ? o->upload_timeout_us : 3600 * sec;
	o->idle_timeout_us = o->idle_timeout_us ? o->idle_timeout_us : 120 * sec;
	o->max_connections = o->max_connections > 0 ? o->max_connections : 12000;
	o->max_inflight_bytes = o->max_inflight_bytes ? o->max_inflight_bytes : (size_t)256 << 20;
}

/* The soft limit of open files becomes the hard one; connections get what it leaves. */
static int fit_to_rlimit(int wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return wanted;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	rlim_t room = limit.rlim_cur > 2 * SPARE_FILES ? limit.rlim_cur - SPARE_FILES : limit.rlim_cur / 2;
	return room < (rlim_t)wanted ? (int)room : wanted;
}

static int open_socket(const struct addrinfo *ai)
{
	int on = 1, off = 0;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

/* "host:port", "[host]:port" or ":port". */
static enum code open_listener(struct http_server *s, struct err *err)
{
	const char *listen_on = s->o.listen, *colon = strrchr(listen_on, ':');
	int64_t port;
	if (!colon || !str_to_i64(str_of(colon + 1), &port) || port < 0 || port > 65535)
		return err_set(err, INVALID_ARGUMENT, "address to listen on: %s: expected host:port", listen_on);
	auto_mem char *host = x_strndup(listen_on, (size_t)(colon - listen_on));
	char *name = host;
	if (name[0] == '[' && name[strlen(name) - 1] == ']') {
		name[strlen(name) - 1] = 0;
		name++;
	}
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
	int failed = getaddrinfo(*name ? name : "0.0.0.0", colon + 1, &hints, &found);
	if (failed)
		return err_set(err, INVALID_ARGUMENT, "address to listen on: %s: %s", listen_on, gai_strerror(failed));
	s->listen_fd = open_socket(found);
	failed = errno;
	freeaddrinfo(found);
	if (s->listen_fd < 0)
		return err_set(err, UNAVAILABLE, "cannot listen on %s: %s", listen_on, strerror(failed));
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	getsockname(s->listen_fd, (struct sockaddr *)&sa, &len);
	s->port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
						 : ((struct sockaddr_in *)&sa)->sin_port);
	return OK;
}

static void make_metrics(struct http_metrics *m, struct metrics *registry)
{
	m->connections = metrics_gauge(registry, "alula_http_connections", NULL, "Open connections.");
	m->queued = metrics_gauge(registry, "alula_http_queue_depth", NULL, "Requests that wait for a worker.");
	m->inflight = metrics_gauge(registry, "alula_http_inflight_bytes", NULL, "Bytes of bodies held.");
	m->timeouts = metrics_counter(registry, "alula_http_timeouts_total", NULL, "Requests ended by a time limit.");
	m->latency = metrics_summary(registry, "alula_http_request_ms", NULL,
				     "From a request's first line to the end of its handler.", 1000);
	for (int i = 1; i <= 5; i++) {
		char label[32];
		snprintf(label, sizeof label, "class=\"%dxx\"", i);
		m->classes[i] = metrics_counter(registry, "alula_http_requests_total", label, "Responses.");
	}
}

__attribute__((format(printf, 2, 0))) static void log_mhd(void *cls, const char *fmt, va_list ap)
{
	(void)cls;
	if (!log_enabled(LOG_DEBUG))
		return;
	auto_buf struct buf b = {0};
	buf_vprintf(&b, fmt, ap);
	log_debug("libmicrohttpd", LOG_TEXT("text", str_trim(buf_str(&b))));
}

static enum MHD_Result accept_unless_draining(void *cls, const struct sockaddr *addr, socklen_t len)
{
	(void)addr, (void)len;
	struct http_server *s = cls;
	return atomic_load(&s->draining) ? MHD_NO : MHD_YES;
}

/* Paths go to handlers as they were sent. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls, (void)mhd;
	return strlen(text);
}

static enum code start_daemon(struct http_server *s, struct err *err)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem pool[] = {{MHD_OPTION_THREAD_POOL_SIZE, s->o.event_threads, NULL},
					{MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	int fd = s->listen_fd;
	s->listen_fd = -1; /* MHD closes it, failed or not */
	s->daemon = MHD_start_daemon(
		flags, 0, accept_unless_draining, s, http_on_access, s, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->o.max_connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
		http_on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, s, MHD_OPTION_URI_LOG_CALLBACK,
		http_on_uri, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_ARRAY, s->o.event_threads > 1 ? pool : none, MHD_OPTION_END);
	if (!s->daemon)
		return err_set(err, INTERNAL, "cannot start libmicrohttpd on %s", s->o.listen);
	return OK;
}

static enum code start_threads(struct http_server *s, struct err *err)
{
	s->workers = x_calloc((size_t)s->o.workers, sizeof *s->workers);
	s->sweeping = pthread_create(&s->sweeper, NULL, http_sweeper, s) == 0;
	while (s->n_workers < s->o.workers && !pthread_create(&s->workers[s->n_workers], NULL, http_worker, s))
		s->n_workers++;
	if (!s->sweeping || s->n_workers < s->o.workers)
		return err_set(err, RESOURCE_EXHAUSTED, "cannot start a thread for HTTP");
	return OK;
}

enum code http_server_new(const struct http_server_options *options, struct http_server **ret, struct err *err)
{
	struct http_server *s = x_calloc(1, sizeof *s);
	s->o = *options;
	s->listen_fd = -1;
	set_defaults(&s->o);
	s->o.max_connections = fit_to_rlimit(s->o.max_connections);
	s->o.upload_dir = s->upload_dir = x_strdup(options->upload_dir);
	s->queue = queue_new("http", (size_t)s->o.max_connections);
	pthread_mutex_init(&s->lock, NULL);
	cond_init_mono(&s->changed);
	if (s->o.metrics)
		make_metrics(&s->metrics, s->o.metrics);
	if (s->upload_dir)
		http_upload_sweep(s->upload_dir, 2 * s->o.upload_timeout_us);
	enum code c = open_listener(s, err);
	if (!c)
		c = start_threads(s, err);
	if (!c)
		c = start_daemon(s, err);
	if (c) {
		http_server_stop(s, 0);
		return c;
	}
	*ret = s;
	return OK;
}

int http_server_port(const struct http_server *s)
{
	return s->port;
}

static void stop_sweeper(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->quit = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->sweeping)
		pthread_join(s->sweeper, NULL);
}

void http_server_drain(struct http_server *s)
{
	if (!s)
		return;
	atomic_store(&s->draining, true);
	http_connections_end(s, false);
}

void http_server_stop(struct http_server *s, int64_t grace_us)
{
	if (!s)
		return;
	http_server_drain(s);
	http_connections_wait(s, time_mono_us() + grace_us);
	atomic_store(&s->aborting, true);
	http_connections_end(s, true);
	stop_sweeper(s);
	queue_close(s->queue);
	for (int i = 0; i < s->n_workers; i++)
		pthread_join(s->workers[i], NULL);
	http_connections_wait(s, time_mono_us() + LAST_WORDS_US);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	queue_free(s->queue);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s->workers);
	free(s->upload_dir);
	free(s);
}
