#include "flyte/ids.h"

#include <string.h>

#include "base/ids.h"

static const char *hashed(struct arena *a, struct str text, enum unique_id_hash hash)
{
	uint64_t h = hash == UNIQUE_ID_FNV64 ? fnv64a(text) : fnv32a(text);
	size_t n = hash == UNIQUE_ID_FNV64 ? 8 : 4;
	unsigned char big_endian[8];
	auto_buf struct buf b = {0};

	for (size_t i = 0; i < n; i++)
		big_endian[i] = (unsigned char)(h >> 8 * (n - 1 - i));
	buf_addc(&b, 'f');
	base32_add(&b, big_endian, n);
	return arena_strndup(a, b.data, b.len);
}

const char *flyte_unique_id(struct arena *a, const char *const *parts, size_t n, size_t max, enum unique_id_hash hash)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += (len > 0) + strlen(parts[i]);
	char *text = arena_alloc(a, len + 1), *end = text;
	for (size_t i = 0; i < n; i++) {
		size_t part = strlen(parts[i]);
		if (end > text)
			*end++ = '-';
		memcpy(end, parts[i], part);
		end += part;
	}
	*end = '\0';
	return len <= max ? text : hashed(a, (struct str){text, len}, hash);
}
