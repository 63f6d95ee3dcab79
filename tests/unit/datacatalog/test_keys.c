#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "keys.h"
#include "validation.h"

static DatacatalogDatasetID dataset(const char *project, const char *domain, const char *name, const char *version)
{
	DatacatalogDatasetID id = DATACATALOG_DATASET_ID_INIT;

	id.project = (char *)project, id.domain = (char *)domain;
	id.name = (char *)name, id.version = (char *)version;
	return id;
}

static void keys_tell_names_apart(void **state)
{
	const DatacatalogDatasetID a = dataset("ab", "c", "n", "v"), b = dataset("a", "bc", "n", "v");
	struct key keys[] = {
		key_of_dataset(&a),        key_of_dataset(&b),           key_of_tag(&a, "x"),
		key_of_artifact(&a, "x"),  key_of_tag(&b, "x"),          key_of_tag(&a, "y"),
		key_of_name(KEY_TAG, "x"), key_of_name(KEY_OUTPUT, "x"), key_of_name(KEY_OUTPUT, ""),
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(keys[i].bytes, keys[k].bytes, KEY_BYTES);
	struct key again = key_of_tag(&a, "x");
	assert_memory_equal(again.bytes, keys[2].bytes, KEY_BYTES);
}

static void paths_stay_below_the_root(void **state)
{
	static const struct {
		const char *names[3], *path;
	} CASES[] = {
		{{"a", "data.pb"}, "/r/a/data.pb"},
		{{"..", "x"}, "/r/%2E%2E/x"},
		{{".", "x"}, "/r/%2E/x"},
		{{"../a", "x"}, "/r/..%2Fa/x"},
		{{"a/b", "x"}, "/r/a%2Fb/x"},
		{{"a%2Fb", "x"}, "/r/a%252Fb/x"},
		{{"", "x"}, "/r/%/x"},
		{{"%", "x"}, "/r/%25/x"},
		{{"a\nb\x7f", "x"}, "/r/a%0Ab%7F/x"},
		{{"ü.task", "x"}, "/r/ü.task/x"},
	};
	auto_free(arena_free) struct arena *a = arena_new(0);
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
		assert_string_equal(path_of_names(a, "/r", CASES[i].names), CASES[i].path);
}

static void long_names_are_cut_and_stay_different(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf b = {0};
	(void)state;

	for (int i = 0; i < 300; i++)
		buf_adds(&b, i ? "ü" : "x");
	const char *one = path_of_names(a, "", (const char *[]){buf_text(&b), NULL});
	buf_addc(&b, 'y');
	const char *two = path_of_names(a, "", (const char *[]){buf_text(&b), NULL});
	assert_string_not_equal(one, two);
	assert_in_range(strlen(one), 100, 255);
	assert_true(utf8_valid(one, strlen(one)));
}

static void checks_speak_datacatalogs_words(void **state)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	const DatacatalogDatasetID id = dataset("p", "d", "", "v");
	char *keys[] = {"b", "a", "b"};
	struct err err;
	(void)state;

	assert_int_equal(check_dataset_id(NULL, &err), INVALID_ARGUMENT);
	assert_string_equal(err.text, "missing dataset");
	assert_int_equal(check_dataset_id(&id, &err), INVALID_ARGUMENT);
	assert_string_equal(err.text, "missing name");
	assert_int_equal(check_unique_keys(keys, 2, a, &err), OK);
	assert_int_equal(check_unique_keys(NULL, 0, a, &err), OK);
	assert_int_equal(check_unique_keys(keys, 3, a, &err), INVALID_ARGUMENT);
	assert_string_equal(
		err.text,
		"invalid value for partitionKey, value:[Keys are not unique, occurrence count: map[a:1 b:2]]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_tell_names_apart),
		cmocka_unit_test(paths_stay_below_the_root),
		cmocka_unit_test(long_names_are_cut_and_stay_different),
		cmocka_unit_test(checks_speak_datacatalogs_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
