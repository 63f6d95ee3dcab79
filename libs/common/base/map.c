#include "base/map.h"

#include <assert.h>
#include <string.h>

#include "base/ids.h"

enum { MIN_SLOTS = 16 };

/* Without a value, a slot was never used (tag 0) or was given up (tag DELETED: searches go on behind it). */
struct slot {
	uint64_t tag; /* u64map: the key; map: the key's hash */
	void *value;
	struct key *key;
};

enum { UNUSED = 0, DELETED = 1 };

/* What both kinds of map are: linear probing, a power of two of slots, at most 3/4 of them taken or deleted. */
struct table {
	struct slot *slots;
	size_t mask, count, taken; /* taken: with a value or deleted */
	uint64_t secret[2];
};

struct key {
	size_t len;
	char text[];
};

static inline uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein). */
static uint64_t sip13(const uint64_t secret[2], const void *p, size_t len)
{
	uint64_t v[4] = {secret[0] ^ UINT64_C(0x736f6d6570736575), secret[1] ^ UINT64_C(0x646f72616e646f6d),
			 secret[0] ^ UINT64_C(0x6c7967656e657261), secret[1] ^ UINT64_C(0x7465646279746573)};
	const char *at = p;
	uint64_t word;
	for (size_t left = len; left >= sizeof word; left -= sizeof word, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = 0;
	if (len % sizeof word)
		memcpy(&word, at, len % sizeof word);
	word |= (uint64_t)len << 56;
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void table_init(struct table *t)
{
	t->slots = x_calloc(MIN_SLOTS, sizeof *t->slots);
	t->mask = MIN_SLOTS - 1;
	random_bytes(t->secret, sizeof t->secret);
}

/* A map's tags are hashes already; a u64map's are chosen by who knows whom. */
static size_t home(const struct table *t, uint64_t tag, bool hashed)
{
	return (size_t)(hashed ? tag : sip13(t->secret, &tag, sizeof tag)) & t->mask;
}

static bool same_key(const struct slot *s, uint64_t tag, const struct str *key)
{
	return s->tag == tag && (!key || str_eq((struct str){s->key->text, s->key->len}, *key));
}

/* `key` is NULL in a u64map. */
static struct slot *table_find(const struct table *t, uint64_t tag, const struct str *key)
{
	for (size_t i = home(t, tag, key);; i = (i + 1) & t->mask) {
		struct slot *s = &t->slots[i];
		if (s->value ? same_key(s, tag, key) : s->tag == UNUSED)
			return s->value ? s : NULL;
	}
}

/* All values into a table with room for as many again; this also shrinks it and drops deleted slots. */
static void table_rehash(struct table *t, bool hashed)
{
	struct slot *old = t->slots;
	size_t n = t->mask + 1, slots = MIN_SLOTS;
	while (slots < (t->count + 1) * 2)
		slots *= 2;
	t->slots = x_calloc(slots, sizeof *t->slots);
	t->mask = slots - 1;
	t->taken = t->count;
	for (size_t i = 0; i < n; i++) {
		if (!old[i].value)
			continue;
		size_t to = home(t, old[i].tag, hashed);
		while (t->slots[to].value)
			to = (to + 1) & t->mask;
		t->slots[to] = old[i];
	}
	free(old);
}

/* A slot for a key that is not in the table. */
static struct slot *table_add(struct table *t, uint64_t tag, bool hashed)
{
	if ((t->taken + 1) * 4 > (t->mask + 1) * 3)
		table_rehash(t, hashed);
	size_t i = home(t, tag, hashed);
	while (t->slots[i].value)
		i = (i + 1) & t->mask;
	struct slot *s = &t->slots[i];
	t->taken += s->tag == UNUSED;
	t->count++;
	s->tag = tag;
	return s;
}

static void *table_remove(struct table *t, struct slot *s)
{
	void *value = s->value;
	*s = (struct slot){.tag = DELETED};
	t->count--;
	size_t i = (size_t)(s - t->slots);
	const struct slot *next = &t->slots[(i + 1) & t->mask];
	/* Nothing is searched for behind the end of a run, so its deleted slots are as good as new. */
	if (next->value || next->tag == DELETED)
		return value;
	for (; !t->slots[i].value && t->slots[i].tag == DELETED; i = (i - 1) & t->mask) {
		t->slots[i].tag = UNUSED;
		t->taken--;
	}
	return value;
}

static const struct slot *table_next(const struct table *t, size_t *it)
{
	while (*it <= t->mask) {
		const struct slot *s = &t->slots[(*it)++];
		if (s->value)
			return s;
	}
	return NULL;
}

struct map {
	struct table t;
};

struct map *map_new(void)
{
	struct map *m = x_calloc(1, sizeof *m);
	table_init(&m->t);
	return m;
}

void map_free(struct map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i <= m->t.mask; i++)
		free(m->t.slots[i].key);
	free(m->t.slots);
	free(m);
}

size_t map_count(const struct map *m)
{
	return m->t.count;
}

static struct slot *map_find(const struct map *m, struct str key)
{
	return table_find(&m->t, sip13(m->t.secret, key.ptr, key.len), &key);
}

void *map_get(const struct map *m, struct str key)
{
	struct slot *s = map_find(m, key);
	return s ? s->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	assert(value);
	uint64_t tag = sip13(m->t.secret, key.ptr, key.len);
	struct slot *s = table_find(&m->t, tag, &key);
	void *before = s ? s->value : NULL;
	if (!s) {
		s = table_add(&m->t, tag, true);
		s->key = x_malloc(sizeof *s->key + key.len);
		s->key->len = key.len;
		if (key.len)
			memcpy(s->key->text, key.ptr, key.len);
	}
	s->value = value;
	return before;
}

void *map_remove(struct map *m, struct str key)
{
	struct slot *s = map_find(m, key);
	if (!s)
		return NULL;
	free(s->key);
	return table_remove(&m->t, s);
}

bool map_next(const struct map *m, size_t *it, struct str *ret_key, void **ret_value)
{
	const struct slot *s = table_next(&m->t, it);
	if (!s)
		return false;
	if (ret_key)
		*ret_key = (struct str){s->key->text, s->key->len};
	if (ret_value)
		*ret_value = s->value;
	return true;
}

struct u64map {
	struct table t;
};

struct u64map *u64map_new(void)
{
	struct u64map *m = x_calloc(1, sizeof *m);
	table_init(&m->t);
	return m;
}

void u64map_free(struct u64map *m)
{
	if (!m)
		return;
	free(m->t.slots);
	free(m);
}

size_t u64map_count(const struct u64map *m)
{
	return m->t.count;
}

void *u64map_get(const struct u64map *m, uint64_t key)
{
	struct slot *s = table_find(&m->t, key, NULL);
	return s ? s->value : NULL;
}

void *u64map_put(struct u64map *m, uint64_t key, void *value)
{
	assert(value);
	struct slot *s = table_find(&m->t, key, NULL);
	void *before = s ? s->value : NULL;
	if (!s)
		s = table_add(&m->t, key, false);
	s->value = value;
	return before;
}

void *u64map_remove(struct u64map *m, uint64_t key)
{
	struct slot *s = table_find(&m->t, key, NULL);
	return s ? table_remove(&m->t, s) : NULL;
}

bool u64map_next(const struct u64map *m, size_t *it, uint64_t *ret_key, void **ret_value)
{
	const struct slot *s = table_next(&m->t, it);
	if (!s)
		return false;
	if (ret_key)
		*ret_key = s->tag;
	if (ret_value)
		*ret_value = s->value;
	return true;
}
