#include "admin.h"
#include "base/base.h"
#include "data_proxy.h"

#define LOGS "/logs/"

static const struct {
	enum code code;
	int status;
} STATUSES[] = {
	{INVALID_ARGUMENT, 400},   {PERMISSION_DENIED, 403}, {NOT_FOUND, 404},
	{RESOURCE_EXHAUSTED, 507}, {UNAVAILABLE, 503},
};

static void respond_error(struct http_response *rs, enum code code, const struct err *err)
{
	int status = 500;

	for (size_t i = 0; i < ARRAY_SIZE(STATUSES); i++)
		if (STATUSES[i].code == code)
			status = STATUSES[i].status;
	http_response_text(rs, status, "%s\n", err->text);
}

/* ---- uploads ---- */

struct permission {
	struct buf uri;
	uint8_t md5[MD5_BYTES];
	bool has_md5;
};

/* What the signed URL allows, and with it what Content-MD5 says. */
static enum code permit_upload(struct http_request *rq, struct permission *p, struct err *err)
{
	struct admin *admin = rq->user;
	auto_buf struct buf given = {0};
	const char *header = http_header(rq, "Content-MD5");
	enum code c = store_verify(admin->store, STORE_PUT, rq->path, rq->query, time_now_us(), &p->uri, p->md5,
				   &p->has_md5, err);

	if (c || !header)
		return c;
	if (!base64_decode(&given, str_of(header)) || given.len != MD5_BYTES)
		return err_set(err, INVALID_ARGUMENT, "Content-MD5 is not 16 bytes in base64");
	if (p->has_md5 && memcmp(given.data, p->md5, MD5_BYTES) != 0)
		return err_set(err, INVALID_ARGUMENT, "Content-MD5 differs from the one that the URL was made for");
	memcpy(p->md5, given.data, MD5_BYTES);
	p->has_md5 = true;
	return OK;
}

bool admit_upload(struct http_request *rq, struct http_response *rs)
{
	struct permission p = {0};
	struct err err;
	enum code c = permit_upload(rq, &p, &err);

	buf_clear(&p.uri);
	if (c)
		respond_error(rs, c, &err);
	return c == OK;
}

void serve_upload(struct http_request *rq, struct http_response *rs)
{
	struct admin *admin = rq->user;
	struct permission p = {0};
	struct err err;
	enum code c = permit_upload(rq, &p, &err);

	if (!c && !rq->upload_path)
		c = err_set(&err, INVALID_ARGUMENT, "nothing was uploaded");
	if (!c && p.has_md5 && memcmp(rq->upload_md5, p.md5, MD5_BYTES) != 0)
		c = err_set(&err, INVALID_ARGUMENT, "the MD5 of what arrived differs from the announced one");
	if (!c)
		c = store_adopt(admin->store, buf_text(&p.uri), rq->upload_path, &err);
	if (c)
		respond_error(rs, c, &err);
	buf_clear(&p.uri);
}

/* ---- downloads ---- */

/* The store checks the path as it stats it; a URI of its kind `file` is the file's path. */
static void send_file(struct admin *admin, const char *uri, struct http_response *rs)
{
	uint64_t bytes;
	struct err err;
	enum code c = store_stat(admin->store, uri, &bytes, &err);

	if (c)
		respond_error(rs, c, &err);
	else
		rs->file = x_strdup(uri);
}

static bool ends_in(const char *path, const char *suffix)
{
	return str_ends(str_of(path), suffix);
}

void serve_download(struct http_request *rq, struct http_response *rs)
{
	struct admin *admin = rq->user;
	auto_buf struct buf uri = {0};
	uint8_t md5[MD5_BYTES];
	bool has_md5;
	struct err err;
	enum code c =
		store_verify(admin->store, STORE_GET, rq->path, rq->query, time_now_us(), &uri, md5, &has_md5, &err);

	if (c) {
		respond_error(rs, c, &err);
		return;
	}
	http_response_header(rs, "Content-Type",
			     ends_in(buf_text(&uri), ".html") ? "text/html; charset=utf-8"
							      : "application/octet-stream");
	/* Decks are pages made by tasks: they must not act with the rights of this origin. */
	http_response_header(rs, "Content-Security-Policy", "sandbox allow-scripts");
	http_response_header(rs, "X-Content-Type-Options", "nosniff");
	send_file(admin, buf_text(&uri), rs);
}

static bool climbs(struct str path)
{
	while (path.ptr) {
		struct str part = str_cut(&path, '/');
		if (str_is(part, "..") || str_is(part, ".") || memchr(part.ptr, 0, part.len))
			return true;
	}
	return false;
}

void serve_log(struct http_request *rq, struct http_response *rs)
{
	struct admin *admin = rq->user;
	auto_buf struct buf path = {0}, uri = {0};

	if (!url_decode(&path, str_of(rq->path + strlen(LOGS))) || climbs(buf_str(&path))) {
		http_response_text(rs, 400, "not the path of a log\n");
		return;
	}
	buf_printf(&uri, "%s" LOGS "%s", store_root(admin->store), buf_text(&path));
	http_response_header(rs, "Content-Type", "text/plain; charset=utf-8");
	http_response_header(rs, "X-Content-Type-Options", "nosniff");
	send_file(admin, buf_text(&uri), rs);
}
