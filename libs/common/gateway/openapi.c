/* The Swagger (OpenAPI 2) document of a service, from its descriptors, as protoc-gen-openapiv2 makes them for flyteidl:
 * the same paths, operation ids, parameters and definitions, without the comments, which descriptors do not have.
 * Source: grpc-gateway v2 protoc-gen-openapiv2/internal/genopenapi/template.go. */
#include <ctype.h>

#include "gateway/private.h"

enum { MAX_QUERY_DEPTH = 8 };

/* A definition: one of the two. */
struct definition {
	const ProtobufCMessageDescriptor *message;
	const ProtobufCEnumDescriptor *enumeration;
};

struct document {
	struct buf *b;
	struct map *seen; /* definitions by their name */
	VEC(struct definition) definitions;
};

/* ---- names ---- */

/* "flyteidl.admin.Task" is "adminTask", "flyteidl.admin.Sort.Direction" is "SortDirection". */
static void add_name(struct buf *b, const char *full)
{
	size_t dots = 0, at = strlen(full);

	while (at > 0 && (dots += full[at - 1] == '.') < 2)
		at--;
	for (; full[at]; at++)
		if (full[at] != '.')
			buf_addc(b, full[at]);
}

static void add_ref(struct document *d, const char *full, struct definition definition)
{
	auto_buf struct buf name = {0};

	add_name(&name, full);
	buf_printf(d->b, "\"$ref\":\"#/definitions/%s\"", buf_text(&name));
	if (map_get(d->seen, buf_str(&name)))
		return;
	map_put(d->seen, buf_str(&name), (void *)full);
	vec_push(&d->definitions, definition);
}

/* ---- schemas: what stands within the braces ---- */

static const struct {
	const char *name, *schema;
} SPECIAL[] = {
	{"google.protobuf.Timestamp", "\"type\":\"string\",\"format\":\"date-time\""},
	{"google.protobuf.Duration", "\"type\":\"string\""},
	{"google.protobuf.Struct", "\"type\":\"object\""},
	{"google.protobuf.Value", ""},
	{"google.protobuf.ListValue", "\"type\":\"array\",\"items\":{}"},
	{"google.protobuf.Any", "\"$ref\":\"#/definitions/protobufAny\""},
	{"google.protobuf.BoolValue", "\"type\":\"boolean\""},
	{"google.protobuf.StringValue", "\"type\":\"string\""},
	{"google.protobuf.BytesValue", "\"type\":\"string\",\"format\":\"byte\""},
	{"google.protobuf.DoubleValue", "\"type\":\"number\",\"format\":\"double\""},
	{"google.protobuf.FloatValue", "\"type\":\"number\",\"format\":\"float\""},
	{"google.protobuf.Int64Value", "\"type\":\"string\",\"format\":\"int64\""},
	{"google.protobuf.UInt64Value", "\"type\":\"string\",\"format\":\"uint64\""},
	{"google.protobuf.Int32Value", "\"type\":\"integer\",\"format\":\"int32\""},
	{"google.protobuf.UInt32Value", "\"type\":\"integer\",\"format\":\"int64\""},
};

static const char *special_schema(const ProtobufCMessageDescriptor *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(SPECIAL); i++)
		if (strcmp(m->name, SPECIAL[i].name) == 0)
			return SPECIAL[i].schema;
	return NULL;
}

static const char *scalar_schema(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL: return "\"type\":\"boolean\"";
	case PROTOBUF_C_TYPE_STRING: return "\"type\":\"string\"";
	case PROTOBUF_C_TYPE_BYTES: return "\"type\":\"string\",\"format\":\"byte\"";
	case PROTOBUF_C_TYPE_DOUBLE: return "\"type\":\"number\",\"format\":\"double\"";
	case PROTOBUF_C_TYPE_FLOAT: return "\"type\":\"number\",\"format\":\"float\"";
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: return "\"type\":\"string\",\"format\":\"uint64\"";
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64: return "\"type\":\"string\",\"format\":\"int64\"";
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32: return "\"type\":\"integer\",\"format\":\"int64\"";
	default: return "\"type\":\"integer\",\"format\":\"int32\"";
	}
}

