/* Signed URLs: what may be done with which object until when, under an HMAC. */
#include <stdio.h>

#include "base/base.h"
#include "private.h"

#define URL_PREFIX "/data/"

static const char *op_name(enum store_op op)
{
	return op == STORE_PUT ? "put" : "get";
}

/* What is signed: each part with its length, so that none can be shifted into its neighbour. */
static void signature(const struct store *s, enum store_op op, struct str path, struct str expires, struct str md5,
		      struct buf *ret)
{
	auto_buf struct buf text = {0};
	uint8_t mac[SHA256_BYTES];

	buf_printf(&text, "%s\n%zu:%.*s\n%.*s\n%.*s", op_name(op), path.len, STR_ARG(path), STR_ARG(expires),
		   STR_ARG(md5));
	hmac_sha256(buf_str(&s->secret), buf_str(&text), mac);
	hex_add(ret, mac, sizeof mac);
}

static void add_path(struct buf *b, struct str relative)
{
	struct str rest = relative;

	while (rest.ptr) {
		url_encode(b, str_cut(&rest, '/'));
		if (rest.ptr)
			buf_addc(b, '/');
	}
}

static void add_base(const struct store *s, const char *authority, struct buf *b)
{
	const char *scheme_end = strstr(s->public_url, "://");

	if (!authority || !*authority || !scheme_end) {
		buf_adds(b, s->public_url);
		return;
	}
	buf_add(b, s->public_url, (size_t)(scheme_end + 3 - s->public_url));
	buf_adds(b, authority);
}

enum code store_sign(struct store *s, enum store_op op, const char *uri, int64_t expires_us, struct str content_md5,
		     const char *authority, struct buf *ret, struct err *err)
{
	auto_buf struct buf expires = {0}, md5 = {0};
	struct str relative;
	enum code c = store_relative(s, str_of(uri), &relative, err);

	if (c)
		return c;
	if (!s->public_url)
		return err_set(err, FAILED_PRECONDITION,
			       "signed URLs are off: set storage.signedUrl.publicUrl and secret");
	buf_printf(&expires, "%lld", (long long)(expires_us / USEC_PER_SEC));
	hex_add(&md5, content_md5.ptr, content_md5.len);
	add_base(s, authority, ret);
	buf_adds(ret, URL_PREFIX);
	add_path(ret, relative);
	buf_printf(ret, "?op=%s&expires=%s", op_name(op), buf_text(&expires));
	if (md5.len)
		buf_printf(ret, "&md5=%s", buf_text(&md5));
	buf_adds(ret, "&signature=");
	signature(s, op, relative, buf_str(&expires), buf_str(&md5), ret);
	return OK;
}

struct parts {
	struct str op, expires, md5, signature;
};

static struct parts split_query(const char *query)
{
	struct parts p = {0};
	struct {
		const char *key;
		struct str *value;
	} keys[] = {{"op", &p.op}, {"expires", &p.expires}, {"md5", &p.md5}, {"signature", &p.signature}};
	struct str rest = str_of(query);

	while (rest.ptr) {
		struct str value = str_cut(&rest, '&'), key = str_cut(&value, '=');
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (str_is(key, keys[i].key))
				*keys[i].value = value;
	}
	return p;
}

/* Takes the same time wherever the difference is. */
static bool same(struct str a, struct str b)
{
	unsigned char differs = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		differs |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
	return !differs;
}

static bool hex_decode(struct str s, uint8_t *ret, size_t n)
{
	if (s.len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		if (sscanf((char[]){s.ptr[2 * i], s.ptr[2 * i + 1], 0}, "%2x", &byte) != 1)
			return false;
		ret[i] = (uint8_t)byte;
	}
	return true;
}

enum code store_verify(struct store *s, enum store_op op, const char *path, const char *query, int64_t now_us,
		       struct buf *ret_uri, uint8_t ret_md5[16], bool *ret_has_md5, struct err *err)
{
	auto_buf struct buf uri = {0}, expected = {0};
	struct parts p = split_query(query);
	struct str relative;
	int64_t expires;

	if (!s->public_url || !str_starts(str_of(path), URL_PREFIX))
		return err_set(err, NOT_FOUND, "no signed URLs are served at %s", path);
	buf_printf(&uri, "%s/", s->root);
	if (!url_decode(&uri, str_of(path + strlen(URL_PREFIX))))
		return err_set(err, INVALID_ARGUMENT, "the URL's path is not well percent-encoded");
	enum code c = store_relative(s, buf_str(&uri), &relative, err);
	if (c)
		return err_set(err, INVALID_ARGUMENT, "the URL's path leads out of the store");
	signature(s, op, relative, p.expires, p.md5, &expected);
	if (!str_is(p.op, op_name(op)) || !same(buf_str(&expected), p.signature))
		return err_set(err, PERMISSION_DENIED, "the URL's signature does not fit: ask for a new signed URL");
	if (!str_to_i64(p.expires, &expires) || expires * USEC_PER_SEC < now_us)
		return err_set(err, PERMISSION_DENIED, "the signed URL has expired: ask for a new one");
	*ret_has_md5 = hex_decode(p.md5, ret_md5, 16);
	buf_add_str(ret_uri, buf_str(&uri));
	return OK;
}
