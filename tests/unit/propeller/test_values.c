/* Putting values together: places in files, attribute paths into them, offloaded literals, what the engine may see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "descriptors.h"
#include "engine/attribute.h"
#include "flyte/types.h"
#include "offload.h"
#include "packed.h"
#include "pb/pb.h"
#include "store/store.h"
#include "values.h"

static char root[64];
static struct store *store;
static struct arena *a;

static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/alula-values-XXXXXX");
	assert_non_null(mkdtemp(root));
	struct store_options options = {.type = "file", .root = root};
	struct err err;
	assert_int_equal(store_new(&options, &store, &err), OK);
	a = arena_new(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	arena_free(a);
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

/* ---- literals ---- */

static CoreLiteral *number(int64_t n)
{
	CoreLiteral *l = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_INTEGER);

	l->scalar->primitive->integer = n;
	return l;
}

static CoreLiteral *numbers(int64_t first, size_t n)
{
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);

	l->value_case = CORE_LITERAL_VALUE_COLLECTION;
	l->collection = pb_new(a, CORE_LITERAL_COLLECTION_DESC);
	l->collection->literals = arena_array(a, CoreLiteral *, n);
	l->collection->n_literals = n;
	for (size_t i = 0; i < n; i++)
		l->collection->literals[i] = number(first + (int64_t)i);
	return l;
}

static CoreLiteral *map_of(const char *key, CoreLiteral *value)
{
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);
	CoreLiteralMapLiteralsEntry *e = pb_new(a, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);

	l->value_case = CORE_LITERAL_VALUE_MAP;
	l->map = pb_new(a, CORE_LITERAL_MAP_DESC);
	e->key = arena_strdup(a, key);
	e->value = value;
	*PB_ADD(a, l->map->literals, l->map->n_literals) = e;
	return l;
}

static CoreLiteral *union_of(CoreLiteral *value)
{
	CoreLiteral *l = literal_of_scalar(a, CORE_SCALAR_VALUE_UNION);

	l->scalar->union_ = pb_new(a, CORE_UNION_DESC);
	l->scalar->union_->value = value;
	return l;
}

static CoreLiteral *binary(const char *tag, const char *bytes, size_t len)
{
	CoreLiteral *l = union_of(NULL);

	l->scalar->value_case = CORE_SCALAR_VALUE_BINARY;
	l->scalar->binary = pb_new(a, CORE_BINARY_DESC);
	l->scalar->binary->tag = arena_strdup(a, tag);
	l->scalar->binary->value.data = arena_dup(a, bytes, len);
	l->scalar->binary->value.len = len;
	return l;
}

static PbValue *json(int kind)
{
	PbValue *v = pb_new(a, PB_VALUE_DESC);

	v->kind_case = (unsigned)kind;
	return v;
}

/* {"x": {"ys": [1.5, null, true]}} */
static CoreLiteral *generic(void)
{
	CoreLiteral *l = union_of(NULL);
	PbValue *list = json(PB_VALUE_KIND_LIST_VALUE), *inner = json(PB_VALUE_KIND_STRUCT_VALUE),
		*n = json(PB_VALUE_KIND_NUMBER_VALUE), *yes = json(PB_VALUE_KIND_BOOL_VALUE);
	PbStructFieldsEntry *x = pb_new(a, PB_STRUCT_FIELDS_ENTRY_DESC), *ys = pb_new(a, PB_STRUCT_FIELDS_ENTRY_DESC);

	n->number_value = 1.5;
	yes->bool_value = true;
	list->list_value = pb_new(a, PB_LIST_VALUE_DESC);
	*PB_ADD(a, list->list_value->values, list->list_value->n_values) = n;
	*PB_ADD(a, list->list_value->values, list->list_value->n_values) = json(PB_VALUE_KIND_NULL_VALUE);
	*PB_ADD(a, list->list_value->values, list->list_value->n_values) = yes;
	inner->struct_value = pb_new(a, PB_STRUCT_DESC);
	ys->key = "ys";
	ys->value = list;
	*PB_ADD(a, inner->struct_value->fields, inner->struct_value->n_fields) = ys;
	l->scalar->value_case = CORE_SCALAR_VALUE_GENERIC;
	l->scalar->generic = pb_new(a, PB_STRUCT_DESC);
	x->key = "x";
	x->value = inner;
	*PB_ADD(a, l->scalar->generic->fields, l->scalar->generic->n_fields) = x;
	return l;
}