static void add_enum(struct buf *b, const ProtobufCEnumDescriptor *e)
{
	buf_adds(b, "\"type\":\"string\",\"enum\":[");
	for (unsigned i = 0; i < e->n_values; i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", e->values[i].name);
	buf_printf(b, "],\"default\":\"%s\"", e->values[0].name);
}

/* One value of the field, whatever its label. */
static void add_value(struct document *d, const ProtobufCFieldDescriptor *f)
{
	const char *special = f->type == PROTOBUF_C_TYPE_MESSAGE ? special_schema(f->descriptor) : NULL;

	if (special)
		buf_adds(d->b, special);
	else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		add_ref(d, ((const ProtobufCMessageDescriptor *)f->descriptor)->name,
			(struct definition){.message = f->descriptor});
	else if (f->type == PROTOBUF_C_TYPE_ENUM)
		add_ref(d, ((const ProtobufCEnumDescriptor *)f->descriptor)->name,
			(struct definition){.enumeration = f->descriptor});
	else
		buf_adds(d->b, scalar_schema(f->type));
}

/* A reference to a message. */
static bool is_object(const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_MESSAGE && !special_schema(f->descriptor);
}

static void add_field(struct document *d, const ProtobufCFieldDescriptor *f)
{
	bool map = pb_field_is_map(f), many = f->label == PROTOBUF_C_LABEL_REPEATED;

	if (map)
		buf_adds(d->b, "\"type\":\"object\",\"additionalProperties\":{");
	else if (many)
		buf_adds(d->b, is_object(f) ? "\"type\":\"array\",\"items\":{\"type\":\"object\","
					    : "\"type\":\"array\",\"items\":{");
	add_value(d, map ? &((const ProtobufCMessageDescriptor *)f->descriptor)->fields[1] : f);
	if (map || many)
		buf_addc(d->b, '}');
}

static void add_definition(struct document *d, struct definition definition)
{
	const ProtobufCMessageDescriptor *m = definition.message;

	buf_addc(d->b, '"');
	add_name(d->b, m ? m->name : definition.enumeration->name);
	buf_adds(d->b, "\":{");
	if (!m) {
		add_enum(d->b, definition.enumeration);
		buf_addc(d->b, '}');
		return;
	}
	buf_adds(d->b, "\"type\":\"object\"");
	if (m->n_fields)
		buf_adds(d->b, ",\"properties\":{");
	for (unsigned i = 0; i < m->n_fields; i++) {
		buf_printf(d->b, "%s\"%s\":{", i ? "," : "", m->fields[i].name);
		add_field(d, &m->fields[i]);
		buf_addc(d->b, '}');
	}
	buf_adds(d->b, m->n_fields ? "}}" : "}");
}

/* ---- parameters ---- */

struct parameters {
	struct document *d;
	const struct pb_route *route;
	size_t n;
};

static void begin_parameter(struct parameters *p, const char *name, const char *in, bool required)
{
	buf_printf(p->d->b, "%s{\"name\":\"%s\",\"in\":\"%s\",\"required\":%s", p->n++ ? "," : "", name, in,
		   required ? "true" : "false");
}

/* Is the field named in the path's braces? */
static bool in_path(const struct pb_route *route, const char *field)
{
	size_t len = strlen(field);

	for (const char *at = route->path; (at = strchr(at, '{')); at++)
		if (strncmp(at + 1, field, len) == 0 && (at[1 + len] == '}' || at[1 + len] == '='))
			return true;
	return false;
}

/* A parameter's schema stands in it, enums too. */
static void add_inline(struct document *d, const ProtobufCFieldDescriptor *f)
{
	if (f->type == PROTOBUF_C_TYPE_ENUM)
		add_enum(d->b, f->descriptor);
	else
		add_value(d, f);
}

static void add_parameter(struct parameters *p, const ProtobufCFieldDescriptor *f, const char *name, bool of_path)
{
	bool many = f->label == PROTOBUF_C_LABEL_REPEATED;

	begin_parameter(p, name, of_path ? "path" : "query", of_path);
	buf_adds(p->d->b, many ? ",\"type\":\"array\",\"items\":{" : ",");
	add_inline(p->d, f);
	buf_adds(p->d->b, many ? "},\"collectionFormat\":\"multi\"}" : "}");
}

static bool is_text(const ProtobufCFieldDescriptor *f)
{
	return f->type != PROTOBUF_C_TYPE_MESSAGE || special_schema(f->descriptor);
}

static void add_fields(struct parameters *p, const ProtobufCMessageDescriptor *m, const char *prefix, bool of_path,
		       int depth)
{
	for (unsigned i = 0; depth > 0 && i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->fields[i];
		bool top = !*prefix, many = f->label == PROTOBUF_C_LABEL_REPEATED;
		auto_buf struct buf name = {0};
		buf_printf(&name, "%s%s", prefix, f->name);
		if (pb_field_is_map(f) || (many && !is_text(f)) || (top && strcmp(p->route->body, f->name) == 0))
			continue;
		if (!is_text(f)) {
			buf_addc(&name, '.');
			add_fields(p, f->descriptor, buf_text(&name), of_path, depth - 1);
		} else if (in_path(p->route, buf_text(&name)) == of_path) {
			add_parameter(p, f, buf_text(&name), of_path);
		}
	}
}

static void add_body(struct parameters *p, const ProtobufCMessageDescriptor *in)
{
	const char *body = p->route->body;

	if (!*body)
		return;
	begin_parameter(p, "body", "body", true);
	buf_adds(p->d->b, ",\"schema\":{");
	if (strcmp(body, "*") == 0)
		add_ref(p->d, in->name, (struct definition){.message = in});
	else
		add_value(p->d, json_field(in, str_of(body)));
	buf_adds(p->d->b, "}}");
}

/* ---- operations ---- */

static void add_operation(struct document *d, const char *service, const struct pb_method *m, size_t route)
{
	struct parameters p = {.d = d, .route = &m->routes[route]};

	buf_addc(d->b, '"');
	for (const char *c = p.route->verb; *c; c++)
		buf_addc(d->b, (char)tolower((unsigned char)*c));
	buf_printf(d->b, "\":{\"operationId\":\"%s_%s", service, m->name);
	if (route)
		buf_printf(d->b, "%zu", route + 1);
	buf_adds(d->b, "\",\"responses\":{\"200\":{\"description\":\"A successful response.\",\"schema\":{");
	add_ref(d, m->out->name, (struct definition){.message = m->out});
	buf_adds(d->b, "}},\"default\":{\"description\":\"An unexpected error response.\",\"schema\":"
		       "{\"$ref\":\"#/definitions/googlerpcStatus\"}}},\"parameters\":[");
	add_fields(&p, m->in, "", true, MAX_QUERY_DEPTH);
	add_body(&p, m->in);
	if (strcmp(p.route->body, "*") != 0)
		add_fields(&p, m->in, "", false, MAX_QUERY_DEPTH);
	buf_printf(d->b, "],\"tags\":[\"%s\"]}", service);
}

/* "{id.name=**}" is "{id.name}". */
static void add_path(struct buf *b, const char *path)
{
	bool pattern = false;

	for (; *path; path++) {
		pattern = (pattern || *path == '=') && *path != '}';
		if (!pattern)
			buf_addc(b, *path);
	}
}

static bool is_first(const struct pb_service *s, size_t method, size_t route, const char *path)
{
	for (size_t i = 0; i <= method; i++)
		for (size_t k = 0; k < s->methods[i].n_routes; k++) {
			if (i == method && k == route)
				return true;
			if (strcmp(s->methods[i].routes[k].path, path) == 0)
				return false;
		}
	return true;
}

/* All verbs of one path. */
static void add_operations(struct document *d, const struct pb_service *s, const char *service, const char *path)
{
	bool any = false;

	for (size_t i = 0; i < s->n_methods; i++)
		for (size_t k = 0; k < s->methods[i].n_routes; k++) {
			if (strcmp(s->methods[i].routes[k].path, path) != 0)
				continue;
			buf_adds(d->b, any ? "," : "");
			add_operation(d, service, &s->methods[i], k);
			any = true;
		}
}

static void add_paths(struct document *d, const struct pb_service *s, const char *service)
{
	bool any = false;

	for (size_t i = 0; i < s->n_methods; i++)
		for (size_t k = 0; k < s->methods[i].n_routes; k++) {
			const char *path = s->methods[i].routes[k].path;
			if (!is_first(s, i, k, path))
				continue;
			buf_adds(d->b, any ? ",\"" : "\"");
			add_path(d->b, path);
			buf_adds(d->b, "\":{");
			add_operations(d, s, service, path);
			buf_addc(d->b, '}');
			any = true;
		}
}

/* ---- the document ---- */

void openapi_add(struct buf *b, const struct pb_service *s)
{
	struct document d = {.b = b, .seen = map_new()};
	const char *service = strrchr(s->name, '.') ? strrchr(s->name, '.') + 1 : s->name;

	buf_printf(b,
		   "{\"swagger\":\"2.0\",\"info\":{\"title\":\"%s\",\"version\":\"version not set\"},"
		   "\"tags\":[{\"name\":\"%s\"}],\"consumes\":[\"application/json\"],"
		   "\"produces\":[\"application/json\"],\"paths\":{",
		   s->file->name, service);
	add_paths(&d, s, service);
	buf_adds(b, "},\"definitions\":{");
	for (size_t i = 0; i < d.definitions.n; i++) {
		add_definition(&d, d.definitions.at[i]);
		buf_addc(b, ',');
	}
	buf_adds(b, "\"googlerpcStatus\":{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"integer\","
		    "\"format\":\"int32\"},\"message\":{\"type\":\"string\"},\"details\":{\"type\":\"array\",\"items\":"
		    "{\"$ref\":\"#/definitions/protobufAny\"}}}},\"protobufAny\":{\"type\":\"object\",\"properties\":"
		    "{\"@type\":{\"type\":\"string\"}},\"additionalProperties\":{}}}}");
	vec_free(&d.definitions);
	map_free(d.seen);
}

/* "flyteidl/service/admin.proto" is called "admin". */
static bool is_called(const struct pb_service *s, struct str name)
{
	const char *slash = strrchr(s->file->name, '/'), *base = slash ? slash + 1 : s->file->name;

	return name.len == strcspn(base, ".") && strncmp(base, name.ptr, name.len) == 0;
}

bool gateway_openapi(const struct gateway *g, const char *name, struct http_response *rs)
{
	size_t n;
	struct str wanted = str_of(name), suffix = STR(".swagger.json");
	const struct pb_service *const *services = api_services(gateway_api(g), &n);

	if (str_ends(wanted, suffix.ptr))
		wanted.len -= suffix.len;
	for (size_t i = 0; i < n; i++) {
		if (!is_called(services[i], wanted))
			continue;
		openapi_add(&rs->body, services[i]);
		http_response_header(rs, "Content-Type", "application/json");
		return true;
	}
	return false;
}
