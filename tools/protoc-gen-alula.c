/* protoc plugin: short C names, method tables and HTTP routes.
 *
 * For each file a/b.proto it writes
 *   a/b.h         includes a/b.pb-c.h and gives its types short names, where the package prefix `flyteidl.` falls
 *                 away and `google.protobuf` becomes Pb:
 *                   flyteidl.core.LiteralMap -> CoreLiteralMap, CORE_LITERAL_MAP_INIT, CORE_LITERAL_MAP_DESC
 *                   enum values              -> CORE_NODE_EXECUTION_PHASE_RUNNING
 *                   oneof cases              -> CORE_LITERAL_VALUE_SCALAR, CORE_LITERAL_VALUE_NOT_SET
 *                   services                 -> extern const struct pb_service ADMIN_SERVICE_TABLE (see pb/method.h);
 *                                               with the package where that is not flyteidl or alula, as
 *                                               GRPC_HEALTH_V1_HEALTH_TABLE
 *   a/b.alula.c   the service tables with their google.api.http routes, and the file's descriptor for reflection.
 *
 * It only knows how protobuf-c spells names; a spelling it gets wrong does not compile. */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/api/http.pb-c.h"
#include "google/protobuf/compiler/plugin.pb-c.h"

typedef Google__Protobuf__FileDescriptorProto File;
typedef Google__Protobuf__DescriptorProto Message;
typedef Google__Protobuf__EnumDescriptorProto Enum;
typedef Google__Protobuf__ServiceDescriptorProto Service;
typedef Google__Protobuf__MethodDescriptorProto Method;
typedef Google__Protobuf__Compiler__CodeGeneratorRequest Request;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse Response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File OutFile;
typedef Google__Api__HttpRule HttpRule;

enum { HTTP_OPTION = 72295728, NAME_MAX_BYTES = 512 };

/* A spelling of a name; names are short and come from our own files, so a fixed size will do. */
struct name {
	char s[NAME_MAX_BYTES];
};

static void die(const char *what, const char *name)
{
	fprintf(stderr, "protoc-gen-alula: %s: %s\n", what, name);
	exit(1);
}

static void name_add(struct name *n, const char *text)
{
	if (strlen(n->s) + strlen(text) + 1 > sizeof n->s)
		die("name too long", text);
	strcat(n->s, text);
}

static void name_add_char(struct name *n, char c)
{
	name_add(n, (char[]){c, '\0'});
}

/* OAuth2Client -> oauth2_client (or upper case): protobuf-c breaks only where a capital follows a non-capital. */
static void add_snake(struct name *n, const char *text, size_t len, bool upper)
{
	bool was_upper = true;

	for (size_t i = 0; i < len; i++) {
		bool is_upper = isupper((unsigned char)text[i]);
		if (is_upper && !was_upper)
			name_add_char(n, '_');
		name_add_char(n, (char)(upper ? toupper((unsigned char)text[i]) : tolower((unsigned char)text[i])));
		was_upper = is_upper;
	}
}

static void add_camel(struct name *n, const char *text, size_t len)
{
	bool next_upper = true;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '_') {
			next_upper = true;
			continue;
		}
		name_add_char(n, (char)(next_upper ? toupper((unsigned char)text[i]) : text[i]));
		next_upper = false;
	}
}

enum style { CAMEL, LOWER, UPPER };

/* The C spelling that protobuf-c gives a dotted full name. */
static struct name c_name(const char *full, enum style style)
{
	struct name n = {""};

	for (const char *p = full; *p;) {
		size_t len = strcspn(p, ".");
		if (style == CAMEL)
			add_camel(&n, p, len);
		else
			add_snake(&n, p, len, style == UPPER);
		p += len;
		if (*p == '.') {
			name_add(&n, "__");
			p++;
		}
	}
	return n;
}

/* The short spelling: CoreLiteralMap. */
static struct name short_name(const char *full)
{
	struct name n = {""};