/* ---- files ---- */

static const char *uri_of(const char *name)
{
	return arena_printf(a, "%s/%s", root, name);
}

static CoreLiteral *offloaded(const char *name)
{
	CoreLiteral *l = pb_new(a, CORE_LITERAL_DESC);

	l->value_case = CORE_LITERAL_VALUE_OFFLOADED_METADATA;
	l->offloaded_metadata = pb_new(a, CORE_LITERAL_OFFLOADED_METADATA_DESC);
	l->offloaded_metadata->uri = (char *)uri_of(name);
	return l;
}

static void put(const char *name, const void *message)
{
	struct err err;

	assert_int_equal(store_put(store, uri_of(name), pb_pack(message, a), &err), OK);
}

/* Steps as "key" or "3", separated by '.'. */
static const struct value_path *path_of(const char *text)
{
	struct value_path *path = arena_new_of(a, struct value_path);
	const CorePromiseAttribute **steps = NULL;
	size_t n = 0;
	char *rest = arena_strdup(a, text);

	for (char *part; (part = strsep(&rest, "."));) {
		CorePromiseAttribute *s = pb_new(a, CORE_PROMISE_ATTRIBUTE_DESC);
		bool index = (*part >= '0' && *part <= '9') || *part == '-';
		s->value_case =
			index ? CORE_PROMISE_ATTRIBUTE_VALUE_INT_VALUE : CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE;
		if (index)
			s->int_value = atoi(part);
		else
			s->string_value = part;
		*PB_ADD(a, steps, n) = s;
	}
	*path = (struct value_path){"n0", "o0", (uint32_t)n, steps};
	return path;
}

static struct value_ref at(const char *file, const char *var, const char *path)
{
	return (struct value_ref){.var = "v",
				  .kind = VALUE_STORED,
				  .uri = uri_of(file),
				  .uri_var = var,
				  .path = path ? path_of(path) : NULL};
}

/* ---- what comes out ---- */

struct outcome {
	_Atomic int done;
	enum code code;
	CoreLiteralMap *map;
	struct err err;
};

static void on_values(void *arg, enum code code, struct str literals, const struct err *err)
{
	struct outcome *o = arg;

	o->code = code;
	o->err = *err;
	if (!code)
		o->code = pb_unpack(CORE_LITERAL_MAP_DESC, literals, a, (void **)&o->map, &o->err);
	o->done = 1;
}

static struct outcome collect(const struct value_ref *values, size_t n, size_t max_bytes)
{
	struct outcome o = {0};

	values_collect(store, values, n, max_bytes, on_values, &o);
	while (!o.done)
		usleep(100);
	return o;
}

static const CoreLiteral *value(struct value_ref v)
{
	struct outcome o = collect(&v, 1, 1 << 20);

	assert_int_equal(o.code, OK);
	assert_int_equal(o.map->n_literals, 1);
	assert_string_equal(o.map->literals[0]->key, "v");
	return o.map->literals[0]->value;
}

static int64_t integer(struct value_ref v)
{
	const CoreLiteral *l = value(v);

	assert_int_equal(l->value_case, CORE_LITERAL_VALUE_SCALAR);
	return l->scalar->primitive->integer;
}

static void assert_error(struct value_ref v, enum code code, const char *text)
{
	struct outcome o = collect(&v, 1, 1 << 20);

	assert_int_equal(o.code, code);
	if (!strstr(o.err.text, text))
		fail_msg("'%s' lacks '%s'", o.err.text, text);
}

