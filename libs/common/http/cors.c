/* Cross-origin requests. Source: gorilla/handlers cors.go, as flyteadmin sets it up (pkg/server/service.go). */
#include <ctype.h>

#include "http/private.h"

static const char *const METHODS[] = {"GET", "POST", "DELETE", "HEAD", "PUT", "PATCH"};
/* What browsers may send in any case. */
static const char *const PLAIN_METHODS[] = {"GET", "HEAD", "POST"};
static const char *const PLAIN_HEADERS[] = {"Accept", "Accept-Language", "Content-Language", "Origin"};

static bool has(const char *const *list, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == name.len && strncasecmp(list[i], name.ptr, name.len) == 0)
			return true;
	return false;
}

/* What Access-Control-Allow-Origin says; NULL for others' origins. */
static const char *allowed_origin(const struct http_cors *cors, const char *origin)
{
	if (!origin || !*origin)
		return NULL;
	for (size_t i = 0; i < cors->n_origins; i++)
		if (strcmp(cors->origins[i], "*") == 0)
			return "*";
	for (size_t i = 0; i < cors->n_origins; i++)
		if (strcmp(cors->origins[i], origin) == 0)
			return origin;
	return cors->n_origins ? NULL : "*";
}

void http_cors_add(const struct http_cors *cors, const struct http_request *rq, struct MHD_Response *answer)
{
	const char *allowed = cors ? allowed_origin(cors, http_header(rq, "Origin")) : NULL;

	if (!allowed)
		return;
	MHD_add_response_header(answer, "Access-Control-Allow-Origin", allowed);
	MHD_add_response_header(answer, "Access-Control-Allow-Credentials", "true");
	if (cors->n_origins > 1 && strcmp(allowed, "*") != 0)
		MHD_add_response_header(answer, "Vary", "Origin");
}

/* "flyte-authorization" as Go writes it: "Flyte-Authorization". */
static void add_canonical(struct buf *b, struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		bool first = i == 0 || name.ptr[i - 1] == '-';
		unsigned char c = (unsigned char)name.ptr[i];
		buf_addc(b, (char)(first ? toupper(c) : tolower(c)));
	}
}

/* The headers asked for that need leave; false when one has none. JSON's type is always allowed. */
static bool allowed_headers(const struct http_cors *cors, const char *asked, struct buf *ret)
{
	static const char *const TYPE[] = {"Content-Type"};
	struct str rest = str_of(asked ? asked : "");

	while (rest.ptr) {
		struct str name = str_trim(str_cut(&rest, ','));
		if (!name.len || has(PLAIN_HEADERS, ARRAY_SIZE(PLAIN_HEADERS), name))
			continue;
		if (!has(cors->headers, cors->n_headers, name) && !has(TYPE, 1, name))
			return false;
		buf_adds(ret, ret->len ? "," : "");
		add_canonical(ret, name);
	}
	return true;
}

static int preflight(const struct http_cors *cors, const struct http_request *rq, struct http_response *rs)
{
	auto_buf struct buf headers = {0};
	const char *method = http_header(rq, "Access-Control-Request-Method");

	if (!method)
		return 400;
	if (!has(METHODS, ARRAY_SIZE(METHODS), str_of(method)))
		return 405;
	if (!allowed_headers(cors, http_header(rq, "Access-Control-Request-Headers"), &headers))
		return 403;
	if (headers.len)
		http_response_header(rs, "Access-Control-Allow-Headers", arena_strdup(rq->arena, buf_text(&headers)));
	if (!has(PLAIN_METHODS, ARRAY_SIZE(PLAIN_METHODS), str_of(method)))
		http_response_header(rs, "Access-Control-Allow-Methods", method);
	return 200;
}

bool http_cors_preflight(const struct http_cors *cors, const struct http_request *rq, struct http_response *rs)
{
	if (!cors || strcmp(rq->verb, "OPTIONS") != 0)
		return false;
	bool allowed = allowed_origin(cors, http_header(rq, "Origin"));
	rs->status = allowed ? preflight(cors, rq, rs) : 200;
	return true;
}
