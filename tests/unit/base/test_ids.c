#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/ids.h"

static void check_hex(const void *p, size_t n, const char *want)
{
	auto_buf struct buf b = {0};
	hex_add(&b, p, n);
	assert_string_equal(buf_text(&b), want);
}

static void test_random(void **state)
{
	(void)state;
	unsigned char big[1000] = {0}, zeros[16] = {0};
	random_bytes(big, sizeof big);
	random_bytes(NULL, 0);
	assert_memory_not_equal(big, zeros, sizeof zeros);
	assert_memory_not_equal(big + sizeof big - 16, zeros, sizeof zeros);
	assert_true(random_u64() != random_u64());
}

static void test_splitmix(void **state)
{
	(void)state;
	uint64_t seed = 1234567;
	assert_true(splitmix64(&seed) == UINT64_C(6457827717110365317));
	assert_true(splitmix64(&seed) == UINT64_C(3203168211198807973));
	assert_true(splitmix64(&seed) == UINT64_C(9817491932198370423));
}

static void test_random_name(void **state)
{
	(void)state;
	char a[21], b[21], c[1], first[256] = {0};
	random_name(7, 20, a);
	random_name(7, 20, b);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 20);
	assert_int_equal(strspn(a, "abcdefghijklmnopqrstuvwxyz0123456789"), 20);
	random_name(8, 20, b);
	assert_string_not_equal(a, b);
	random_name(7, 0, c);
	assert_string_equal(c, "");
	for (uint64_t seed = 0; seed < 2000; seed++) {
		random_name(seed, 1, a);
		first[(unsigned char)a[0]] = 1;
	}
	assert_null(memchr(first + 'a', 0, 26));
	assert_null(memchr(first + '0', 0, 10));
}

static void test_fnv(void **state)
{
	(void)state;
	assert_int_equal(fnv32a(STR("")), 0x811c9dc5);
	assert_int_equal(fnv32a(STR("a")), 0xe40c292c);
	assert_int_equal(fnv32a(STR("foobar")), 0xbf9cf968);
	assert_true(fnv64a(STR("")) == UINT64_C(0xcbf29ce484222325));
	assert_true(fnv64a(STR("a")) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(fnv64a(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

/* RFC 1321, FIPS 180-4 and RFC 4231 (test case 2) give these. */
static void test_digests(void **state)
{
	(void)state;
	static const char SHA_ABC[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char MD5_ABC[] = "900150983cd24fb0d6963f7d28e17f72";
	uint8_t digest[SHA256_BYTES];
	md5("abc", 3, digest);
	check_hex(digest, MD5_BYTES, MD5_ABC);
	md5(NULL, 0, digest);
	check_hex(digest, MD5_BYTES, "d41d8cd98f00b204e9800998ecf8427e");
	sha256("abc", 3, digest);
	check_hex(digest, SHA256_BYTES, SHA_ABC);
	hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), digest);
	check_hex(digest, SHA256_BYTES, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_sha256((struct str){0}, (struct str){0}, digest);
	check_hex(digest, SHA256_BYTES, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");

	struct hasher *h = hasher_sha256();
	hasher_add(h, "a", 1);
	hasher_add(h, NULL, 0);
	hasher_add(h, "bc", 2);
	hasher_finish(h, digest);
	check_hex(digest, SHA256_BYTES, SHA_ABC);
	h = hasher_md5();
	hasher_add(h, "abc", 3);
	hasher_finish(h, digest);
	check_hex(digest, MD5_BYTES, MD5_ABC);
	hasher_finish(hasher_md5(), NULL);
	hasher_finish(NULL, NULL);
}

/* RFC 4648 section 10. */
static void test_base64(void **state)
{
	(void)state;
	static const char *const CASES[][2] = {{"", ""},
					       {"f", "Zg=="},
					       {"fo", "Zm8="},
					       {"foo", "Zm9v"},
					       {"foob", "Zm9vYg=="},
					       {"fooba", "Zm9vYmE="},
					       {"foobar", "Zm9vYmFy"}};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		auto_buf struct buf b = {0}, plain = {0};
		base64_add(&b, CASES[i][0], strlen(CASES[i][0]), false);
		assert_string_equal(buf_text(&b), CASES[i][1]);
		assert_true(base64_decode(&plain, buf_str(&b)));
		assert_string_equal(buf_text(&plain), CASES[i][0]);
		buf_reset(&plain);
		size_t without_padding = strcspn(CASES[i][1], "=");
		assert_true(base64_decode(&plain, (struct str){CASES[i][1], without_padding}));
		assert_string_equal(buf_text(&plain), CASES[i][0]);
	}
}

static void test_base64_alphabets(void **state)
{
	(void)state;
	auto_buf struct buf b = {0};
	base64_add(&b, "\xfb\xff\xfe", 3, false);
	buf_addc(&b, ' ');
	base64_add(&b, "\xfb\xff\xfe", 3, true);
	assert_string_equal(buf_text(&b), "+//+ -__-");
	buf_reset(&b);
	assert_true(base64_decode(&b, STR("+//+-__-")));
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "\xfb\xff\xfe\xfb\xff\xfe", 6);
}

static void test_base64_all_bytes(void **state)
{
	(void)state;
	uint8_t bytes[256];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 37);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		auto_buf struct buf b = {0}, back = {0};
		base64_add(&b, bytes, n, n % 2);
		assert_int_equal(b.len, (n + 2) / 3 * 4);
		assert_true(base64_decode(&back, buf_str(&b)));
		assert_int_equal(back.len, n);
		assert_memory_equal(buf_text(&back), bytes, n);
	}
}

static void test_bad_base64(void **state)
{
	(void)state;
	static const char *const BAD[] = {"A",     "AAAAA",    "=",    "==",    "====",  "A===", "AA=",
					  "AAA=A", "AA==AA==", "AA A", "AAA\n", "Zm9v=", "Z@==", "\xff\xff\xff\xff"};
	for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
		auto_buf struct buf b = {0};
		buf_adds(&b, "x");
		if (base64_decode(&b, str_of(BAD[i])))
			fail_msg("%s", BAD[i]);
		assert_string_equal(buf_text(&b), "x");
	}
	auto_buf struct buf small = {.limit = 2};
	assert_false(base64_decode(&small, STR("Zm9vYmFy")));
}

