/* The data proxy: signed URLs for clients' uploads and downloads, and data by flyte:// URLs.
 * Source: flyteadmin dataproxy/service.go, pkg/common/flyte_url.go (v1.16.8). */
#include <ctype.h>

#include "execution.h"
#include "flyte/text.h"
#include "flyteidl/service/dataproxy.h"
#include "pb/pb.h"
#include "validation.h"

/* A file that is compared with a client's MD5 is read whole. */
enum { MAX_COMPARED_BYTES = 256 << 20 };

/* ---- uploads ---- */

/* RFC 4648 section 6, with padding: what clients of Flyte see in paths. */
static char *base32_text(struct arena *a, const uint8_t *p, size_t n)
{
	static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	size_t groups = (n + 4) / 5;
	char *text = arena_alloc(a, groups * 8 + 1), *t = text;

	for (size_t g = 0; g < groups; g++) {
		size_t left = MIN(n - g * 5, (size_t)5);
		uint64_t bits = 0;
		for (size_t i = 0; i < 5; i++)
			bits = bits << 8 | (i < left ? p[g * 5 + i] : 0);
		for (size_t i = 0; i < 8; i++)
			*t++ = i < (left * 8 + 4) / 5 ? ALPHABET[bits >> (35 - 5 * i) & 31] : '=';
	}
	*t = '\0';
	return text;
}

/* Parts of a path below the project's directory. */
static enum code check_path(const char *path, const char *field, struct err *err)
{
	struct str rest = str_of(path);

	while (rest.ptr) {
		struct str part = str_cut(&rest, '/');
		if (str_is(part, "..") || str_is(part, "."))
			return err_set(err, INVALID_ARGUMENT, "%s [%s] must not contain the path segment %.*s", field,
				       path, STR_ARG(part));
	}
	return OK;
}

static enum code check_md5(const ProtobufCBinaryData *md5, struct err *err)
{
	if (md5->len == 0 || md5->len == MD5_BYTES)
		return OK;
	return err_set(err, INVALID_ARGUMENT, "content_md5 has %zu bytes, expected %d", md5->len, MD5_BYTES);
}

static enum code check_upload(struct request *rq, const ServiceCreateUploadLocationRequest *in, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;

	if (!*in->project || !*in->domain)
		return err_set(err, INVALID_ARGUMENT, "project and domain are required parameters");
	if (!*in->filename_root && !in->content_md5.len)
		return err_set(err, INVALID_ARGUMENT, "content_md5 or filename_root is a required parameter");
	enum code c = check_md5(&in->content_md5, err);
	if (!c)
		c = check_path(in->filename, "filename", err);
	if (!c)
		c = check_path(in->filename_root, "filename_root", err);
	if (!c)
		c = db_take(admin_of(rq)->data_db, &db, err);
	return c ? c : check_project_domain(rq, db, in->project, in->domain, err);
}

/* How flyteadmin says it, with the duration and its limit. */
struct expiry_texts {
	const char *negative, *too_long;
};
static const struct expiry_texts UPLOAD_TEXTS = {
	"expiresIn [%s] should not be less than 0",
	"expiresIn [%s] cannot exceed max allowed expiration [%s]",
};
static const struct expiry_texts DOWNLOAD_TEXTS = {
	"expiresIn is invalid. Error: input duration [%s] should not less than 0",
	"expiresIn is invalid. Error: input duration [%s] cannot exceed max allowed expiration [%s]",
};

/* How long a URL lasts: as asked for, or `max_us`. */
static enum code check_expiry(const PbDuration *asked, int64_t max_us, const struct expiry_texts *texts, int64_t *ret,
			      struct err *err)
{
	auto_buf struct buf text = {0}, max = {0};
	int64_t us = asked ? pb_duration_us(asked) : max_us;

	duration_add(&text, us);
	duration_add(&max, max_us);
	if (us < 0)
		return err_set(err, INVALID_ARGUMENT, texts->negative, buf_text(&text));
	if (us > max_us)
		return err_set(err, INVALID_ARGUMENT, texts->too_long, buf_text(&text), buf_text(&max));
	*ret = us;
	return OK;
}

/* <root>/<prefix>/<project>/<domain>/<root or MD5>/<name>. Without a name it is random, so that two uploads with the
 * same root (data frames have "00000") never meet. */
