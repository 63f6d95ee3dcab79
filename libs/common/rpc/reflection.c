/* grpc.reflection, v1 and v1alpha: the same messages under two names. The descriptors come from the service tables;
 * they are unpacked only while a question is answered, so that reflection costs no memory.
 * Source: grpc doc/server-reflection.md. */
#include "grpc/reflection/v1/reflection.h"
#include "google/protobuf/descriptor.h"
#include "grpc/health/v1/health.h"
#include "grpc/reflection/v1alpha/reflection.h"
#include "rpc/server.h"

typedef GrpcReflectionV1ServerReflectionRequest Request;
typedef GrpcReflectionV1ServerReflectionResponse Response;

/* ---- files ---- */

static const struct pb_service *const builtin_services[] = {
	&GRPC_HEALTH_V1_HEALTH_TABLE,
	&GRPC_REFLECTION_V1_SERVER_REFLECTION_TABLE,
	&GRPC_REFLECTION_V1ALPHA_SERVER_REFLECTION_TABLE,
};

static void add_file(struct rpc_server *s, const struct pb_file *file)
{
	vec_each (const struct pb_file **, f, &s->files)
		if (*f == file)
			return;
	vec_push(&s->files, file);
}

void reflection_init(struct rpc_server *s)
{
	const struct pb_service *const *services;
	size_t n;

	services = api_services(s->options.api, &n);
	for (size_t i = 0; i < n; i++)
		add_file(s, services[i]->file);
	for (size_t i = 0; i < ARRAY_SIZE(builtin_services); i++)
		add_file(s, builtin_services[i]->file);
	for (size_t i = 0; i < s->files.n; i++)
		for (const struct pb_file *const *dep = s->files.at[i]->deps; *dep; dep++)
			add_file(s, *dep);
}

static PbFileDescriptorProto *unpack_file(const struct pb_file *file, struct arena *a)
{
	struct str bytes = {(const char *)file->descriptor, file->len};
	void *ret = NULL;

	return pb_unpack_own(PB_FILE_DESCRIPTOR_PROTO_DESC, bytes, a, &ret, NULL) == OK ? ret : NULL;
}

/* ---- symbols: each function takes what is left of the dotted name ---- */

/* "b.C" for name "a.b.C" and prefix "a"; NULL if it does not begin so. */
static const char *after(const char *name, const char *prefix)
{
	size_t len = prefix ? strlen(prefix) : 0;

	if (len == 0)
		return name;
	if (strncmp(name, prefix, len) != 0)
		return NULL;
	if (name[len] == '\0')
		return "";
	return name[len] == '.' ? name + len + 1 : NULL;
}

static bool enum_has(const PbEnumDescriptorProto *e, const char *name)
{
	const char *rest = after(name, e->name);

	return rest && !*rest;
}

static bool message_has(const PbDescriptorProto *m, const char *name)
{
	const char *rest = after(name, m->name);

	if (!rest || !*rest)
		return rest != NULL;
	for (size_t i = 0; i < m->n_field; i++)
		if (strcmp(m->field[i]->name, rest) == 0)
			return true;
	for (size_t i = 0; i < m->n_enum_type; i++)
		if (enum_has(m->enum_type[i], rest))
			return true;
	for (size_t i = 0; i < m->n_nested_type; i++)
		if (message_has(m->nested_type[i], rest))
			return true;
	return false;
}

static bool service_has(const PbServiceDescriptorProto *s, const char *name)
{
	const char *rest = after(name, s->name);

	if (!rest || !*rest)
		return rest != NULL;
	for (size_t i = 0; i < s->n_method; i++)
		if (strcmp(s->method[i]->name, rest) == 0)
			return true;
	return false;
}

static bool file_has_symbol(const PbFileDescriptorProto *f, const void *symbol)
{
	const char *rest = after(symbol, f->package ? f->package : "");

	if (!rest || !*rest)
		return false;
	for (size_t i = 0; i < f->n_service; i++)
		if (service_has(f->service[i], rest))
			return true;
	for (size_t i = 0; i < f->n_message_type; i++)
		if (message_has(f->message_type[i], rest))
			return true;
	for (size_t i = 0; i < f->n_enum_type; i++)
		if (enum_has(f->enum_type[i], rest))
			return true;
	for (size_t i = 0; i < f->n_extension; i++)
		if (strcmp(f->extension[i]->name, rest) == 0)
			return true;
	return false;
}

static bool extends(const PbFieldDescriptorProto *x, const char *type)
{
	return x->extendee && strcmp(x->extendee + (x->extendee[0] == '.'), type) == 0;
}

static bool file_has_extension(const PbFileDescriptorProto *f, const void *wanted)
{
	const GrpcReflectionV1ExtensionRequest *x = wanted;

	for (size_t i = 0; i < f->n_extension; i++)
		if (extends(f->extension[i], x->containing_type) && f->extension[i]->number == x->extension_number)
			return true;
	return false;
}

static const struct pb_file *find_file(struct rpc_server *s, struct arena *a,
				       bool (*has)(const PbFileDescriptorProto *, const void *), const void *wanted)
{
	for (size_t i = 0; i < s->files.n; i++) {
		const PbFileDescriptorProto *f = unpack_file(s->files.at[i], a);
		if (f && has(f, wanted))
			return s->files.at[i];
	}
	return NULL;
}

/* ---- answers ---- */

static void answer_error(struct arena *a, Response *ret, enum code code, const char *text)
{
	ret->message_response_case = GRPC_REFLECTION_V1_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_ERROR_RESPONSE;
	ret->error_response = pb_new(a, GRPC_REFLECTION_V1_ERROR_RESPONSE_DESC);
	ret->error_response->error_code = (int32_t)code;
	ret->error_response->error_message = (char *)text;
}