/* ---- tests ---- */

static void test_nesting(void **state)
{
	(void)state;
	put("f", map_of("o0", numbers(5, 3))->map);
	struct value_ref items[] = {at("f", "o0", "2"), {.var = "lit", .literal = number(1)}, at("f", "o0", NULL)};
	struct value_ref list = {.var = "list", .kind = VALUE_COLLECTION, .items = items, .n_items = 3};
	struct value_ref values[] = {list, {.var = "map", .kind = VALUE_MAP, .items = items, .n_items = 2}};
	struct outcome o = collect(values, 2, 1 << 20);

	assert_int_equal(o.code, OK);
	const CoreLiteralCollection *c = o.map->literals[0]->value->collection;
	assert_int_equal(c->n_literals, 3);
	assert_int_equal(c->literals[0]->scalar->primitive->integer, 7);
	assert_int_equal(c->literals[1]->scalar->primitive->integer, 1);
	assert_int_equal(c->literals[2]->collection->n_literals, 3);
	const CoreLiteralMap *m = o.map->literals[1]->value->map;
	assert_string_equal(m->literals[0]->key, "v");
	assert_int_equal(m->literals[0]->value->scalar->primitive->integer, 7);
	assert_string_equal(m->literals[1]->key, "lit");
	assert_int_equal(collect(values, 0, 1).map->n_literals, 0);
}

static void test_attributes(void **state)
{
	(void)state;
	/* {"a": [10, {"b": -3}]} */
	static const char PACKED[] = "\x81\xa1"
				     "a\x92\x0a\x81\xa1"
				     "b\xfd";

	put("f", map_of("o0", map_of("k", numbers(5, 3)))->map);
	assert_int_equal(integer(at("f", "o0", "k.1")), 6);
	put("f", map_of("o0", union_of(map_of("k", union_of(numbers(5, 3)))))->map);
	assert_int_equal(integer(at("f", "o0", "k.1")), 6);
	put("f", map_of("o0", map_of("k", binary("msgpack", PACKED, sizeof PACKED - 1)))->map);
	assert_int_equal(integer(at("f", "o0", "k.a.0")), 10);
	assert_int_equal(integer(at("f", "o0", "k.a.1.b")), -3);
	assert_int_equal(value(at("f", "o0", "k.a"))->collection->n_literals, 2);
	put("f", map_of("o0", generic())->map);
	assert_true(value(at("f", "o0", "x.ys.0"))->scalar->primitive->float_value == 1.5);
	assert_true(value(at("f", "o0", "x.ys.2"))->scalar->primitive->boolean);
	assert_int_equal(value(at("f", "o0", "x.ys.1"))->scalar->value_case, CORE_SCALAR_VALUE_NONE_TYPE);
	assert_int_equal(value(at("f", "o0", "x.ys"))->collection->n_literals, 3);
	assert_int_equal(value(at("f", "o0", "x"))->scalar->value_case, CORE_SCALAR_VALUE_GENERIC);
}

static void test_missing(void **state)
{
	(void)state;
	static const char KEY[] = "key [z] does not exist in output [o0]",
			  INDEX[] = "failed at Node[n0]. PromiseAttributeResolveError: index [3] is out of range";

	put("f", map_of("o0", map_of("k", numbers(5, 3)))->map);
	assert_error(at("f", "o0", "z"), OUT_OF_RANGE, KEY);
	assert_error(at("f", "o0", "k.z"), OUT_OF_RANGE, KEY);
	assert_error(at("f", "o0", "k.3"), OUT_OF_RANGE, INDEX);
	assert_error(at("f", "o0", "k.-1"), OUT_OF_RANGE, "index [-1]");
	assert_error(at("f", "o0", "k.1.z"), OUT_OF_RANGE, KEY);
	assert_error(at("f", "o1", "k"), OUT_OF_RANGE, "has no variable o1");
	assert_error(at("g", "o0", NULL), NOT_FOUND, "/g");
	put("f", map_of("o0", generic())->map);
	assert_error(at("f", "o0", "x.ys.3"), OUT_OF_RANGE, INDEX);
	assert_error(at("f", "o0", "x.z"), OUT_OF_RANGE, KEY);
	put("f", map_of("o0", binary("protobuf", "", 0))->map);
	assert_error(at("f", "o0", "z"), OUT_OF_RANGE, "Unsupported format 'protobuf'");
}