static void check_base32(const void *p, size_t n, const char *want)
{
	auto_buf struct buf b = {0};
	base32_add(&b, p, n);
	assert_string_equal(buf_text(&b), want);
}

/* What Flyte's FixedLengthUniqueID makes: "f" and the base32 of the big-endian FNV-1a hash. */
static void check_fixed_length(const char *text, bool wide, const char *want)
{
	uint8_t bytes[8];
	uint64_t hash = wide ? fnv64a(str_of(text)) : fnv32a(str_of(text));
	size_t n = wide ? 8 : 4;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(hash >> 8 * (n - 1 - i));
	check_base32(bytes, n, want + 1);
}

static void test_base32(void **state)
{
	(void)state;
	check_base32("", 0, "");
	check_base32("\0", 1, "aa");
	check_base32("\xff\xff\xff\xff\xff", 5, "66666666");
	/* Source: the expectations of flyteplugins' encoder_test.go. */
	check_fixed_length("xx", false, "flfryc2i");
	check_fixed_length("xxxxxx", false, "fufiti6i");
	check_fixed_length("xxxxxxxxxxxxxxxxxxxxxxxx", false, "fuaa3aji");
	check_fixed_length("x-y", false, "fz2jizji");
	check_fixed_length("x-y-z", false, "fxzsoqrq");
	check_fixed_length("x-y-z-m-n-y-z-m-n-y-z-m-n", false, "fe63sz6y");
	check_fixed_length("x-y-z-m-n-y-z-m-n-y-z-m-n", true, "fwp4bky2kucex5");
}

static void test_url(void **state)
{
	(void)state;
	auto_buf struct buf b = {0}, back = {0};
	url_encode(&b, STR("aZ09-._~ /+%?\xc3\xa9\0"));
	assert_string_equal(buf_text(&b), "aZ09-._~%20%2F%2B%25%3F%C3%A9%00");
	assert_true(url_decode(&back, buf_str(&b)));
	assert_true(str_eq(buf_str(&back), STR("aZ09-._~ /+%?\xc3\xa9\0")));
	buf_reset(&back);
	assert_true(url_decode(&back, STR("a+b%2f%2F")));
	assert_string_equal(buf_text(&back), "a+b//");
	static const char *const BAD[] = {"%", "%2", "a%2", "%zz", "%2g", "%g2", "%%41"};
	for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
		auto_buf struct buf bad = {0};
		if (url_decode(&bad, str_of(BAD[i])))
			fail_msg("%s", BAD[i]);
		assert_int_equal(bad.len, 0);
	}
	buf_reset(&back);
	assert_true(url_decode(&back, (struct str){0}));
	assert_int_equal(back.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_splitmix),
		cmocka_unit_test(test_random_name),
		cmocka_unit_test(test_fnv),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_alphabets),
		cmocka_unit_test(test_base64_all_bytes),
		cmocka_unit_test(test_bad_base64),
		cmocka_unit_test(test_base32),
		cmocka_unit_test(test_url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