static const char *upload_uri(struct request *rq, const ServiceCreateUploadLocationRequest *in)
{
	const struct admin *admin = admin_of(rq);
	auto_buf struct buf uri = {0};
	size_t length = (size_t)admin->config->upload_name_length;
	char *name = in->filename;

	if (!*name) {
		name = arena_alloc(rq->arena, length + 1);
		random_name(random_u64(), length, name);
	}
	buf_adds(&uri, store_root(admin->store));
	if (str_of(admin->config->upload_prefix).len)
		buf_printf(&uri, "/%s", admin->config->upload_prefix);
	buf_printf(&uri, "/%s/%s/%s/%s", in->project, in->domain,
		   *in->filename_root ? in->filename_root
				      : base32_text(rq->arena, in->content_md5.data, in->content_md5.len),
		   name);
	return arena_strdup(rq->arena, buf_text(&uri));
}

/* A place that the client named whole may hold something already: the same content may come again. */
static enum code check_unwritten(struct request *rq, const ServiceCreateUploadLocationRequest *in, const char *uri,
				 struct err *err)
{
	auto_buf struct buf content = {0};
	uint8_t digest[MD5_BYTES];

	if (!*in->filename || !*in->filename_root)
		return OK;
	enum code c = store_get(admin_of(rq)->store, uri, in->content_md5.len ? MAX_COMPARED_BYTES : 0, &content, err);
	if (c == NOT_FOUND)
		return OK;
	if (c && c != RESOURCE_EXHAUSTED)
		return c;
	md5(content.data, content.len, digest);
	if (!c && in->content_md5.len && memcmp(digest, in->content_md5.data, MD5_BYTES) == 0)
		return OK;
	return err_set(err, ALREADY_EXISTS,
		       "file already exists at location [%s], specify a matching hash if you wish to rewrite", uri);
}

static enum code sign(struct request *rq, enum store_op op, const char *uri, int64_t lasts_us, struct str content_md5,
		      char **ret_url, PbTimestamp **ret_expires, struct err *err)
{
	auto_buf struct buf url = {0};
	int64_t expires_us = time_now_us() + lasts_us;
	enum code c = store_sign(admin_of(rq)->store, op, uri, expires_us, content_md5, NULL, &url, err);

	if (c)
		return c;
	*ret_url = arena_strdup(rq->arena, buf_text(&url));
	*ret_expires = pb_timestamp(rq->arena, expires_us);
	return OK;
}

static enum code admin_create_upload_location(struct request *rq, const ServiceCreateUploadLocationRequest *in,
					      ServiceCreateUploadLocationResponse *ret, struct err *err)
{
	int64_t lasts_us = 0;
	enum code c = check_upload(rq, in, err);

	if (!c)
		c = check_expiry(in->expires_in, admin_of(rq)->config->upload_max_expires_us, &UPLOAD_TEXTS, &lasts_us,
				 err);
	if (c)
		return c;
	const char *uri = upload_uri(rq, in);
	struct str content_md5 = {(char *)in->content_md5.data, in->content_md5.len};
	c = check_unwritten(rq, in, uri, err);
	if (!c)
		c = sign(rq, STORE_PUT, uri, lasts_us, content_md5, &ret->signed_url, &ret->expires_at, err);
	if (!c)
		ret->native_url = (char *)uri;
	return c;
}
API_THUNK(admin_create_upload_location)

/* ---- downloads ---- */

static enum code check_download(struct request *rq, const PbDuration *asked, int64_t *ret, struct err *err)
{
	return check_expiry(asked, admin_of(rq)->config->download_max_expires_us, &DOWNLOAD_TEXTS, ret, err);
}

static enum code admin_create_download_location(struct request *rq, const ServiceCreateDownloadLocationRequest *in,
						ServiceCreateDownloadLocationResponse *ret, struct err *err)
{
	int64_t lasts_us = 0;
	enum code c = check_download(rq, in->expires_in, &lasts_us, err);

	if (c)
		return err_prefix(err, c, "error while validating request: ");
	if (!store_owns(admin_of(rq)->store, str_of(in->native_url)))
		c = err_set(err, INVALID_ARGUMENT, "native_url [%s] is not in this deployment's store", in->native_url);
	if (!c)
		c = sign(rq, STORE_GET, in->native_url, lasts_us, STR(""), &ret->signed_url, &ret->expires_at, err);
	return c;
}
API_THUNK(admin_create_download_location)

static enum code deck_uri(struct request *rq, CoreNodeExecutionIdentifier *id, const char **ret, struct err *err)
{
	AdminNodeExecutionGetRequest get = ADMIN_NODE_EXECUTION_GET_REQUEST_INIT;
	AdminNodeExecution node = ADMIN_NODE_EXECUTION_INIT;
	uint64_t bytes;