	if (strncmp(full, "flyteidl.", 9) == 0)
		full += 9;
	if (strncmp(full, "google.protobuf.", 16) == 0) {
		name_add(&n, "Pb");
		full += 16;
	}
	while (*full) {
		size_t len = strcspn(full, ".");
		add_camel(&n, full, len);
		full += len + (full[len] == '.');
	}
	return n;
}

static struct name short_upper(const char *full)
{
	struct name camel = short_name(full), n = {""};

	add_snake(&n, camel.s, strlen(camel.s), true);
	return n;
}

static struct name join(const char *scope, const char *child)
{
	struct name n = {""};

	name_add(&n, scope);
	if (*scope)
		name_add(&n, ".");
	name_add(&n, child);
	return n;
}

static struct name table_name(const File *f, const Service *s)
{
	if (strncmp(f->package, "flyteidl.", 9) == 0 || strncmp(f->package, "alula.", 6) == 0)
		return c_name(s->name, UPPER);
	return short_upper(join(f->package, s->name).s);
}

/* a/b.proto -> a/b<suffix> */
static struct name file_name(const char *proto, const char *suffix)
{
	struct name n = {""};

	name_add(&n, proto);
	char *dot = strrchr(n.s, '.');
	if (!dot || strcmp(dot, ".proto") != 0)
		die("not a .proto file", proto);
	*dot = '\0';
	name_add(&n, suffix);
	return n;
}

/* a/b.proto -> a_b, for symbols */
static struct name file_symbol(const char *proto)
{
	struct name n = file_name(proto, "");

