/* Random numbers, hashes and text encodings that names and ids are made of. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

void random_bytes(void *p, size_t n); /* from the kernel; aborts if it has none */
uint64_t random_u64(void);
/* `n` characters of [a-z0-9] and a NUL into `ret` (n + 1 bytes), from `seed` (splitmix64): same seed, same text. */
void random_name(uint64_t seed, size_t n, char *ret);
/* splitmix64 (public domain, Vigna): the next number of the sequence at *state. */
uint64_t splitmix64(uint64_t *state);

/* FNV-1a. */
uint32_t fnv32a(struct str s);
uint64_t fnv64a(struct str s);

enum { MD5_BYTES = 16, SHA256_BYTES = 32 };
void md5(const void *p, size_t n, uint8_t ret[MD5_BYTES]);
void sha256(const void *p, size_t n, uint8_t ret[SHA256_BYTES]);
void hmac_sha256(struct str key, struct str text, uint8_t ret[SHA256_BYTES]);
/* In pieces: start, add any number of times, finish (which frees; finish with ret NULL only frees). */
struct hasher;
struct hasher *hasher_md5(void);
struct hasher *hasher_sha256(void);
void hasher_add(struct hasher *h, const void *p, size_t n);
void hasher_finish(struct hasher *h, uint8_t *ret);

void hex_add(struct buf *b, const void *p, size_t n);
/* Base64 (RFC 4648 section 4; url: section 5), with padding; decoding takes both alphabets, padded or not. */
void base64_add(struct buf *b, const void *p, size_t n, bool url);
bool base64_decode(struct buf *b, struct str s);
/* Base32 with Flyte's alphabet [a-z1-6], no padding. Source: flyteplugins pluginmachinery/encoding/encoder.go. */
void base32_add(struct buf *b, const void *p, size_t n);
/* Percent-encoding (RFC 3986 unreserved characters stay); decoding leaves '+' alone. */
void url_encode(struct buf *b, struct str s);
bool url_decode(struct buf *b, struct str s);