static struct value_ref loaded(struct value_ref v)
{
	v.load = true;
	return v;
}

static void test_offloaded(void **state)
{
	(void)state;
	put("list", numbers(5, 3));
	put("f", map_of("o0", offloaded("list"))->map);
	assert_int_equal(value(at("f", "o0", NULL))->value_case, CORE_LITERAL_VALUE_OFFLOADED_METADATA);
	assert_int_equal(value(loaded(at("f", "o0", NULL)))->collection->n_literals, 3);
	assert_int_equal(integer(at("f", "o0", "1")), 6);
	assert_int_equal(integer(at("list", NULL, "1")), 6);
	struct value_ref literal = {.var = "v", .literal = offloaded("list")};
	assert_int_equal(value(literal)->value_case, CORE_LITERAL_VALUE_OFFLOADED_METADATA);
	assert_int_equal(value(loaded(literal))->collection->n_literals, 3);
	/* In parts that were offloaded themselves, and both ways at once. */
	put("map", map_of("k", offloaded("list")));
	put("f", map_of("o0", union_of(offloaded("map")))->map);
	struct value_ref both[] = {at("f", "o0", "k.2"), loaded(at("f", "o0", "k")), at("map", NULL, "k.0")};
	struct outcome o = collect(both, 3, 1 << 20);
	assert_int_equal(o.code, OK);
	assert_int_equal(o.map->literals[0]->value->scalar->primitive->integer, 7);
	assert_int_equal(o.map->literals[1]->value->collection->n_literals, 3);
	assert_int_equal(o.map->literals[2]->value->scalar->primitive->integer, 5);
	put("self", offloaded("self"));
	assert_error(at("self", NULL, "0"), OUT_OF_RANGE, "unexpected offloaded metadata type");
	assert_error(loaded(at("self", NULL, NULL)), OUT_OF_RANGE, "unexpected offloaded metadata type");
	put("far", offloaded("../../../etc/passwd"));
	assert_error(at("far", NULL, "0"), INVALID_ARGUMENT, "passwd");
}

/* Whatever the bytes are: an error, or a value; never a crash. */
static void test_damage(void **state)
{
	(void)state;
	CoreLiteralMap *m = map_of("o0", map_of("k", union_of(numbers(5, 3))))->map;
	struct str whole = pb_pack(m, a);
	uint64_t seed = 1;
	struct err err;

	for (int i = 0; i < 3000; i++) {
		char *bytes = arena_dup(a, whole.ptr, whole.len);
		for (int k = 0; k < 1 + i % 3; k++)
			bytes[splitmix64(&seed) % whole.len] = (char)splitmix64(&seed);
		size_t len = i % 5 ? whole.len : splitmix64(&seed) % whole.len;
		assert_int_equal(store_put(store, uri_of("f"), (struct str){bytes, len}, &err), OK);
		struct value_ref v[] = {at("f", "o0", "k.1"), loaded(at("f", "o0", NULL)), at("f", "", NULL)};
		for (size_t n = 0; n < 3; n++)
			collect(&v[n], 1, 1 << 20);
	}
}

static void test_limits(void **state)
{
	(void)state;
	put("f", map_of("o0", numbers(0, 1000))->map);
	size_t len = pb_size(map_of("o0", numbers(0, 1000))->map);
	struct value_ref many[5] = {at("f", "o0", NULL), at("f", "o0", NULL), at("f", "o0", NULL), at("f", "o0", NULL),
				    at("f", "o0", NULL)};

	assert_int_equal(collect(many, 1, len - 1).code, RESOURCE_EXHAUSTED);
	assert_int_equal(collect(many, 4, len).code, OK);
	assert_int_equal(collect(many, 5, len).code, RESOURCE_EXHAUSTED);
}

