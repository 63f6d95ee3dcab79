#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"

static int freed;

struct thing {
	int n;
};

static void thing_free(struct thing *t)
{
	if (t)
		freed += t->n;
	free(t);
}
DEFINE_CLEANUP(struct thing *, thing_free);

static struct thing *make(int n, int hand_over)
{
	auto_free(thing_free) struct thing *t = x_malloc(sizeof *t);
	t->n = n;
	return hand_over ? take(t) : NULL;
}

static void test_cleanup(void **state)
{
	(void)state;
	freed = 0;
	assert_null(make(3, 0));
	assert_int_equal(freed, 3);
	struct thing *t = make(5, 1);
	assert_int_equal(freed, 3);
	thing_free(t);
	assert_int_equal(freed, 8);
}

static void test_fd(void **state)
{
	(void)state;
	int number;
	{
		auto_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		number = fd;
	}
	assert_int_equal(fcntl(number, F_GETFD), -1);
}

static void test_zero_sizes(void **state)
{
	(void)state;
	auto_mem void *a = x_malloc(0);
	auto_mem void *b = x_calloc(0, 8);
	auto_mem void *c = x_realloc(NULL, 0);
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	c = x_realloc(c, 0);
	assert_non_null(c);
}

static void test_text(void **state)
{
	(void)state;
	assert_null(x_strdup(NULL));
	auto_mem char *a = x_strdup("");
	auto_mem char *b = x_strndup("abc", 2);
	auto_mem char *c = x_strndup("abc", 9);
	auto_mem char *d = x_printf("%s-%d", "n", 7);
	assert_string_equal(a, "");
	assert_string_equal(b, "ab");
	assert_string_equal(c, "abc");
	assert_string_equal(d, "n-7");
}

static void test_vec(void **state)
{
	(void)state;
	VEC(struct thing) v = {0};
	for (int i = 0; i < 1000; i++)
		vec_push(&v, (struct thing){i});
	assert_int_equal(v.n, 1000);
	vec_swap_remove(&v, 0);
	assert_int_equal(v.at[0].n, 999);
	vec_swap_remove(&v, v.n - 1);
	long sum = 0;
	vec_each (struct thing *, t, &v)
		sum += t->n;
	assert_int_equal(v.n, 998);
	assert_int_equal(sum, 1000L * 999 / 2 - 998);
	vec_clear(&v);
	vec_reserve(&v, 5000);
	assert_true(v.n == 0 && v.cap >= 5000);
	vec_free(&v);
	assert_true(!v.at && !v.n && !v.cap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cleanup), cmocka_unit_test(test_fd),  cmocka_unit_test(test_zero_sizes),
		cmocka_unit_test(test_text),    cmocka_unit_test(test_vec),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