	for (char *p = n.s; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	return n;
}

static void emit_enum(FILE *out, const char *scope, const Enum *e)
{
	struct name full = join(scope, e->name);
	struct name upper = short_upper(full.s), c_upper = c_name(full.s, UPPER);

	fprintf(out, "\ntypedef %s %s;\n", c_name(full.s, CAMEL).s, short_name(full.s).s);
	fprintf(out, "#define %s_DESC (&%s__descriptor)\n", upper.s, c_name(full.s, LOWER).s);
	for (size_t i = 0; i < e->n_value; i++)
		fprintf(out, "#define %s_%s %s__%s\n", upper.s, e->value[i]->name, c_upper.s, e->value[i]->name);
}

static void emit_oneof(FILE *out, const char *scope, const Message *m, size_t index)
{
	struct name full = join(scope, m->oneof_decl[index]->name);
	struct name upper = short_upper(full.s), c_upper = c_name(full.s, UPPER);

	fprintf(out, "#define %s_NOT_SET %s__NOT_SET\n", upper.s, c_upper.s);
	for (size_t i = 0; i < m->n_field; i++) {
		const Google__Protobuf__FieldDescriptorProto *f = m->field[i];
		struct name field = {""};
		if (!f->has_oneof_index || (size_t)f->oneof_index != index)
			continue;
		add_snake(&field, f->name, strlen(f->name), true);
		fprintf(out, "#define %s_%s %s_%s\n", upper.s, field.s, c_upper.s, field.s);
	}
}

static void emit_message(FILE *out, const char *scope, const Message *m)
{
	struct name full = join(scope, m->name);
	struct name upper = short_upper(full.s);

	fprintf(out, "\ntypedef %s %s;\n", c_name(full.s, CAMEL).s, short_name(full.s).s);
	fprintf(out, "#define %s_INIT %s__INIT\n", upper.s, c_name(full.s, UPPER).s);
	fprintf(out, "#define %s_DESC (&%s__descriptor)\n", upper.s, c_name(full.s, LOWER).s);
	for (size_t i = 0; i < m->n_oneof_decl; i++)
		emit_oneof(out, full.s, m, i);
	for (size_t i = 0; i < m->n_enum_type; i++)
		emit_enum(out, full.s, m->enum_type[i]);
	for (size_t i = 0; i < m->n_nested_type; i++)
		emit_message(out, full.s, m->nested_type[i]);
}

static void emit_header(FILE *out, const File *f)
{
	const char *package = f->package ? f->package : "";

	fprintf(out, "/* Made by protoc-gen-alula from %s. */\n#pragma once\n#include \"%s\"\n", f->name,
		file_name(f->name, ".pb-c.h").s);
	fprintf(out, "#include \"pb/method.h\"\n");
	for (size_t i = 0; i < f->n_dependency; i++)
		fprintf(out, "#include \"%s\"\n", file_name(f->dependency[i], ".h").s);
	for (size_t i = 0; i < f->n_enum_type; i++)
		emit_enum(out, package, f->enum_type[i]);
	for (size_t i = 0; i < f->n_message_type; i++)
		emit_message(out, package, f->message_type[i]);
	fprintf(out, "\nextern const struct pb_file PB_FILE_%s;\n", file_symbol(f->name).s);
	for (size_t i = 0; i < f->n_service; i++)
		fprintf(out, "extern const struct pb_service %s_TABLE;\n", table_name(f, f->service[i]).s);
}

/* ---- tables ---- */

static const char *rule_verb(const HttpRule *r, const char **path)
{
	switch (r->pattern_case) {
	case GOOGLE__API__HTTP_RULE__PATTERN_GET: *path = r->get; return "GET";
	case GOOGLE__API__HTTP_RULE__PATTERN_PUT: *path = r->put; return "PUT";
	case GOOGLE__API__HTTP_RULE__PATTERN_POST: *path = r->post; return "POST";
	case GOOGLE__API__HTTP_RULE__PATTERN_DELETE: *path = r->delete_; return "DELETE";
	case GOOGLE__API__HTTP_RULE__PATTERN_PATCH: *path = r->patch; return "PATCH";
	default: die("http rule without a verb", r->selector); return NULL;
	}
}

static void emit_route(FILE *out, const HttpRule *r)
{
	const char *path = NULL, *verb = rule_verb(r, &path);

	fprintf(out, "\t{\"%s\", \"%s\", \"%s\", \"%s\"},\n", verb, path, r->body, r->response_body);
	for (size_t i = 0; i < r->n_additional_bindings; i++)
		emit_route(out, r->additional_bindings[i]);
}

static HttpRule *method_rule(const Method *m)
{
	if (!m->options)
		return NULL;
	for (unsigned i = 0; i < m->options->base.n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &m->options->base.unknown_fields[i];
		if (u->tag != HTTP_OPTION)
			continue;
		/* The field keeps its length prefix. */
		size_t skip = 0;
		while (skip < u->len && u->data[skip] & 0x80)
			skip++;
		HttpRule *r = google__api__http_rule__unpack(NULL, u->len - skip - 1, u->data + skip + 1);
		if (!r)
			die("http option does not parse", m->name);
		return r;
	}
	return NULL;
}

static size_t emit_routes(FILE *out, const Service *s, const Method *m)
{
	HttpRule *r = method_rule(m);
	if (!r)
		return 0;
	size_t n = 1 + r->n_additional_bindings;
	fprintf(out, "static const struct pb_route %s_%s_routes[] = {\n", s->name, m->name);
	emit_route(out, r);
	fprintf(out, "};\n");
	google__api__http_rule__free_unpacked(r, NULL);
	return n;
}

static void emit_service(FILE *out, const File *f, const Service *s)
{
	size_t *n_routes = calloc(s->n_method + 1, sizeof *n_routes);
	if (!n_routes)
		die("out of memory", s->name);
	for (size_t i = 0; i < s->n_method; i++)
		n_routes[i] = emit_routes(out, s, s->method[i]);

	fprintf(out, "static const struct pb_method %s_methods[] = {\n", s->name);
	for (size_t i = 0; i < s->n_method; i++) {
		const Method *m = s->method[i];
		fprintf(out, "\t{\"%s\", \"/%s.%s/%s\", &%s__descriptor, &%s__descriptor, %s, %s, ", m->name,
			f->package, s->name, m->name, c_name(m->input_type + 1, LOWER).s,
			c_name(m->output_type + 1, LOWER).s, m->client_streaming ? "true" : "false",
			m->server_streaming ? "true" : "false");
		if (n_routes[i])
			fprintf(out, "%s_%s_routes, %zu},\n", s->name, m->name, n_routes[i]);
		else
			fprintf(out, "NULL, 0},\n");
	}
	fprintf(out, "};\nconst struct pb_service %s_TABLE = {\"%s.%s\", &PB_FILE_%s, %s_methods, %zu};\n\n",
		table_name(f, s).s, f->package, s->name, file_symbol(f->name).s, s->name, s->n_method);
	free(n_routes);
}

/* The descriptor travels whole: reflection clients want what protoc made. */
static void emit_file_descriptor(FILE *out, const File *f)
{
	size_t len = google__protobuf__file_descriptor_proto__get_packed_size(f);
	uint8_t *bytes = malloc(len + 1);
	if (!bytes)
		die("out of memory", f->name);
	google__protobuf__file_descriptor_proto__pack(f, bytes);

	fprintf(out, "static const uint8_t bytes[] = {");
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%s%u,", i % 32 ? "" : "\n", bytes[i]);
	fprintf(out, "\n};\n");
	free(bytes);

	for (size_t i = 0; i < f->n_dependency; i++)
		fprintf(out, "extern const struct pb_file PB_FILE_%s;\n", file_symbol(f->dependency[i]).s);
	fprintf(out, "static const struct pb_file *const deps[] = {");
	for (size_t i = 0; i < f->n_dependency; i++)
		fprintf(out, "&PB_FILE_%s, ", file_symbol(f->dependency[i]).s);
	fprintf(out, "NULL};\nconst struct pb_file PB_FILE_%s = {\"%s\", bytes, sizeof bytes, deps};\n\n",
		file_symbol(f->name).s, f->name);
}

static void emit_source(FILE *out, const File *f)
{
	fprintf(out, "/* Made by protoc-gen-alula from %s. */\n#include \"%s\"\n\n", f->name,
		file_name(f->name, ".h").s);
	emit_file_descriptor(out, f);
	for (size_t i = 0; i < f->n_service; i++)
		emit_service(out, f, f->service[i]);
}

/* ---- plumbing ---- */

static OutFile *make_file(const File *f, const char *suffix, void (*emit)(FILE *, const File *))
{
	OutFile *file = malloc(sizeof *file);
	size_t len = 0;

	if (!file)
		die("out of memory", f->name);
	google__protobuf__compiler__code_generator_response__file__init(file);
	file->name = strdup(file_name(f->name, suffix).s);
	FILE *out = open_memstream(&file->content, &len);
	if (!out || !file->name)
		die("out of memory", f->name);
	emit(out, f);
	fclose(out);
	return file;
}

static const File *find_file(const Request *req, const char *name)
{
	for (size_t i = 0; i < req->n_proto_file; i++)
		if (strcmp(req->proto_file[i]->name, name) == 0)
			return req->proto_file[i];
	die("protoc sent no descriptor", name);
	return NULL;
}

static uint8_t *read_all(FILE *in, size_t *len)
{
	uint8_t *data = NULL;
	size_t cap = 0;

	for (*len = 0;;) {
		if (*len == cap && !(data = realloc(data, cap = cap ? cap * 2 : 1 << 16)))
			die("out of memory", "stdin");
		size_t n = fread(data + *len, 1, cap - *len, in);
		if (n == 0)
			return data;
		*len += n;
	}
}

int main(void)
{
	size_t len;
	uint8_t *data = read_all(stdin, &len);
	Request *req = google__protobuf__compiler__code_generator_request__unpack(NULL, len, data);
	if (!req)
		die("this is run by protoc", "stdin is no CodeGeneratorRequest");

	Response res = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
	res.file = calloc(2 * req->n_file_to_generate + 1, sizeof *res.file);
	if (!res.file)
		die("out of memory", "response");
	for (size_t i = 0; i < req->n_file_to_generate; i++) {
		const File *f = find_file(req, req->file_to_generate[i]);
		res.file[res.n_file++] = make_file(f, ".h", emit_header);
		res.file[res.n_file++] = make_file(f, ".alula.c", emit_source);
	}

	len = google__protobuf__compiler__code_generator_response__get_packed_size(&res);
	data = realloc(data, len + 1);
	if (!data)
		die("out of memory", "response");
	google__protobuf__compiler__code_generator_response__pack(&res, data);
	return fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : 1;
}
