#include "base/ids.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/mem.h"

void random_bytes(void *p, size_t n)
{
	char *at = p;
	while (n) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno != EINTR)
			abort();
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
}

uint64_t random_u64(void)
{
	uint64_t n;
	random_bytes(&n, sizeof n);
	return n;
}

uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void random_name(uint64_t seed, size_t n, char *ret)
{
	static const char CHARS[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	for (size_t i = 0; i < n; i++)
		ret[i] = CHARS[splitmix64(&seed) % (sizeof CHARS - 1)];
	ret[n] = 0;
}

uint32_t fnv32a(struct str s)
{
	uint32_t h = UINT32_C(2166136261);
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.ptr[i]) * UINT32_C(16777619);
	return h;
}

uint64_t fnv64a(struct str s)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.ptr[i]) * UINT64_C(1099511628211);
	return h;
}

/* libcrypto fails here only when memory is out or the machine forbids the algorithm (FIPS without MD5). */
static void must(bool ok)
{
	if (!ok)
		abort();
}

void md5(const void *p, size_t n, uint8_t ret[MD5_BYTES])
{
	must(EVP_Digest(p, n, ret, NULL, EVP_md5(), NULL));
}

void sha256(const void *p, size_t n, uint8_t ret[SHA256_BYTES])
{
	must(EVP_Digest(p, n, ret, NULL, EVP_sha256(), NULL));
}

void hmac_sha256(struct str key, struct str text, uint8_t ret[SHA256_BYTES])
{
	assert(key.len <= INT_MAX);
	must(HMAC(EVP_sha256(), key.ptr ? key.ptr : "", (int)key.len, (const uint8_t *)(text.ptr ? text.ptr : ""),
		  text.len, ret, NULL));
}

static struct hasher *hasher_new(const EVP_MD *md)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	must(ctx && EVP_DigestInit_ex(ctx, md, NULL));
	return (struct hasher *)ctx;
}

struct hasher *hasher_md5(void)
{
	return hasher_new(EVP_md5());
}

struct hasher *hasher_sha256(void)
{
	return hasher_new(EVP_sha256());
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
	must(EVP_DigestUpdate((EVP_MD_CTX *)h, p, n));
}

void hasher_finish(struct hasher *h, uint8_t *ret)
{
	if (h && ret)
		must(EVP_DigestFinal_ex((EVP_MD_CTX *)h, ret, NULL));
	EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

void hex_add(struct buf *b, const void *p, size_t n)
{
	const uint8_t *in = p;
	char *at = buf_reserve(b, n * 2);
	if (!at)
		return;
	for (size_t i = 0; i < n; i++) {
		*at++ = "0123456789abcdef"[in[i] >> 4];
		*at++ = "0123456789abcdef"[in[i] & 15];
	}
	buf_commit(b, n * 2);
}

/* `bits` per character; the last character is filled up with zero bits. Returns how many were written. */
static size_t encode(const char *alphabet, unsigned bits, const uint8_t *in, size_t n, char *out)
{
	uint32_t word = 0;
	unsigned have = 0;
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		word = word << 8 | in[i];
		for (have += 8; have >= bits; have -= bits)
			out[len++] = alphabet[word >> (have - bits) & ((1u << bits) - 1)];
	}
	if (have)
		out[len++] = alphabet[word << (bits - have) & ((1u << bits) - 1)];
	return len;
}

void base64_add(struct buf *b, const void *p, size_t n, bool url)
{
	static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *at = buf_reserve(b, n / 3 * 4 + 4);
	if (!at)
		return;
	size_t len = encode(url ? URL : STANDARD, 6, p, n, at);
	while (len % 4)
		at[len++] = '=';
	buf_commit(b, len);
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(struct buf *b, struct str s)
{
	bool padded = s.len % 4 == 0;
	for (int i = 0; i < 2 && padded && s.len && s.ptr[s.len - 1] == '='; i++)
		s.len--;
	char *at = s.len % 4 == 1 ? NULL : buf_reserve(b, s.len / 4 * 3 + 3);
	if (!at)
		return false;
	uint32_t word = 0;
	size_t len = 0;
	for (size_t i = 0; i < s.len; i++) {
		int value = base64_value(s.ptr[i]);
		if (value < 0) {
			*at = 0;
			return false;
		}
		word = word << 6 | (uint32_t)value;
		if (i % 4)
			at[len++] = (char)(word >> (6 - 2 * (i % 4)));
	}
	buf_commit(b, len);
	return true;
}

void base32_add(struct buf *b, const void *p, size_t n)
{
	char *at = buf_reserve(b, n / 5 * 8 + 8);
	if (at)
		buf_commit(b, encode("abcdefghijklmnopqrstuvwxyz123456", 5, p, n, at));
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

void url_encode(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (is_unreserved(s.ptr[i]))
			buf_addc(b, s.ptr[i]);
		else
			buf_printf(b, "%%%02X", (uint8_t)s.ptr[i]);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool url_decode(struct buf *b, struct str s)
{
	char *at = buf_reserve(b, s.len);
	if (!at)
		return false;
	size_t len = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '%') {
			at[len++] = s.ptr[i];
			continue;
		}
		int high = s.len - i > 2 ? hex_value(s.ptr[i + 1]) : -1;
		int low = high < 0 ? -1 : hex_value(s.ptr[i + 2]);
		if (low < 0) {
			*at = 0;
			return false;
		}
		at[len++] = (char)(high << 4 | low);
		i += 2;
	}
	buf_commit(b, len);
	return true;
}
