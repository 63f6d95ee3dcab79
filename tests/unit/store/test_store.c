/* The file store: paths that must not be served, whole files, signed URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "store/store.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static char root[64];
static struct store *store;

static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/alula-store-XXXXXX");
	assert_non_null(mkdtemp(root));
	struct store_options options = {.type = "file",
					.root = root,
					.durable = true,
					.public_url = "http://localhost:8088/",
					.secret = STR(SECRET)};
	struct err err;
	assert_int_equal(store_new(&options, &store, &err), OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

static char *uri(const char *path)
{
	static char text[8][4096];
	static unsigned next;
	char *ret = text[next++ % 8];
	snprintf(ret, sizeof text[0], "%s/%s", root, path);
	return ret;
}

static void test_put_get(void **state)
{
	(void)state;
	struct err err;
	auto_buf struct buf b = {0};
	uint64_t bytes = 0;

	assert_int_equal(store_put(store, uri("a/b/c.pb"), STR("hello"), &err), OK);
	assert_int_equal(store_put(store, uri("top"), STR(""), &err), OK);
	assert_int_equal(store_get(store, uri("a/b/c.pb"), 5, &b, &err), OK);
	assert_string_equal(buf_text(&b), "hello");
	assert_int_equal(store_stat(store, uri("a/b/c.pb"), &bytes, &err), OK);
	assert_int_equal(bytes, 5);
	buf_reset(&b);
	assert_int_equal(store_get(store, uri("a/b/c.pb"), 4, &b, &err), RESOURCE_EXHAUSTED);
	assert_int_equal(store_get(store, uri("a/b"), 4, &b, &err), NOT_FOUND);
	assert_int_equal(store_get(store, uri("a/x"), 4, &b, &err), NOT_FOUND);
	assert_int_equal(store_get(store, uri("a/b/c.pb/d"), 4, &b, &err), NOT_FOUND);
	assert_int_equal(store_remove(store, uri("a/b/c.pb"), &err), OK);
	assert_int_equal(store_remove(store, uri("top"), &err), OK);
	assert_int_equal(store_remove(store, uri("top"), &err), NOT_FOUND);
}

/* Whoever reads RESOURCE_EXHAUSTED takes the object for too large, for good. */
static void test_short_of_descriptors(void **state)
{
	struct rlimit limit, none;
	int free = dup(0);
	struct err err;
	auto_buf struct buf b = {0};

	(void)state;
	close(free);
	assert_int_equal(store_put(store, uri("few"), STR("x"), &err), OK);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){(rlim_t)free, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	enum code get = store_get(store, uri("few"), 1, &b, &err), put = store_put(store, uri("few"), STR("y"), &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(get, UNAVAILABLE);
	assert_int_equal(put, UNAVAILABLE);
}

static void test_remove_all(void **state)
{
	(void)state;
	struct err err;
	uint64_t bytes;

	assert_int_equal(store_remove_all(store, uri("none"), &err), OK);
	assert_int_equal(store_put(store, uri("r/a"), STR("x"), &err), OK);
	assert_int_equal(store_put(store, uri("r/b/c/d"), STR("x"), &err), OK);
	assert_int_equal(store_put(store, uri("beside/e"), STR("x"), &err), OK);
	/* What a task left there must not lead to others' files. */
	assert_int_equal(symlink("../beside", uri("r/link")), 0);
	assert_int_equal(symlink("../../beside/e", uri("r/b/file")), 0);
	assert_int_equal(store_remove_all(store, uri("r"), &err), OK);
	assert_int_equal(access(uri("r"), F_OK), -1);
	assert_int_equal(store_stat(store, uri("beside/e"), &bytes, &err), OK);
	assert_int_equal(symlink("beside", uri("trap")), 0);
	assert_int_equal(store_remove_all(store, uri("trap"), &err), OK); /* no folder */
	assert_int_equal(store_remove_all(store, uri("../beside"), &err), INVALID_ARGUMENT);
	assert_int_equal(store_stat(store, uri("beside/e"), &bytes, &err), OK);
	assert_int_equal(store_remove_all(store, uri("beside"), &err), OK);
	assert_int_equal(unlink(uri("trap")), 0);
}

static void test_list(void **state)
{
	(void)state;
	auto_free(arena_free) struct arena *a = arena_new(0);
	const char **names;
	size_t n = 9;
	struct err err;

	assert_int_equal(store_list(store, uri("none"), 3, a, &names, &n, &err), OK);
	assert_int_equal(n, 0);
	assert_int_equal(store_put(store, uri("l/b"), STR("x"), &err), OK);
	assert_int_equal(store_put(store, uri("l/a"), STR("x"), &err), OK);
	assert_int_equal(store_put(store, uri("l/c/d"), STR("x"), &err), OK);
	assert_int_equal(store_put(store, uri("l/.hidden"), STR("x"), &err), OK);
	assert_int_equal(store_list(store, uri("l"), 3, a, &names, &n, &err), OK);
	assert_int_equal(n, 3);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b");
	assert_string_equal(names[2], "c");
	assert_int_equal(store_list(store, uri("l"), 2, a, &names, &n, &err), RESOURCE_EXHAUSTED);
	assert_int_equal(store_list(store, uri("l/../.."), 2, a, &names, &n, &err), INVALID_ARGUMENT);
	assert_int_equal(store_list(store, "/etc", 1000, a, &names, &n, &err), INVALID_ARGUMENT);
}

static void test_traversal(void **state)
{
	(void)state;
	static const char *const bad[] = {"../x", "a/../../x", "a//b", "./a", "a/.", "a/", ""};
	struct err err;
	auto_buf struct buf b = {0};
	uint64_t bytes;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(store_put(store, uri(bad[i]), STR("x"), &err), INVALID_ARGUMENT);
		assert_int_equal(store_get(store, uri(bad[i]), 9, &b, &err), INVALID_ARGUMENT);
	}
	assert_int_equal(store_get(store, "/etc/passwd", 1 << 20, &b, &err), INVALID_ARGUMENT);
	assert_int_equal(store_get(store, "relative", 1 << 20, &b, &err), INVALID_ARGUMENT);

	/* Links that a task may leave behind: outward ones are refused, inward ones work. */
	assert_int_equal(store_put(store, uri("in/file"), STR("mine"), &err), OK);
	assert_int_equal(symlink("/etc/passwd", uri("out")), 0);
	assert_int_equal(symlink("/tmp", uri("outdir")), 0);
	assert_int_equal(symlink("in/file", uri("inward")), 0);
	assert_int_equal(store_get(store, uri("out"), 1 << 20, &b, &err), INVALID_ARGUMENT);
	assert_int_equal(store_stat(store, uri("out"), &bytes, &err), INVALID_ARGUMENT);
	assert_int_equal(store_put(store, uri("outdir/x"), STR("x"), &err), INVALID_ARGUMENT);
	assert_int_equal(b.len, 0);
	assert_int_equal(store_get(store, uri("inward"), 1 << 20, &b, &err), OK);
	assert_string_equal(buf_text(&b), "mine");
	/* Writing over a link replaces the link, not what it points to. */
	assert_int_equal(store_put(store, uri("out"), STR("x"), &err), OK);
}

