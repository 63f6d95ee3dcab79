#include "offload.h"

#include <stdio.h>

#include "base/base.h"
#include "catalog_key.h"
#include "flyte/types.h"
#include "packed.h"
#include "pb/pb.h"

enum { MIB = 1 << 20, MAX_VARIABLES = 100000, VERSION_PARTS = 3 };

/* ---- writing ---- */

static enum code make_offloaded(const struct propeller *p, const char *var, struct str literal, const char *uri,
				struct arena *a, CoreLiteral **ret, struct err *err)
{
	const char *slash = strrchr(uri, '/');
	char *file = arena_printf(a, "%.*s/%s_offloaded_metadata.pb", (int)(slash - uri), uri, var);
	CoreLiteral *whole, *l = pb_new(a, CORE_LITERAL_DESC);
	enum code c = pb_unpack(CORE_LITERAL_DESC, literal, a, (void **)&whole, err);

	if (c)
		return err_prefix(err, INVALID_ARGUMENT, "output %s: ", var);
	l->value_case = CORE_LITERAL_VALUE_OFFLOADED_METADATA;
	l->offloaded_metadata = pb_new(a, CORE_LITERAL_OFFLOADED_METADATA_DESC);
	l->offloaded_metadata->uri = file;
	l->offloaded_metadata->size_bytes = literal.len;
	l->offloaded_metadata->inferred_type = (CoreLiteralType *)literal_type(whole, a);
	l->hash = whole->hash;
	if (!l->offloaded_metadata->inferred_type)
		return err_set(err, INVALID_ARGUMENT, "failed to determine literal type for offloaded literal");
	c = *l->hash ? OK : catalog_message_hash(whole, a, &l->hash, err);
	if (!c)
		c = store_put(p->store, file, literal, err);
	*ret = l;
	return c;
}

static void add_entry(struct buf *b, const char *var, struct str literal)
{
	packed_add_head(b, 1, packed_field_size(strlen(var)) + packed_field_size(literal.len));
	packed_add_head(b, 1, strlen(var));
	buf_adds(b, var);
	packed_add_head(b, 2, literal.len);
	buf_add_str(b, literal);
}

static enum code add_output(const struct propeller *p, const char *var, struct str literal, const char *uri,
			    struct buf *b, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	int64_t size_mb = (int64_t)(literal.len / MIB), most = p->config->offload_max_mb;
	CoreLiteral *offloaded = NULL;

	if (size_mb >= most)
		return err_set(err, RESOURCE_EXHAUSTED,
			       "literal size [%lld] MB is larger than the max size [%lld] MB for offloading",
			       (long long)size_mb, (long long)most);
	if (size_mb < p->config->offload_min_mb) {
		add_entry(b, var, literal);
		return OK;
	}
	enum code c = make_offloaded(p, var, literal, uri, a, &offloaded, err);
	if (!c)
		add_entry(b, var, pb_pack(offloaded, a));
	return c;
}

enum code offload_outputs(const struct propeller *p, struct str packed, const char *uri, struct buf *ret,
			  struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	char **vars;
	size_t n = packed_keys(packed, a, MAX_VARIABLES, &vars);
	enum code c = OK;

	for (size_t i = 0; !c && i < n; i++) {
		struct str literal;
		if (packed_key(packed, vars[i], &literal))
			c = add_output(p, vars[i], literal, uri, ret, err);
	}
	return c;
}

/* ---- who can read them ---- */

static bool has_offloaded(struct str packed)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct str literal, body;
	char **vars;
	int kind;

	size_t n = packed_keys(packed, a, MAX_VARIABLES, &vars);
	for (size_t i = 0; i < n; i++)
		if (packed_key(packed, vars[i], &literal) && packed_open(literal, &kind, &body) &&
		    kind == CORE_LITERAL_VALUE_OFFLOADED_METADATA)
			return true;
	return false;
}

/* The first three numbers with dots between them: 1.13.14 of "v1.13.14b0". */
static bool read_version(const char *text, unsigned ret[VERSION_PARTS])
{
	for (; *text; text++)
		if (sscanf(text, "%9u.%9u.%9u", &ret[0], &ret[1], &ret[2]) == VERSION_PARTS)
			return true;
	return false;
}

static bool is_supported(const char *version, const char *least)
{
	unsigned v[VERSION_PARTS], l[VERSION_PARTS];

	if (!read_version(version, v) || !read_version(least, l))
		return false;
	for (size_t i = 0; i < VERSION_PARTS; i++)
		if (v[i] != l[i])
			return v[i] > l[i];
	return true;
}

static const char *least_version(const struct propeller_config *config, const char *sdk)
{
	for (size_t i = 0; i < config->offload_sdks.n; i++)
		if (strcmp(config->offload_sdks.at[i].key, sdk) == 0)
			return config->offload_sdks.at[i].value;
	return "";
}

enum code offload_check(const struct propeller_config *config, const char *task, const CoreRuntimeMetadata *runtime,
			struct str packed, const char **ret_code, struct err *err)
{
	static const CoreRuntimeMetadata NOTHING = CORE_RUNTIME_METADATA_INIT;
	const CoreRuntimeMetadata *r = runtime ? runtime : &NOTHING;
	const char *sdk = r->type == CORE_RUNTIME_METADATA_RUNTIME_TYPE_FLYTE_SDK ? "FLYTE_SDK" : "OTHER";
	const char *least = least_version(config, sdk);

	if (is_supported(r->version, least) || !has_offloaded(packed))
		return OK;
	*ret_code = config->offload_enabled ? "LiteralOffloadingNotSupported" : "LiteralOffloadingDisabled";
	if (!config->offload_enabled)
		return err_set(err, FAILED_PRECONDITION,
			       "task [%s] is trying to consume offloaded literals but feature is not enabled", task);
	return err_set(err, FAILED_PRECONDITION,
		       "Literal offloading is not supported for this task as its registered with SDK version [%s] "
		       "which is less than the least supported version [%s] for this feature",
		       r->version, least);
}
