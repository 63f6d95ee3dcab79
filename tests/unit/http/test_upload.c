/* Uploads: streamed to a file, in little memory, with MD5; nothing stays behind. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "client.h"

static char dir[] = "/tmp/alula-upload-XXXXXX";
static char kept[64];
static struct http_server *server;
static int port;

static void put_object(struct http_request *rq, struct http_response *rs)
{
	struct stat st = {0};
	if (!rq->upload_path || stat(rq->upload_path, &st) || (uint64_t)st.st_size != rq->upload_bytes)
		return http_response_text(rs, 500, "no upload");
	if (strstr(rq->path, "/keep") && rename(rq->upload_path, kept))
		return http_response_text(rs, 500, "rename: %s", strerror(errno));
	buf_printf(&rs->body, "%llu ", (unsigned long long)rq->upload_bytes);
	hex_add(&rs->body, rq->upload_md5, sizeof rq->upload_md5);
}

static void get_object(struct http_request *rq, struct http_response *rs)
{
	http_response_text(rs, rq->upload_path ? 500 : 404, "nothing here");
}

static bool admit(struct http_request *rq, struct http_response *rs)
{
	const char *signature = http_query(rq, "signature");
	if (signature && strcmp(signature, "good") == 0)
		return true;
	http_response_text(rs, 403, "bad signature");
	return false;
}

static const struct http_route routes[] = {
	{.verb = "PUT", .path = "/up/*", .fn = put_object, .upload = true, .admit = admit},
	{.verb = "GET", .path = "/up/*", .fn = get_object},
	{0},
};

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(kept, sizeof kept, "%s/kept", dir);
	server = serve((struct http_server_options){.upload_dir = dir,
						    .max_body_bytes = 1000,
						    .max_upload_bytes = 600 << 20,
						    .request_timeout_us = USEC_PER_SEC},
		       routes);
	port = http_server_port(server);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_server_stop(server, USEC_PER_SEC);
	return rmdir(dir);
}

/* Files vanish after the response has gone: give the server a moment. */
static void assert_empty(void)
{
	for (int i = 0; i < 4000 && files_in(dir); i++)
		usleep(5000);
	assert_int_equal(files_in(dir), 0);
}

#define UP(path, rest) "PUT /up/" path "?signature=good HTTP/1.1\r\nHost: h\r\n" rest

static void test_small(void **state)
{
	(void)state;
	expect(port, UP("x", "Content-Length: 3\r\n\r\nabc"), 200, "3 900150983cd24fb0d6963f7d28e17f72");
	expect(port, UP("x", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), 200,
	       "3 900150983cd24fb0d6963f7d28e17f72");
	expect(port, UP("x", "Content-Length: 0\r\n\r\n"), 200, "0 d41d8cd98f00b204e9800998ecf8427e");
	expect(port, "GET /up/x HTTP/1.1\r\nHost: h\r\n\r\n", 404, NULL);
	assert_empty();
}

static void test_rename(void **state)
{
	(void)state;
	expect(port, UP("keep", "Content-Length: 3\r\n\r\nabc"), 200, "3 900150983cd24fb0d6963f7d28e17f72");
	assert_int_equal(files_in(dir), 1);
	assert_int_equal(unlink(kept), 0);
}

static void test_refused(void **state)
{
	(void)state;
	/* Without waiting for our word the client gets the reason all the same. */
	expect(port, "PUT /up/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 403, "bad signature\n");
	expect(port, "PUT /up/x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 403, "bad signature\n");
	expect(port, "PUT /up/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", 403, NULL);
	expect(port, UP("x", "Expect: 100-continue\r\nContent-Length: 700000000\r\n\r\n"), 413, NULL);
	assert_int_equal(files_in(dir), 0);
}

static void test_longer_than_a_plain_request(void **state)
{
	(void)state;
	int fd = dial(port);
	puts_to(fd, UP("x", "Content-Length: 10\r\n\r\n"));
	for (int i = 0; i < 10; i++) {
		assert_true(puts_to(fd, "a"));
		usleep(150 * 1000);
	}
	struct reply r = get_reply(fd, false);
	assert_int_equal(r.status, 200);
	free(r.body);
	close(fd);
}

static void test_aborted(void **state)
{
	static char block[1 << 16];
	(void)state;
	for (int i = 0; i < 20; i++) {
		int fd = dial(port);
		puts_to(fd, UP("x", "Content-Length: 100000000\r\n\r\n"));
		for (int k = 0; k < i; k++)
			put(fd, block, sizeof block);
		if (i == 19) {
			for (int k = 0; k < 4000 && !files_in(dir); k++)
				usleep(5000);
			assert_true(files_in(dir) > 0);
		}
		close(fd);
	}
	assert_empty();
}

static void test_what_a_crash_left(void **state)
{
	(void)state;
	char old[80], recent[80], other[80];
	snprintf(old, sizeof old, "%s/.upload-old", dir);
	snprintf(recent, sizeof recent, "%s/.upload-new", dir);
	snprintf(other, sizeof other, "%s/other", dir);
	const char *const paths[] = {old, recent, other};
	struct timespec past[2] = {{time(NULL) - 8000, 0}, {time(NULL) - 8000, 0}};
	for (int i = 0; i < 3; i++) {
		close(open(paths[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		if (i != 1)
			utimensat(AT_FDCWD, paths[i], past, 0);
	}
	http_server_stop(serve((struct http_server_options){.upload_dir = dir}, routes), 0);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(unlink(recent), 0);
	assert_int_equal(unlink(other), 0);
}

static void test_500_megabytes(void **state)
{
	(void)state;
	static char block[1 << 20];
	struct hasher *md5 = hasher_md5();
	uint8_t digest[MD5_BYTES];
	auto_buf struct buf want = {0};
	int fd = dial(port);
	memset(block, 7, sizeof block);
	puts_to(fd, UP("x", "Content-Length: 524288000\r\n\r\n"));
	long before_kib = memory_kib("VmRSS:"), most_kib = 0;
	int64_t from_us = time_mono_us();
	for (int i = 0; i < 500; i++) {
		assert_true(put(fd, block, sizeof block));
		hasher_add(md5, block, sizeof block);
		most_kib = MAX(most_kib, memory_kib("VmRSS:"));
	}
	struct reply r = get_reply(fd, false);
	int64_t took_us = time_mono_us() - from_us;
	hasher_finish(md5, digest);
	buf_printf(&want, "%d ", 500 << 20);
	hex_add(&want, digest, sizeof digest);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, buf_text(&want));
	print_message("500 MiB in %lld ms, at most %ld KiB more memory\n", (long long)took_us / 1000,
		      most_kib - before_kib);
	assert_true(most_kib - before_kib < 16 * 1024);
	assert_true(took_us < 60 * USEC_PER_SEC);
	free(r.body);
	close(fd);
	assert_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),         cmocka_unit_test(test_rename),
		cmocka_unit_test(test_refused),       cmocka_unit_test(test_longer_than_a_plain_request),
		cmocka_unit_test(test_aborted),       cmocka_unit_test(test_what_a_crash_left),
		cmocka_unit_test(test_500_megabytes),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
