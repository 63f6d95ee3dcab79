/* Keys of cached outputs. The expected hashes are those of flytestdlib's pbhash (v1.16.8) for the same messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "catalog_key.h"
#include "pb/pb.h"

struct vector {
	const char *name, *hash, *hex;
};

static const struct vector LITERALS[] = {
	{"empty", "GKw-c0PwFokMUQ6T-TUmEWnZ4_VlQ2Qpgw-vCTT0-OQ", ""},
	{"int", "h0ybA1cHx5B1m5G-KbiHXc30BtaM1rUyxpMGyj73b10", "0a0b0a017812060a040a020800"},
	{"ints", "cR1cNgWnGns0uUFW7_BLyNE_4yEGFdOYd2He9gZjv4Q",
	 "0a140a0161120f0a0d0a0b08fbffffffffffffffff010a130a0162120e0a0c0a0a08808080808080808040"},
	{"floats", "Pq07m3_F32WZoMsoF533yi4v94deIVGPX0C-l6NH5ms",
	 "0a120a0161120d0a0b0a09119a9999999999b93f0a120a0162120d0a0b0a091192d54d06cff080440a120a0163120d0a0b0a091100000000000000000a120a0164120d0a0b0a09115f196547f47c97be0a120a0165120d0a0b0a0911000000000000f07f0a120a0166120d0a0b0a0911000000000000f87f"},
	{"bools", "BH37U7XFShKwivbrgL_9AfWgvD077DMMpRqa2xydUxs",
	 "0a0b0a016112060a040a0220010a0b0a016212060a040a022000"},
	{"texts", "m4vf9esIwPy00MwFMBWgvlZBzB60aF1qk-5PKL0rboQ",
	 "0a0b0a016112060a040a021a000a180a016212130a110a0f1a0d3cc3a9202620225c0ae280a83e"},
	{"times", "4dXUXJGvE9T1hw3WvGg_V786hx9R7w4sZDc5lxrMito",
	 "0a160a016112110a0f0a0d2a0b0880e2cfaa0610809c9c390a0b0a016212060a040a022a000a130a0163120e0a0c0a0a320808011080cab5ee010a160a016412110a0f0a0d320b08a6ffffffffffffffff010a0d0a016512080a060a0432021001"},
	{"hash", "6MvyV6SaCtACSfK9W6jb_m8zEBnKJG_zs5HeRhbBbBk",
	 "0a0d0a016112080a022a00220268310a160a01621211120f0a060a040a0208010a051a00220178"},
	{"nested", "ahb_yz_jbwLMUKDokMhpYb8BHKJNWy9R5zr8aZMwkMU",
	 "0a1b0a016d12161a140a070a016b120212000a090a016e12040a022a00"},
	{"generic", "MtBouHRIHUxPSvv7JDC-SgIkyt5ArMzmrHFJl7aNrBw",
	 "0a4f0a0167124a0a483a460a0e0a01611209119a9999999999b9bf0a340a0162122f322d0a0911000000000000f03f0a091100000000000004400a0208000a0220010a0d2a0b0a090a017a12041a02c3a9"},
	{"binary", "jnmQ1Gjzv4tA_ZIhq9gPqRtFeGfmi8PCfsfrCofpidI",
	 "0a5b0a016212560a451a430a38c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff12076d73677061636b2a050a016112002a060a016b120176"},
	{"blob", "gQLcI5GS2zVCJU8-71ITWhYE27dTdAEHES_ydbfmLAA",
	 "0a1e0a016212190a1712150a090a070a0363737610011a0873333a2f2f782f79"},
	{"union", "Hfvtyctw04uGpTppONzZviKIyn-Ar0HxLATB8KSzPLk",
	 "0a1c0a017512170a154a130a060a040a020803120908015a050a03696e74"},
};
static const struct vector VARIABLES[] = {
	{"none", "GKw-c0PwFokMUQ6T-TUmEWnZ4_VlQ2Qpgw-vCTT0-OQ", ""},
	{"ints", "g9pm5y7aUtyJdcOv4bxu9an_anzCsxkVBNSh8tu95nY", "0a0c0a017812070a0208011201640a090a017912040a020800"},
	{"lists", "3kuqv5IMFskmdldSGTAoUgNVwNcmBDR5rMXD4MFlQ_s", "0a0e0a02787312080a061a0422020803"},
	{"annot", "Noj-zoxbAfgOlfr7VIkvxGr4_EbiAXIvGT4-6qI01EY",
	 "0a510a0173124c0a4a080932460a0e0a01611209119a9999999999b9bf0a340a0162122f322d0a0911000000000000f03f0a091100000000000004400a0208000a0220010a0d2a0b0a090a017a12041a02c3a9"},
};

static void *message_of(const ProtobufCMessageDescriptor *desc, const char *hex, struct arena *a)
{
	auto_buf struct buf b = {0};
	void *m;

	for (; *hex; hex += 2) {
		char digits[3] = {hex[0], hex[1], 0};
		buf_addc(&b, (char)strtol(digits, NULL, 16));
	}
	assert_int_equal(pb_unpack(desc, buf_str(&b), a, &m, NULL), OK);
	return m;
}

static void tags_are_flytes(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct err err;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(LITERALS); i++) {
		const char *tag;
		CoreLiteralMap *m = message_of(CORE_LITERAL_MAP_DESC, LITERALS[i].hex, a);
		assert_int_equal(catalog_tag(m, NULL, 0, a, &tag, &err), OK);
		if (strcmp(tag + strlen("flyte_cached-"), LITERALS[i].hash) != 0)
			fail_msg("%s: %s", LITERALS[i].name, tag);
	}
}

static void datasets_are_flytes(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreIdentifier task = CORE_IDENTIFIER_INIT;
	(void)state;

	task.project = "p", task.domain = "d", task.name = "my.task", task.version = "v";
	for (size_t i = 0; i < ARRAY_SIZE(VARIABLES); i++) {
		CoreTypedInterface interface = CORE_TYPED_INTERFACE_INIT;
		DatacatalogDatasetID *id;
		struct err err;
		interface.inputs = message_of(CORE_VARIABLE_MAP_DESC, VARIABLES[i].hex, a);
		assert_int_equal(catalog_dataset_id(&task, &interface, " 1.0 ", a, &id, &err), OK);
		assert_string_equal(id->name, "flyte_task-my.task");
		assert_string_equal(id->version,
				    arena_printf(a, "1.0-%.8s-%.8s", VARIABLES[i].hash, VARIABLES[0].hash));
		assert_string_equal(id->project, "p");
		assert_string_equal(id->domain, "d");
		assert_int_equal(catalog_dataset_id(&task, &interface, "  ", a, &id, &err), INVALID_ARGUMENT);
	}
}

static void ignored_inputs_do_not_count(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	char *ignored[] = {"z", "x"};
	const char *with, *none, *null;
	CoreLiteralMap *m = message_of(CORE_LITERAL_MAP_DESC, LITERALS[1].hex, a);
	(void)state;

	assert_int_equal(catalog_tag(m, ignored, 2, a, &with, NULL), OK);
	assert_int_equal(catalog_tag(m, ignored, 1, a, &none, NULL), OK);
	assert_int_equal(catalog_tag(NULL, NULL, 0, a, &null, NULL), OK);
	assert_string_equal(with, null);
	assert_string_not_equal(none, null);
	assert_string_equal(null + strlen("flyte_cached-"), LITERALS[0].hash);
}

static CoreTaskExecutionIdentifier *an_attempt(struct arena *a)
{
	CoreTaskExecutionIdentifier *id = pb_new(a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);

	id->task_id = pb_new(a, CORE_IDENTIFIER_DESC);
	id->task_id->project = "p", id->task_id->domain = "d", id->task_id->name = "t", id->task_id->version = "v7";
	id->node_execution_id = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	id->node_execution_id->node_id = "n0";
	id->node_execution_id->execution_id = pb_new(a, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	id->node_execution_id->execution_id->project = "ep";
	id->node_execution_id->execution_id->domain = "ed";
	id->node_execution_id->execution_id->name = "e";
	id->retry_attempt = 2;
	return id;
}

static void the_source_comes_back(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	CoreTaskExecutionIdentifier *id = an_attempt(a), *back;
	struct str want = pb_pack(id, a);
	(void)state;

	DatacatalogMetadata *dataset = catalog_dataset_metadata(id, a), *artifact = catalog_artifact_metadata(id, a);
	assert_int_equal(catalog_source(dataset, artifact, id->task_id, a, &back, NULL), OK);
	assert_true(str_eq(pb_pack(back, a), want));
	assert_int_equal(catalog_source(NULL, NULL, id->task_id, a, &back, NULL), OK);
	assert_string_equal(back->task_id->version, "unknown");
	assert_string_equal(back->node_execution_id->node_id, "unknown");
	assert_string_equal(back->node_execution_id->execution_id->project, "p");
	artifact->key_map[4]->value = "x";
	assert_int_equal(catalog_source(dataset, artifact, id->task_id, a, &back, NULL), INVALID_ARGUMENT);
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const BAD[] = {"",   "{",    "[1,",   "{\"a\"}",   "\"x",         "tru",
					  "1x", "[1]]", "{1:2}", "\"\\u12\"", "\"\\ud800\"", "1e999"};
	uint8_t hash[OBJECT_HASH_BYTES];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
		assert_int_equal(object_hash(str_of(BAD[i]), hash, NULL), INVALID_ARGUMENT);
	char *deep = x_calloc(1, 100001);
	memset(deep, '[', 100000);
	assert_int_equal(object_hash(str_of(deep), hash, NULL), INVALID_ARGUMENT);
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_flytes),
		cmocka_unit_test(datasets_are_flytes),
		cmocka_unit_test(ignored_inputs_do_not_count),
		cmocka_unit_test(the_source_comes_back),
		cmocka_unit_test(what_is_no_json_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
