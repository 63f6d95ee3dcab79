#include "google/protobuf/any.h"
#include "google/protobuf/struct.h"
#include "google/protobuf/wrappers.h"
#include "json/private.h"

static const struct {
	const ProtobufCMessageDescriptor *desc;
	enum special special;
} SPECIALS[] = {
	{PB_TIMESTAMP_DESC, TIMESTAMP},  {PB_DURATION_DESC, DURATION},    {PB_STRUCT_DESC, STRUCT},
	{PB_VALUE_DESC, VALUE},          {PB_LIST_VALUE_DESC, LIST},      {PB_ANY_DESC, ANY},
	{PB_DOUBLE_VALUE_DESC, WRAPPER}, {PB_FLOAT_VALUE_DESC, WRAPPER},  {PB_INT64_VALUE_DESC, WRAPPER},
	{PB_UINT64_VALUE_DESC, WRAPPER}, {PB_INT32_VALUE_DESC, WRAPPER},  {PB_UINT32_VALUE_DESC, WRAPPER},
	{PB_BOOL_VALUE_DESC, WRAPPER},   {PB_STRING_VALUE_DESC, WRAPPER}, {PB_BYTES_VALUE_DESC, WRAPPER},
};

static struct {
	const ProtobufCMessageDescriptor *const *types;
	size_t n;
} known;

void json_know_types(const ProtobufCMessageDescriptor *const *types, size_t n)
{
	known.types = types;
	known.n = n;
}

enum special special_of(const ProtobufCMessageDescriptor *desc)
{
	if (desc->name[0] != 'g')
		return PLAIN;
	for (size_t i = 0; i < ARRAY_SIZE(SPECIALS); i++)
		if (SPECIALS[i].desc == desc)
			return SPECIALS[i].special;
	return PLAIN;
}

const ProtobufCMessageDescriptor *type_of_url(struct str url)
{
	const char *slash = url.len ? memrchr(url.ptr, '/', url.len) : NULL;

	if (!slash)
		return NULL;
	struct str name = {slash + 1, (size_t)(url.ptr + url.len - slash - 1)};
	for (size_t i = 0; i < ARRAY_SIZE(SPECIALS); i++)
		if (str_is(name, SPECIALS[i].desc->name))
			return SPECIALS[i].desc;
	for (size_t i = 0; i < known.n; i++)
		if (str_is(name, known.types[i]->name))
			return known.types[i];
	return NULL;
}

/* Does `name` spell `field` in lowerCamelCase? */
static bool is_camel(const char *field, struct str name)
{
	const char *p = name.ptr, *end = name.ptr + name.len;
	bool up = false;

	for (; *field; field++) {
		if (*field == '_') {
			up = true;
			continue;
		}
		char c = up && *field >= 'a' && *field <= 'z' ? (char)(*field - 'a' + 'A') : *field;
		if (p == end || *p++ != c)
			return false;
		up = false;
	}
	return p == end;
}

const ProtobufCFieldDescriptor *json_field(const ProtobufCMessageDescriptor *desc, struct str name)
{
	for (unsigned i = 0; i < desc->n_fields; i++)
		if (is_camel(desc->fields[i].name, name))
			return &desc->fields[i];
	for (unsigned i = 0; i < desc->n_fields; i++)
		if (str_is(name, desc->fields[i].name))
			return &desc->fields[i];
	return NULL;
}