/* ---- what the engine is told ---- */

static _Atomic int fed;
static AlulaValuesRead *told;

static void feed(void *arg, const AlulaInput *in)
{
	(void)arg;
	assert_int_equal(in->execution, 7);
	told = pb_clone(in->values_read, a);
	fed = 1;
}

static void read_one(struct value_ref v, enum read_how how)
{
	struct action action = {.kind = ACTION_READ_VALUES, .execution = 7, .how = how, .values = &v, .n_values = 1};

	fed = 0;
	values_read(store, NULL, &action, 64 << 20, feed, NULL);
	while (!fed)
		usleep(100);
}

static void feed_at_last(void *loop, const AlulaInput *in)
{
	feed(NULL, in);
	loop_stop(loop);
}

static void test_reading_waits_for_the_store(void **state)
{
	struct loop *loop = loop_new("test");
	struct loop_timer *enough = loop_timer_new(loop, "enough", allow_descriptors, ENOUGH_DESCRIPTORS);
	struct value_ref v = at("f", "o0", NULL);
	struct action action = {.execution = 7, .how = READ_WHOLE, .values = &v, .n_values = 1};

	(void)state;
	put("f", map_of("o0", numbers(0, 3))->map);
	fed = 0;
	loop_timer_set(enough, 200000);
	allow_no_more_descriptors();
	values_read(store, loop, &action, 65536, feed_at_last, loop);
	loop_run(loop);
	assert_int_equal(fed, 1);
	assert_int_equal(told->result_case, ALULA_VALUES_READ_RESULT_LITERALS);
	loop_timer_free(enough);
	loop_free(loop);
}

static void test_reading(void **state)
{
	(void)state;
	enum { MANY = 400000 };

	put("f", map_of("o0", numbers(0, 3))->map);
	put("large", map_of("o0", numbers(0, MANY))->map);
	read_one(at("f", "o0", NULL), READ_LONG_AS_EXTENTS);
	assert_int_equal(told->literals->literals[0]->value->collection->n_literals, 3);
	assert_int_equal(told->n_extents, 0);
	read_one(at("large", "o0", NULL), READ_LONG_AS_EXTENTS);
	assert_int_equal(told->literals->n_literals, 0);
	assert_string_equal(told->extents[0]->var, "v");
	assert_int_equal(told->extents[0]->length, MANY);
	read_one(at("large", "o0", NULL), READ_WHOLE);
	assert_string_equal(told->error->code, "BindingResolutionFailure");
	read_one(at("large", "", NULL), READ_EXTENTS);
	assert_int_equal(told->extents[0]->keys->n_keys, 1);
	assert_string_equal(told->extents[0]->keys->keys[0], "o0");
	read_one(at("nothing", "o0", NULL), READ_WHOLE);
	assert_string_equal(told->error->code, "InputsNotFoundError");
	read_one(at("f", "o0", "9"), READ_WHOLE);
	assert_string_equal(told->error->code, "BindingResolutionFailure");
}

/* ---- offloading ---- */

static CoreLiteral *output(const CoreLiteralMap *m, const char *var)
{
	for (size_t i = 0; i < m->n_literals; i++)
		if (strcmp(m->literals[i]->key, var) == 0)
			return m->literals[i]->value;
	fail_msg("no %s", var);
	return NULL;
}

