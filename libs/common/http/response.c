/* Responses: text, buffers, files with one range. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/private.h"

void http_response_header(struct http_response *rs, const char *name, const char *value)
{
	assert(rs->n_headers < ARRAY_SIZE(rs->headers));
	rs->headers[rs->n_headers].name = name;
	rs->headers[rs->n_headers++].value = value;
}

static size_t find_header(const struct http_response *rs, const char *name)
{
	size_t i = 0;
	while (i < rs->n_headers && strcasecmp(rs->headers[i].name, name) != 0)
		i++;
	return i;
}

static void drop_header(struct http_response *rs, const char *name)
{
	size_t i = find_header(rs, name);
	if (i < rs->n_headers)
		rs->headers[i] = rs->headers[--rs->n_headers];
}

void http_response_text(struct http_response *rs, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	rs->status = status;
	free(take(rs->file));
	drop_header(rs, "Content-Type");
	buf_reset(&rs->body);
	buf_vprintf(&rs->body, fmt, ap);
	buf_addc(&rs->body, '\n');
	va_end(ap);
	http_response_header(rs, "Content-Type", "text/plain; charset=utf-8");
}

static void add_headers(struct MHD_Response *answer, const struct http_response *rs)
{
	for (size_t i = 0; i < rs->n_headers; i++)
		MHD_add_response_header(answer, rs->headers[i].name, rs->headers[i].value);
}

struct range {
	uint64_t first, n;
};

/* RFC 9110 14.1.2: 206 and the range, 416, or 200 for what is to be ignored (none, several, not understood). */
static int parse_range(const char *text, uint64_t size, struct range *ret)
{
	if (!text || strncmp(text, "bytes=", 6) != 0)
		return 200;
	struct str last = str_of(text + 6);
	struct str first = str_cut(&last, '-');
	uint64_t from = 0, to = UINT64_MAX;
	if (!last.ptr || (first.len && !str_to_u64(first, &from)) || (last.len && !str_to_u64(last, &to)) ||
	    (!first.len && !last.len) || (first.len && to < from))
		return 200;
	if (!first.len) {
		from = to < size ? size - to : 0;
		to = to ? UINT64_MAX : 0;
	}
	if (from >= size || to < from)
		return 416;
	*ret = (struct range){from, MIN(to, size - 1) - from + 1};
	return 206;
}

static int wanted_range(struct http_exchange *x, uint64_t size, struct range *ret)
{
	if (x->rs.status != 200 || strcmp(x->rq.verb, "GET") != 0 || http_header(&x->rq, "If-Range"))
		return 200;
	return parse_range(http_header(&x->rq, "Range"), size, ret);
}

static struct MHD_Response *of_buffer(struct http_response *rs)
{
	size_t n;
	char *data = buf_take(&rs->body, &n);
	return MHD_create_response_from_buffer(n, data, MHD_RESPMEM_MUST_FREE);
}

static struct MHD_Response *of_file(struct http_exchange *x, int fd, uint64_t size)
{
	struct range range = {0, size};
	char text[80];
	int status = wanted_range(x, size, &range);
	if (status == 416) {
		close(fd);
		http_response_text(&x->rs, 416, "the file has %llu bytes", (unsigned long long)size);
		struct MHD_Response *answer = of_buffer(&x->rs);
		snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
		MHD_add_response_header(answer, "Content-Range", text);
		return answer;
	}
	struct MHD_Response *answer = MHD_create_response_from_fd_at_offset64(range.n, fd, range.first);
	MHD_add_response_header(answer, "Accept-Ranges", "bytes");
	if (find_header(&x->rs, "Content-Type") == x->rs.n_headers)
		MHD_add_response_header(answer, "Content-Type", "application/octet-stream");
	if (status == 206) {
		x->rs.status = 206;
		snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
			 (unsigned long long)(range.first + range.n - 1), (unsigned long long)size);
		MHD_add_response_header(answer, "Content-Range", text);
	}
	return answer;
}

/* The file that the handler named; NULL after x->rs has become the text of what is wrong. */
static struct MHD_Response *open_file(struct http_exchange *x)
{
	struct stat st;
	int fd = open(x->rs.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return of_file(x, fd, (uint64_t)st.st_size);
	if (fd >= 0)
		close(fd);
	bool absent = fd >= 0 || errno == ENOENT || errno == ENOTDIR;
	x->rs.n_headers = 0;
	if (absent)
		http_response_text(&x->rs, 404, "no such file");
	else
		http_response_text(&x->rs, 500, "cannot read the file: %s", strerror(errno));
	return NULL;
}

struct MHD_Response *http_answer(struct http_exchange *x, int *ret_status)
{
	struct MHD_Response *answer = x->rs.file ? open_file(x) : NULL;
	if (!answer) {
		http_release(x);
		http_hold(x, x->rs.body.len);
		answer = of_buffer(&x->rs);
	}
	add_headers(answer, &x->rs);
	if (x->begun)
		http_cors_add(x->connection->server->o.cors, &x->rq, answer);
	if (atomic_load(&x->connection->server->draining))
		MHD_add_response_header(answer, "Connection", "close");
	*ret_status = x->rs.status;
	return answer;
}
