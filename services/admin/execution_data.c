#include "execution.h"
#include "pb/pb.h"

/* A file of ours that is read whole: a bound on memory even when answers have none. */
enum { MAX_FILE_BYTES = 256 << 20 };

static bool answered_inline(struct request *rq, uint64_t bytes)
{
	int64_t max = admin_of(rq)->config->max_data_bytes;

	return bytes <= MAX_FILE_BYTES && (max == 0 || bytes < (uint64_t)max);
}

enum code read_literals(struct request *rq, const char *uri, CoreLiteralMap **ret, struct err *err)
{
	auto_buf struct buf b = {0};
	enum code c = store_get(admin_of(rq)->store, uri, MAX_FILE_BYTES, &b, err);

	return c ? c : pb_unpack(CORE_LITERAL_MAP_DESC, buf_str(&b), rq->arena, (void **)ret, err);
}

static enum code sign(struct request *rq, const char *uri, uint64_t bytes, AdminUrlBlob *blob, struct err *err)
{
	struct admin *admin = admin_of(rq);
	auto_buf struct buf url = {0};
	enum code c = store_sign(admin->store, STORE_GET, uri,
				 time_now_us() + admin->config->signed_url_minutes * 60 * USEC_PER_SEC, STR(""), NULL,
				 &url, err);

	if (c)
		return c;
	blob->url = arena_strdup(rq->arena, buf_text(&url));
	blob->bytes = (int64_t)bytes;
	return OK;
}

/* A file that is missing or no literals is no error of the request: there is just nothing to show. */
static enum code read_file(struct request *rq, const char *uri, CoreLiteralMap **map, AdminUrlBlob *blob,
			   struct err *err)
{
	struct admin *admin = admin_of(rq);
	uint64_t bytes = 0;
	struct err why;

	if (!store_owns(admin->store, str_of(uri)))
		return OK;
	enum code c = store_stat(admin->store, uri, &bytes, &why);
	if (c == NOT_FOUND)
		return OK;
	if (!c)
		c = sign(rq, uri, bytes, blob, &why);
	if (c)
		return err_set(err, c, "%s", why.text);
	if (!answered_inline(rq, bytes))
		return OK;
	CoreLiteralMap *found = NULL;
	if (read_literals(rq, uri, &found, &why) == OK)
		*map = found;
	else
		log_warn("cannot read literals", LOG_STR("uri", uri), LOG_ERR(&why));
	return OK;
}

enum code read_data(struct request *rq, const struct kept_data *d, CoreLiteralMap **ret_map, AdminUrlBlob **ret_blob,
		    struct err *err)
{
	CoreLiteralMap *map = pb_new(rq->arena, CORE_LITERAL_MAP_DESC);
	AdminUrlBlob *blob = pb_new(rq->arena, ADMIN_URL_BLOB_DESC);
	enum code c = OK;

	if (d->packed.len && answered_inline(rq, d->packed.len))
		c = pb_unpack_own(CORE_LITERAL_MAP_DESC, d->packed, rq->arena, (void **)&map, err);
	else if (d->uri && *d->uri)
		c = read_file(rq, d->uri, &map, blob, err);
	*ret_map = map;
	*ret_blob = blob;
	return c;
}