static void test_offloading(void **state)
{
	(void)state;
	enum { MANY = 250000 };
	struct propeller_config config = {.offload_min_mb = 1, .offload_max_mb = 3};
	struct propeller p = {.config = &config, .store = store};
	CoreLiteralMap *m = map_of("large", numbers(0, MANY))->map, *out;
	auto_buf struct buf b = {0}, file = {0};
	CoreLiteral *whole;
	struct err err;

	*PB_ADD(a, m->literals, m->n_literals) = map_of("small", numbers(0, 3))->map->literals[0];
	assert_int_equal(offload_outputs(&p, pb_pack(m, a), uri_of("d/outputs.pb"), &b, &err), OK);
	assert_int_equal(pb_unpack(CORE_LITERAL_MAP_DESC, buf_str(&b), a, (void **)&out, &err), OK);
	assert_int_equal(output(out, "small")->collection->n_literals, 3);
	const CoreLiteral *l = output(out, "large");
	assert_int_equal(l->value_case, CORE_LITERAL_VALUE_OFFLOADED_METADATA);
	assert_string_equal(l->offloaded_metadata->uri, uri_of("d/large_offloaded_metadata.pb"));
	assert_int_equal(l->offloaded_metadata->inferred_type->collection_type->simple, CORE_SIMPLE_TYPE_INTEGER);
	assert_int_equal(strlen(l->hash), 43);
	assert_int_equal(store_get(store, l->offloaded_metadata->uri, 64 << 20, &file, &err), OK);
	assert_int_equal(file.len, l->offloaded_metadata->size_bytes);
	assert_int_equal(pb_unpack(CORE_LITERAL_DESC, buf_str(&file), a, (void **)&whole, &err), OK);
	assert_int_equal(whole->collection->n_literals, MANY);
	config.offload_max_mb = 2;
	assert_int_equal(offload_outputs(&p, pb_pack(m, a), uri_of("d/outputs.pb"), &b, &err), RESOURCE_EXHAUSTED);
	assert_string_equal(err.text, "literal size [2] MB is larger than the max size [2] MB for offloading");
}

static const char *checked(struct propeller_config *config, bool sdk, const char *version, const CoreLiteral *l)
{
	CoreRuntimeMetadata runtime = CORE_RUNTIME_METADATA_INIT;
	const char *code = "";
	struct err err;

	runtime.type = sdk ? CORE_RUNTIME_METADATA_RUNTIME_TYPE_FLYTE_SDK : CORE_RUNTIME_METADATA_RUNTIME_TYPE_OTHER;
	runtime.version = (char *)version;
	struct str packed = pb_pack(map_of("v", (CoreLiteral *)l)->map, a);
	enum code c = offload_check(config, "t", version ? &runtime : NULL, packed, &code, &err);
	assert_true((c == OK) == (*code == '\0'));
	return code;
}

static void test_sdk_versions(void **state)
{
	(void)state;
	static const char DISABLED[] = "LiteralOffloadingDisabled", NOT[] = "LiteralOffloadingNotSupported";
	struct config_pair pair = {"FLYTE_SDK", "1.13.14"};
	struct propeller_config config = {.offload_sdks = {&pair, 1}};
	const CoreLiteral *l = offloaded("x");

	for (int i = 0; i < 2; i++) {
		config.offload_enabled = i;
		assert_string_equal(checked(&config, true, "1.13.14", l), "");
		assert_string_equal(checked(&config, true, "v1.16.3b2", l), "");
		assert_string_equal(checked(&config, true, "2.0.0", l), "");
		assert_string_equal(checked(&config, true, "1.13.13", l), i ? NOT : DISABLED);
		assert_string_equal(checked(&config, true, "1.9.99", l), i ? NOT : DISABLED);
		assert_string_equal(checked(&config, false, "1.16.0", l), i ? NOT : DISABLED);
		assert_string_equal(checked(&config, true, "latest", l), i ? NOT : DISABLED);
		assert_string_equal(checked(&config, false, NULL, l), i ? NOT : DISABLED);
		assert_string_equal(checked(&config, false, NULL, number(1)), "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_offloaded),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_offloading),
		cmocka_unit_test(test_reading_waits_for_the_store),
		cmocka_unit_test(test_sdk_versions),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
