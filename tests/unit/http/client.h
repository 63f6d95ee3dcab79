/* A client of raw sockets for the tests of http/, and a server to talk to. */
#pragma once
#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "http/http.h"

static inline int dial(int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	struct timeval limit = {20, 0};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa)) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline bool put(int fd, const void *p, size_t n)
{
	for (const char *at = p; n;) {
		ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

static inline bool puts_to(int fd, const char *text)
{
	return put(fd, text, strlen(text));
}

struct reply {
	int status; /* 0 when the connection ended first */
	char head[4096];
	char *body;
	size_t len;
};

/* The next response; `bodiless` for HEAD. */
static inline struct reply get_reply(int fd, bool bodiless)
{
	struct reply r = {0};
	size_t n = 0;
	while (n + 1 < sizeof r.head && !strstr(r.head, "\r\n\r\n") && recv(fd, r.head + n, 1, 0) == 1)
		r.head[++n] = 0;
	if (sscanf(r.head, "HTTP/1.1 %d", &r.status) != 1)
		return r;
	const char *length = strcasestr(r.head, "\r\nContent-Length:");
	if (!length || bodiless)
		return r;
	size_t want = strtoull(length + 17, NULL, 10);
	r.body = x_malloc(want + 1);
	while (r.len < want) {
		ssize_t got = recv(fd, r.body + r.len, want - r.len, 0);
		if (got <= 0)
			break;
		r.len += (size_t)got;
	}
	r.body[r.len] = 0;
	return r;
}

/* Send `request` on a connection of its own; the answer. */
static inline struct reply ask(int port, const char *request)
{
	int fd = dial(port);
	assert_true(fd >= 0);
	assert_true(puts_to(fd, request));
	struct reply r = get_reply(fd, strncmp(request, "HEAD", 4) == 0);
	close(fd);
	return r;
}

static inline void expect(int port, const char *request, int status, const char *body)
{
	struct reply r = ask(port, request);
	if (r.status != status)
		print_error("%.80s: %d %s\n", request, r.status, r.body ? r.body : "");
	assert_int_equal(r.status, status);
	if (body)
		assert_string_equal(r.body, body);
	free(r.body);
}

static inline bool has(const struct reply *r, const char *line)
{
	return strcasestr(r->head, line) != NULL;
}

static inline size_t files_in(const char *dir)
{
	size_t n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

/* The figure of /proc/self/status in KiB. */
static inline long memory_kib(const char *name)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");
	while (fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtol(line + strlen(name), NULL, 10);
	fclose(f);
	return kib;
}

static inline struct http_server *serve(struct http_server_options o, const struct http_route *routes)
{
	struct http_server *s;
	struct err err;
	o.routes = routes;
	o.listen = "127.0.0.1:0";
	if (http_server_new(&o, &s, &err))
		fail_msg("%s", err.text);
	return s;
}
