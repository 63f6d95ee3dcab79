/* What a handler asks of a request: headers and query pairs. */
#include "http/private.h"

const char *http_header(const struct http_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection->mhd, MHD_HEADER_KIND, name);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that a percent-encoding at `p` stands for, or -1. */
static int percent_byte(const char *p, size_t left)
{
	if (left < 3 || p[0] != '%' || hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
		return -1;
	return hex_digit(p[1]) * 16 + hex_digit(p[2]);
}

/* Form decoding; a '%' that begins no encoding stands for itself. */
static struct str decode(struct arena *a, struct str s)
{
	char *text = arena_alloc(a, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		int byte = percent_byte(s.ptr + i, s.len - i);
		if (byte >= 0)
			i += 2;
		else
			byte = s.ptr[i] == '+' ? ' ' : s.ptr[i];
		text[n++] = (char)byte;
	}
	text[n] = 0;
	return (struct str){text, n};
}

size_t http_form_pairs(struct arena *a, struct str form, struct http_pair **ret)
{
	size_t n = form.len > 0;
	for (size_t i = 0; i < form.len; i++)
		n += form.ptr[i] == '&';
	struct http_pair *pairs = arena_array(a, struct http_pair, n);
	size_t count = 0;
	for (struct str rest = form; n && rest.ptr;) {
		struct str value = str_cut(&rest, '&');
		if (!value.len)
			continue;
		struct str key = str_cut(&value, '=');
		pairs[count].key = decode(a, key);
		pairs[count].value = decode(a, value.ptr ? value : STR(""));
		count++;
	}
	*ret = pairs;
	return count;
}

size_t http_query_pairs(const struct http_request *rq, struct http_pair **ret)
{
	return http_form_pairs(rq->arena, str_of(rq->query), ret);
}

const char *http_query(const struct http_request *rq, const char *key)
{
	struct http_pair *pairs;
	size_t n = http_query_pairs(rq, &pairs);
	for (size_t i = 0; i < n; i++)
		if (str_is(pairs[i].key, key))
			return pairs[i].value.ptr;
	return NULL;
}

const char *http_target_fault(const char *path, const char *query)
{
	if (path[0] != '/')
		return "the path must begin with a slash";
	size_t len = strlen(path);
	for (size_t i = 0; i < len; i++) {
		int byte = path[i] == '%' ? percent_byte(path + i, len - i) : (unsigned char)path[i];
		if (byte < 0)
			return "the path has a malformed percent-encoding";
		if (byte < 0x20 || byte == 0x7f)
			return "the path has a control character";
	}
	len = strlen(query);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)query[i];
		if (c < 0x20 || c == 0x7f || percent_byte(query + i, len - i) == 0)
			return "the query has a control character";
	}
	return NULL;
}