/* The file and all that it needs, itself first. */
static void answer_file(struct arena *a, Response *ret, const struct pb_file *file, const char *wanted)
{
	GrpcReflectionV1FileDescriptorResponse *out = pb_new(a, GRPC_REFLECTION_V1_FILE_DESCRIPTOR_RESPONSE_DESC);
	VEC(const struct pb_file *) files = {0};

	if (!file) {
		answer_error(a, ret, NOT_FOUND, arena_printf(a, "%s not found", wanted));
		return;
	}
	vec_push(&files, file);
	for (size_t i = 0; i < files.n; i++) {
		*PB_ADD(a, out->file_descriptor_proto, out->n_file_descriptor_proto) =
			(ProtobufCBinaryData){files.at[i]->len, (uint8_t *)files.at[i]->descriptor};
		for (const struct pb_file *const *dep = files.at[i]->deps; *dep; dep++) {
			size_t known = 0;
			while (known < files.n && files.at[known] != *dep)
				known++;
			if (known == files.n)
				vec_push(&files, *dep);
		}
	}
	vec_free(&files);
	ret->message_response_case =
		GRPC_REFLECTION_V1_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	ret->file_descriptor_response = out;
}

static void by_filename(struct rpc_server *s, struct arena *a, const Request *in, Response *ret)
{
	const struct pb_file *found = NULL;

	for (size_t i = 0; i < s->files.n && !found; i++)
		if (strcmp(s->files.at[i]->name, in->file_by_filename) == 0)
			found = s->files.at[i];
	answer_file(a, ret, found, in->file_by_filename);
}

static void by_symbol(struct rpc_server *s, struct arena *a, const Request *in, Response *ret)
{
	const char *symbol = in->file_containing_symbol;

	answer_file(a, ret, find_file(s, a, file_has_symbol, symbol), symbol);
}

static void by_extension(struct rpc_server *s, struct arena *a, const Request *in, Response *ret)
{
	const GrpcReflectionV1ExtensionRequest *x = in->file_containing_extension;

	answer_file(a, ret, find_file(s, a, file_has_extension, x),
		    arena_printf(a, "extension %d of %s", x->extension_number, x->containing_type));
}

static void list_extensions(struct rpc_server *s, struct arena *a, const Request *in, Response *ret)
{
	GrpcReflectionV1ExtensionNumberResponse *out = pb_new(a, GRPC_REFLECTION_V1_EXTENSION_NUMBER_RESPONSE_DESC);

	out->base_type_name = in->all_extension_numbers_of_type;
	for (size_t i = 0; i < s->files.n; i++) {
		const PbFileDescriptorProto *f = unpack_file(s->files.at[i], a);
		for (size_t k = 0; f && k < f->n_extension; k++)
			if (extends(f->extension[k], out->base_type_name))
				*PB_ADD(a, out->extension_number, out->n_extension_number) = f->extension[k]->number;
	}
	ret->message_response_case =
		GRPC_REFLECTION_V1_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
	ret->all_extension_numbers_response = out;
}

static void add_service(struct arena *a, GrpcReflectionV1ListServiceResponse *out, const struct pb_service *service)
{
	GrpcReflectionV1ServiceResponse *entry = pb_new(a, GRPC_REFLECTION_V1_SERVICE_RESPONSE_DESC);

	entry->name = (char *)service->name;
	*PB_ADD(a, out->service, out->n_service) = entry;
}

static void list_services(struct rpc_server *s, struct arena *a, const Request *in, Response *ret)
{
	GrpcReflectionV1ListServiceResponse *out = pb_new(a, GRPC_REFLECTION_V1_LIST_SERVICE_RESPONSE_DESC);
	const struct pb_service *const *services;
	size_t n;

	(void)in;
	services = api_services(s->options.api, &n);
	for (size_t i = 0; i < n; i++)
		add_service(a, out, services[i]);
	for (size_t i = 0; i < ARRAY_SIZE(builtin_services); i++)
		add_service(a, out, builtin_services[i]);
	ret->message_response_case =
		GRPC_REFLECTION_V1_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	ret->list_services_response = out;
}

/* ---- the stream ---- */

typedef void (*answer_fn)(struct rpc_server *, struct arena *, const Request *, Response *);
#define CASE(name) GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_##name

static const answer_fn answers[] = {
	[CASE(FILE_BY_FILENAME)] = by_filename,
	[CASE(FILE_CONTAINING_SYMBOL)] = by_symbol,
	[CASE(FILE_CONTAINING_EXTENSION)] = by_extension,
	[CASE(ALL_EXTENSION_NUMBERS_OF_TYPE)] = list_extensions,
	[CASE(LIST_SERVICES)] = list_services,
};

static void take_request(struct worker *w, struct stream *st, const void *message)
{
	const Request *in = message;
	Response *out = pb_new(w->arena, GRPC_REFLECTION_V1_SERVER_REFLECTION_RESPONSE_DESC);
	size_t which = (size_t)in->message_request_case;

	out->valid_host = in->host;
	out->original_request = (Request *)in;
	if (which < ARRAY_SIZE(answers) && answers[which])
		answers[which](st->server, w->arena, in, out);
	else
		answer_error(w->arena, out, INVALID_ARGUMENT, "the request asks for nothing known");
	stream_send(st, out);
}

const struct stream_handler reflection_v1 = {
	.path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
	.in = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_DESC,
	.message = take_request,
	.sent = stream_receive,
};

const struct stream_handler reflection_v1alpha = {
	.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	.in = GRPC_REFLECTION_V1_SERVER_REFLECTION_REQUEST_DESC,
	.message = take_request,
	.sent = stream_receive,
};