static void wait_done(void *arg, enum code code, const struct err *err)
{
	(void)err;
	*(_Atomic int *)arg = (int)code + 1;
}

struct got {
	_Atomic int done;
	char *data;
	size_t len;
};

static void wait_read(void *arg, enum code code, char *data, size_t len, const struct err *err)
{
	struct got *g = arg;
	(void)err;
	g->data = data;
	g->len = len;
	g->done = (int)code + 1;
}

static void test_async(void **state)
{
	(void)state;
	_Atomic int done = 0;
	struct got got = {0};

	store_write(store, uri("async"), STR("later"), wait_done, (void *)&done);
	while (!done)
		usleep(100);
	assert_int_equal(done, OK + 1);
	store_read(store, uri("async"), 100, wait_read, &got);
	while (!got.done)
		usleep(100);
	assert_int_equal(got.done, OK + 1);
	assert_int_equal(got.len, 5);
	assert_memory_equal(got.data, "later", 5);
	free(got.data);
	got = (struct got){0};
	store_read(store, uri("nowhere"), 100, wait_read, &got);
	while (!got.done)
		usleep(100);
	assert_int_equal(got.done, NOT_FOUND + 1);
	assert_null(got.data);
}

/* Split a URL made by store_sign into path and query. */
static char *split(struct buf *url, char **ret_query)
{
	char *path = strstr(url->data, "/data/");
	char *q = strchr(path, '?');
	*q = '\0';
	*ret_query = q + 1;
	return path;
}