	get.id = id;
	enum code c = admin_get_node_execution(rq, &get, &node, err);
	if (c == NOT_FOUND || c == INVALID_ARGUMENT) {
		const char *why = err ? arena_strdup(rq->arena, err->text) : "";
		return err_set(err, INVALID_ARGUMENT, "failed to find node execution [%s]. Error: %s",
			       message_text(id, rq->arena), why);
	}
	if (c)
		return c;
	if (!*node.closure->deck_uri)
		return err_set(err, NOT_FOUND, "no deckUrl found for request [node_execution_id:{%s}]",
			       message_text(id, rq->arena));
	*ret = node.closure->deck_uri;
	return store_stat(admin_of(rq)->store, *ret, &bytes, err);
}

static enum code deck_link(struct request *rq, CoreNodeExecutionIdentifier *id, int64_t lasts_us,
			   ServicePreSignedURLs **ret, struct err *err)
{
	ServicePreSignedURLs *urls = pb_new(rq->arena, SERVICE_PRE_SIGNED_URLS_DESC);
	const char *uri = NULL;
	char *url = NULL;
	enum code c = deck_uri(rq, id, &uri, err);

	if (!c)
		c = sign(rq, STORE_GET, uri, lasts_us, STR(""), &url, &urls->expires_at, err);
	if (c)
		return c;
	*PB_ADD(rq->arena, urls->signed_url, urls->n_signed_url) = url;
	*ret = urls;
	return OK;
}

static enum code check_link(struct request *rq, const ServiceCreateDownloadLinkRequest *in, int64_t *ret_lasts_us,
			    struct err *err)
{
	const char *type = pb_enum_name(SERVICE_ARTIFACT_TYPE_DESC, (int)in->artifact_type);
	enum code c = check_download(rq, in->expires_in, ret_lasts_us, err);

	if (!c && in->artifact_type != SERVICE_ARTIFACT_TYPE_ARTIFACT_TYPE_DECK)
		c = err_set(err, INVALID_ARGUMENT, "invalid artifact type [%s]", type ? type : "unknown");
	if (!c && in->source_case != SERVICE_CREATE_DOWNLOAD_LINK_REQUEST_SOURCE_NODE_EXECUTION_ID)
		c = err_set(err, INVALID_ARGUMENT, "source is required. Provided nil");
	return c;
}

static enum code admin_create_download_link(struct request *rq, const ServiceCreateDownloadLinkRequest *in,
					    ServiceCreateDownloadLinkResponse *ret, struct err *err)
{
	int64_t lasts_us = 0;
	enum code c = check_link(rq, in, &lasts_us, err);

	if (c)
		return err_prefix(err, c, "error while validating request. Error: ");
	c = deck_link(rq, in->node_execution_id, lasts_us, &ret->pre_signed_urls, err);
	if (c)
		return c;
	ret->signed_url = ret->pre_signed_urls->signed_url;
	ret->n_signed_url = ret->pre_signed_urls->n_signed_url;
	ret->expires_at = ret->pre_signed_urls->expires_at;
	return OK;
}
API_THUNK(admin_create_download_link)

/* ---- flyte:// URLs ---- */

/* flyte://v1/project/domain/execution/node[/attempt]/{i,o,d}[/name] */
struct flyte_url {
	CoreNodeExecutionIdentifier *node;
	bool has_attempt;
	uint32_t attempt;
	char kind;
	const char *name; /* "" for all */
};

enum { MAX_URL_PARTS = 7 };

static bool is_url_word(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && s.ptr[i] != '_' && s.ptr[i] != '-')
			return false;
	return s.len > 0;
}

static size_t split_url(struct str rest, struct str parts[MAX_URL_PARTS])
{
	size_t n = 0;

	while (rest.ptr) {
		struct str part = str_cut(&rest, '/');
		if (n == MAX_URL_PARTS || !is_url_word(part))
			return 0;
		parts[n++] = part;
	}
	return n;
}

static bool parse_flyte_url(struct arena *a, const char *url, struct flyte_url *ret)
{
	struct str parts[MAX_URL_PARTS] = {0};
	size_t n = split_url(str_of(url + strlen("flyte://v1/")), parts), i = 4;
	uint64_t attempt = 0;

	if (n < 5)
		return false;
	*ret = (struct flyte_url){.name = "", .node = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC)};
	ret->has_attempt = n > 5 && str_to_u64(parts[4], &attempt) && attempt <= UINT32_MAX;
	ret->attempt = (uint32_t)attempt;
	i += ret->has_attempt;
	if (parts[i].len != 1 || !strchr("iod", *parts[i].ptr))
		return false;
	ret->kind = *parts[i++].ptr;
	if (n > i + 1 || (n > i && ret->kind == 'd'))
		return false;
	if (n > i)
		ret->name = arena_strndup(a, parts[i].ptr, parts[i].len);
	CoreWorkflowExecutionIdentifier *x = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	x->project = arena_strndup(a, parts[0].ptr, parts[0].len);
	x->domain = arena_strndup(a, parts[1].ptr, parts[1].len);
	x->name = arena_strndup(a, parts[2].ptr, parts[2].len);
	ret->node->execution_id = x;
	ret->node->node_id = arena_strndup(a, parts[3].ptr, parts[3].len);
	return true;
}

