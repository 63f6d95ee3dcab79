/* The forms that requests and responses come in, and errors in each of them.
 * Source: flyteadmin pkg/server/service.go (marshaler options); grpc-gateway v2 runtime/marshaler_registry.go: media
 * types are compared whole, and whoever names none of them (curl, browsers) gets the default, which differs from
 * application/json in names (lowerCamelCase) and in passing over unknown fields. */
#include "gateway/private.h"

struct format {
	const char *accept;       /* what selects it */
	const char *content_type; /* what it answers */
	bool binary, ignore_unknown;
	struct json_options json;
};

static const struct format formats[] = {
	{"*", "application/json", .ignore_unknown = true, .json = {.emit_defaults = true, .emit_nulls = true}},
	{"application/json", "application/json",
	 .json = {.proto_names = true, .emit_defaults = true, .emit_nulls = true}},
	{"application/octet-stream", "application/octet-stream", .binary = true},
};

static const struct format *format_named(struct str type)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (type.len == strlen(formats[i].accept) && strncasecmp(type.ptr, formats[i].accept, type.len) == 0)
			return &formats[i];
	return NULL;
}

const struct format *format_in(const struct http_request *rq)
{
	struct str type = str_of(http_header(rq, "Content-Type"));
	const struct format *f = format_named(str_trim(str_cut(&type, ';')));
	return f ? f : &formats[0];
}

const struct format *format_out(const struct http_request *rq)
{
	const struct format *f = format_named(str_of(http_header(rq, "Accept")));
	return f ? f : format_in(rq);
}

enum code format_read(const struct format *f, const ProtobufCMessageDescriptor *desc, struct str body, struct arena *a,
		      void **ret, struct err *err)
{
	if (f->binary)
		return pb_unpack(desc, body, a, ret, err);
	if (str_trim(body).len)
		return json_read(desc, body, f->ignore_unknown, a, ret, err);
	*ret = pb_new(a, desc);
	return OK;
}

enum code format_write(const struct format *f, const void *message, struct http_response *rs, struct err *err)
{
	if (f->binary)
		pb_pack_buf(message, &rs->body);
	else {
		enum code c = json_write(&rs->body, message, &f->json, err);
		if (c)
			return err_prefix(err, c, "cannot write the response as JSON: ");
	}
	http_response_header(rs, "Content-Type", f->content_type);
	return OK;
}

/* As JSON shows an Any: its fields behind its type. */
static void add_detail(const struct format *f, const void *detail, struct buf *b)
{
	auto_buf struct buf fields = {0};

	if (json_write(&fields, detail, &f->json, NULL) != OK || fields.len < 2)
		return;
	buf_printf(b, "{\"@type\":\"" TYPE_URL_PREFIX "%s\"%s", ((const ProtobufCMessage *)detail)->descriptor->name,
		   fields.len > 2 ? "," : "");
	buf_add(b, fields.data + 1, fields.len - 1);
}

void format_error(const struct format *f, enum code code, const char *text, const void *detail,
		  struct http_response *rs)
{
	rs->status = gateway_status(code);
	rs->n_headers = 0;
	buf_reset(&rs->body);
	http_response_header(rs, "Content-Type", f->content_type);
	if (code == UNAUTHENTICATED)
		http_response_header(rs, "WWW-Authenticate", text);
	if (f->binary) {
		status_pack(code, text, detail, &rs->body);
		return;
	}
	buf_printf(&rs->body, "{\"code\":%d,\"message\":", code);
	buf_json_string(&rs->body, str_of(text));
	buf_adds(&rs->body, ",\"details\":[");
	if (detail)
		add_detail(f, detail, &rs->body);
	buf_adds(&rs->body, "]}");
}