static void test_sign(void **state)
{
	(void)state;
	const int64_t now = INT64_C(1700000000) * USEC_PER_SEC;
	uint8_t md5[16] = {1, 2, 3}, ret_md5[16];
	bool has_md5 = false;
	struct err err;
	auto_buf struct buf url = {0}, back = {0};
	char *query, *path;

	assert_int_equal(store_sign(store, STORE_PUT, uri("a b/ü?.gz"), now + USEC_PER_SEC,
				    (struct str){(char *)md5, 16}, "example:1", &url, &err),
			 OK);
	assert_true(str_starts(buf_str(&url), "http://example:1/data/a%20b/"));
	path = split(&url, &query);
	assert_int_equal(store_verify(store, STORE_PUT, path, query, now, &back, ret_md5, &has_md5, &err), OK);
	assert_string_equal(buf_text(&back), uri("a b/ü?.gz"));
	assert_true(has_md5);
	assert_memory_equal(md5, ret_md5, 16);

	assert_int_equal(
		store_verify(store, STORE_PUT, path, query, now + 2 * USEC_PER_SEC, &back, ret_md5, &has_md5, &err),
		PERMISSION_DENIED);
	assert_non_null(strstr(err.text, "expired"));
	assert_int_equal(store_verify(store, STORE_GET, path, query, now, &back, ret_md5, &has_md5, &err),
			 PERMISSION_DENIED);
	assert_int_equal(
		store_verify(store, STORE_PUT, "/data/a%20b/other", query, now, &back, ret_md5, &has_md5, &err),
		PERMISSION_DENIED);
	assert_int_equal(store_verify(store, STORE_PUT, "/data/..%2f..%2fetc/passwd", query, now, &back, ret_md5,
				      &has_md5, &err),
			 INVALID_ARGUMENT);
	assert_int_equal(store_verify(store, STORE_PUT, path, "", now, &back, ret_md5, &has_md5, &err),
			 PERMISSION_DENIED);
	/* Every single changed character of the query is seen. */
	for (char *p = query; *p; p++) {
		char was = *p;
		*p = was == '1' ? '2' : '1';
		assert_int_not_equal(store_verify(store, STORE_PUT, path, query, now, &back, ret_md5, &has_md5, &err),
				     OK);
		*p = was;
	}
}

static void test_bad_options(void **state)
{
	(void)state;
	struct store *s = NULL;
	struct err err;
	struct store_options options = {.type = "s4", .root = root};

	assert_int_equal(store_new(&options, &s, &err), INVALID_ARGUMENT);
	options = (struct store_options){.type = "file", .root = "relative"};
	assert_int_equal(store_new(&options, &s, &err), INVALID_ARGUMENT);
	options = (struct store_options){.type = "file", .root = "/proc/nowhere"};
	assert_int_equal(store_new(&options, &s, &err), PERMISSION_DENIED);
	options =
		(struct store_options){.type = "file", .root = root, .public_url = "http://x", .secret = STR("short")};
	assert_int_equal(store_new(&options, &s, &err), INVALID_ARGUMENT);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_get, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_of_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_traversal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_async, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_options, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