static enum code node_literals(struct request *rq, const struct flyte_url *url, CoreLiteralMap **ret, struct err *err)
{
	AdminNodeExecutionGetDataRequest get = ADMIN_NODE_EXECUTION_GET_DATA_REQUEST_INIT;
	AdminNodeExecutionGetDataResponse data = ADMIN_NODE_EXECUTION_GET_DATA_RESPONSE_INIT;

	get.id = url->node;
	enum code c = admin_get_node_execution_data(rq, &get, &data, err);
	*ret = url->kind == 'i' ? data.full_inputs : data.full_outputs;
	return c;
}

static enum code task_literals(struct request *rq, const struct flyte_url *url, CoreLiteralMap **ret, struct err *err)
{
	AdminTaskExecutionGetDataRequest get = ADMIN_TASK_EXECUTION_GET_DATA_REQUEST_INIT;
	AdminTaskExecutionGetDataResponse data = ADMIN_TASK_EXECUTION_GET_DATA_RESPONSE_INIT;
	enum code c = task_execution_of_attempt(rq, url->node, url->attempt, &get.id, err);

	if (!c)
		c = admin_get_task_execution_data(rq, &get, &data, err);
	*ret = url->kind == 'i' ? data.full_inputs : data.full_outputs;
	return c;
}

static enum code choose_literal(const struct flyte_url *url, CoreLiteralMap *map, ServiceGetDataResponse *ret,
				struct err *err)
{
	if (!*url->name) {
		ret->data_case = SERVICE_GET_DATA_RESPONSE_DATA_LITERAL_MAP;
		ret->literal_map = map;
		return OK;
	}
	for (size_t i = 0; i < map->n_literals; i++) {
		if (strcmp(map->literals[i]->key, url->name) != 0)
			continue;
		ret->data_case = SERVICE_GET_DATA_RESPONSE_DATA_LITERAL;
		ret->literal = map->literals[i]->value;
		return OK;
	}
	auto_buf struct buf node = {0};
	message_add_text(url->node, &node);
	return err_set(err, INVALID_ARGUMENT, "name [%s] not found in %s execution [%s]", url->name,
		       url->has_attempt ? "task" : "node", buf_text(&node));
}

static enum code get_deck(struct request *rq, const struct flyte_url *url, ServiceGetDataResponse *ret, struct err *err)
{
	if (url->has_attempt)
		return err_set(err, INVALID_ARGUMENT,
			       "deck type cannot be specified with a retry attempt, just use the node instead");
	ret->data_case = SERVICE_GET_DATA_RESPONSE_DATA_PRE_SIGNED_URLS;
	return deck_link(rq, url->node, admin_of(rq)->config->download_max_expires_us, &ret->pre_signed_urls, err);
}

static enum code admin_get_data(struct request *rq, const ServiceGetDataRequest *in, ServiceGetDataResponse *ret,
				struct err *err)
{
	struct flyte_url url;
	CoreLiteralMap *map = NULL;

	if (!*in->flyte_url)
		return err_set(err, INVALID_ARGUMENT,
			       "failed to validate resolve artifact request. Error: source is required. Provided empty "
			       "string");
	if (!str_starts(str_of(in->flyte_url), "flyte://"))
		return err_set(err, INVALID_ARGUMENT,
			       "failed to validate resolve artifact request. Error: request does not start with the "
			       "correct prefix");
	if (!str_starts(str_of(in->flyte_url), "flyte://v1/") || !parse_flyte_url(rq->arena, in->flyte_url, &url))
		return err_set(err, INVALID_ARGUMENT, "failed to parse artifact url Error: failed to parse [%s]",
			       in->flyte_url);
	if (url.kind == 'd')
		return get_deck(rq, &url, ret, err);
	enum code c = url.has_attempt ? task_literals(rq, &url, &map, err) : node_literals(rq, &url, &map, err);
	return c ? c : choose_literal(&url, map, ret, err);
}
API_THUNK(admin_get_data)

const struct api_binding admin_data_proxy_rpcs[] = {
	{"CreateUploadLocation", admin_create_upload_location_api},
	{"CreateDownloadLocation", admin_create_download_location_api},
	{"CreateDownloadLink", admin_create_download_link_api},
	{"GetData", admin_get_data_api},
	{0},
};
