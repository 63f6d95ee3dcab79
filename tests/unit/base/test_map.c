#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/map.h"

static void *number(size_t n)
{
	return (void *)(uintptr_t)(n + 1);
}

static struct str key_of(size_t n, char text[32])
{
	return (struct str){text, (size_t)snprintf(text, 32, "execution-%zu", n)};
}

static void test_small(void **state)
{
	(void)state;
	auto_free(map_free) struct map *m = map_new();
	assert_null(map_get(m, STR("a")));
	assert_null(map_remove(m, STR("a")));
	assert_null(map_put(m, STR("a"), number(1)));
	assert_ptr_equal(map_put(m, STR("a"), number(2)), number(1));
	assert_null(map_put(m, (struct str){0}, number(3)));
	assert_null(map_put(m, STR("a\0b"), number(4)));
	assert_int_equal(map_count(m), 3);
	assert_ptr_equal(map_get(m, STR("a")), number(2));
	assert_ptr_equal(map_get(m, STR("")), number(3));
	assert_ptr_equal(map_get(m, STR("a\0b")), number(4));
	assert_ptr_equal(map_remove(m, STR("a")), number(2));
	assert_null(map_remove(m, STR("a")));
	assert_int_equal(map_count(m), 2);
}

static void test_keys_are_copied(void **state)
{
	(void)state;
	auto_free(map_free) struct map *m = map_new();
	char key[] = "key";
	map_put(m, str_of(key), number(1));
	key[0] = 'x';
	assert_ptr_equal(map_get(m, STR("key")), number(1));
	assert_null(map_get(m, str_of(key)));
}

static void test_million(void **state)
{
	(void)state;
	enum { N = 1000000 };
	auto_free(map_free) struct map *m = map_new();
	char text[32];
	for (size_t i = 0; i < N; i++)
		assert_null(map_put(m, key_of(i, text), number(i)));
	assert_int_equal(map_count(m), N);
	for (size_t i = 0; i < N; i++)
		if (map_get(m, key_of(i, text)) != number(i))
			fail_msg("%zu", i);
	assert_null(map_get(m, key_of(N, text)));
	for (size_t i = 0; i < N; i += 2)
		if (map_remove(m, key_of(i, text)) != number(i))
			fail_msg("%zu", i);
	assert_int_equal(map_count(m), N / 2);
	for (size_t i = 0; i < N; i++)
		if (map_get(m, key_of(i, text)) != (i % 2 ? number(i) : NULL))
			fail_msg("%zu", i);
}

static void test_million_numbers(void **state)
{
	(void)state;
	enum { N = 1000000 };
	auto_free(u64map_free) struct u64map *m = u64map_new();
	for (uint64_t i = 0; i < N; i++)
		assert_null(u64map_put(m, i << 40, number(i)));
	for (uint64_t i = 0; i < N; i++)
		if (u64map_get(m, i << 40) != number(i) || u64map_get(m, i << 40 | 1))
			fail_msg("%lu", (unsigned long)i);
	assert_int_equal(u64map_count(m), N);
}

static void test_special_numbers(void **state)
{
	(void)state;
	auto_free(u64map_free) struct u64map *m = u64map_new();
	static const uint64_t KEYS[] = {0, 1, 2, UINT64_MAX};
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++) {
			assert_null(u64map_get(m, KEYS[i]));
			assert_null(u64map_put(m, KEYS[i], number(i)));
			assert_ptr_equal(u64map_put(m, KEYS[i], number(i + 9)), number(i));
		}
		for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++)
			assert_ptr_equal(u64map_remove(m, KEYS[i]), number(i + 9));
		assert_int_equal(u64map_count(m), 0);
	}
}

/* Random puts and removals, compared with a plain array: runs of deleted slots, growth and shrinking. */
static void test_against_array(void **state)
{
	(void)state;
	enum { KEYS = 2000, STEPS = 400000 };
	auto_free(map_free) struct map *m = map_new();
	auto_free(u64map_free) struct u64map *u = u64map_new();
	void *want[KEYS] = {0};
	size_t count = 0;
	uint64_t seed = 1;
	char text[32];
	for (size_t step = 0; step < STEPS; step++) {
		size_t range = step / 50000 % 2 ? 40 : KEYS; /* many keys, then few */
		size_t k = splitmix64(&seed) % range;
		if (splitmix64(&seed) % 2) {
			assert_ptr_equal(map_put(m, key_of(k, text), number(step)), want[k]);
			assert_ptr_equal(u64map_put(u, k, number(step)), want[k]);
			count += !want[k];
			want[k] = number(step);
		} else {
			assert_ptr_equal(map_remove(m, key_of(k, text)), want[k]);
			assert_ptr_equal(u64map_remove(u, k), want[k]);
			count -= want[k] != NULL;
			want[k] = NULL;
		}
		assert_int_equal(map_count(m), count);
	}
	for (size_t k = 0; k < KEYS; k++) {
		assert_ptr_equal(map_get(m, key_of(k, text)), want[k]);
		assert_ptr_equal(u64map_get(u, k), want[k]);
	}
}

static void test_walk_and_remove(void **state)
{
	(void)state;
	enum { N = 5000 };
	auto_free(map_free) struct map *m = map_new();
	auto_free(u64map_free) struct u64map *u = u64map_new();
	char text[32];
	for (size_t i = 0; i < N; i++) {
		map_put(m, key_of(i, text), number(i));
		u64map_put(u, i, number(i));
	}
	char seen[N] = {0};
	size_t it = 0;
	struct str key;
	void *value;
	while (map_next(m, &it, &key, &value)) {
		size_t i = (uintptr_t)value - 1;
		assert_true(str_eq(key, key_of(i, text)));
		assert_int_equal(seen[i]++, 0);
		if (i % 3)
			assert_ptr_equal(map_remove(m, key), value);
	}
	for (size_t i = 0; i < N; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(map_count(m), (N + 2) / 3);
	uint64_t number_key;
	for (it = 0; u64map_next(u, &it, &number_key, &value);) {
		assert_ptr_equal(value, number(number_key));
		assert_ptr_equal(u64map_remove(u, number_key), value);
	}
	assert_int_equal(u64map_count(u), 0);
	it = 0;
	assert_false(u64map_next(u, &it, NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),           cmocka_unit_test(test_keys_are_copied),
		cmocka_unit_test(test_million),         cmocka_unit_test(test_million_numbers),
		cmocka_unit_test(test_special_numbers), cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_walk_and_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
