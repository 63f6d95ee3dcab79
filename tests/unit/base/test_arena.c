#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void assert_aligned(const void *p)
{
	assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
}

/* Pieces of all sizes, from first blocks of all kinds: aligned, apart from each other, stable. */
static void test_pieces(void **state)
{
	(void)state;
	static const size_t BLOCKS[] = {0, 1, 17, 100, 4096, 3 << 20};
	for (size_t k = 0; k < ARRAY_SIZE(BLOCKS); k++) {
		auto_free(arena_free) struct arena *a = arena_new(BLOCKS[k]);
		unsigned char *pieces[400];
		size_t sum = 0;
		for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
			size_t n = i * i % 5003;
			pieces[i] = arena_alloc(a, n);
			assert_aligned(pieces[i]);
			memset(pieces[i], (int)(i & 255), n);
			sum += n;
		}
		assert_int_equal(arena_used(a), sum);
		for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
			for (size_t j = 0; j < i * i % 5003; j++)
				assert_int_equal(pieces[i][j], i & 255);
	}
}

static void test_empty_pieces_differ(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	assert_ptr_not_equal(arena_alloc(a, 0), arena_alloc(a, 0));
	assert_int_equal(arena_used(a), 0);
}

static void test_large(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	char *small = arena_strdup(a, "small");
	char *large = arena_zalloc(a, 5 << 20);
	char *next = arena_strdup(a, "next");
	assert_int_equal(large[(5 << 20) - 1], 0);
	memset(large, 'x', 5 << 20);
	assert_string_equal(small, "small");
	assert_string_equal(next, "next");
	assert_true(next > small && next - small < 64); /* the block of small pieces went on */
}

static void test_reset(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(1024);
	void *first = arena_alloc(a, 100);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 100; i++)
			memset(arena_alloc(a, 3000), round, 3000);
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
		assert_ptr_equal(arena_alloc(a, 100), first);
		arena_reset(a);
	}
}

static void test_zeroed_after_reset(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	memset(arena_alloc(a, 512), 0xee, 512);
	arena_reset(a);
	uint64_t *n = arena_array(a, uint64_t, 64);
	for (int i = 0; i < 64; i++)
		assert_int_equal(n[i], 0);
}

static void test_text(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	assert_null(arena_strdup(a, NULL));
	assert_string_equal(arena_strdup(a, ""), "");
	assert_string_equal(arena_strndup(a, "abc", 2), "ab");
	assert_string_equal(arena_strndup(a, "abc", 9), "abc");
	assert_string_equal(arena_strndup(a, NULL, 0), "");
	assert_memory_equal(arena_dup(a, "a\0b", 3), "a\0b", 3);
	assert_non_null(arena_dup(a, NULL, 0));
	for (int width = 250; width < 260; width++) { /* around the size of the first try */
		char *text = arena_printf(a, "%*d", width, 7);
		assert_int_equal(strlen(text), width);
		assert_int_equal(text[width - 1], '7');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces), cmocka_unit_test(test_empty_pieces_differ),
		cmocka_unit_test(test_large),  cmocka_unit_test(test_reset),
		cmocka_unit_test(test_text),   cmocka_unit_test(test_zeroed_after_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
