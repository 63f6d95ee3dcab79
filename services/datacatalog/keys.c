#include "keys.h"

#include "base/base.h"

enum { MAX_FILE_NAME = 200, LONG_NAME_START = 120 };

static void add_name(struct buf *b, const char *name)
{
	uint32_t len = (uint32_t)strlen(name);

	buf_add(b, &len, sizeof len);
	buf_add(b, name, len);
}

static struct key digest(const struct buf *b)
{
	uint8_t hash[SHA256_BYTES];
	struct key k;

	sha256(b->data, b->len, hash);
	memcpy(k.bytes, hash, sizeof k.bytes);
	return k;
}

struct key key_of_dataset(const DatacatalogDatasetID *id)
{
	auto_buf struct buf b = {0};

	add_name(&b, id->project);
	add_name(&b, id->domain);
	add_name(&b, id->name);
	add_name(&b, id->version);
	return digest(&b);
}

struct key key_of_member(enum key_kind kind, const struct key *dataset, const char *name)
{
	auto_buf struct buf b = {0};

	buf_addc(&b, (char)kind);
	buf_add_str(&b, key_str(dataset));
	add_name(&b, name);
	return digest(&b);
}

struct key key_of_name(enum key_kind kind, const char *name)
{
	auto_buf struct buf b = {0};

	buf_addc(&b, (char)kind);
	add_name(&b, name);
	return digest(&b);
}

static void add_encoded(struct buf *b, const char *name)
{
	bool directory = !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;

	if (!*name)
		buf_adds(b, "%");
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (directory || *p == '/' || *p == '%' || *p < 0x20 || *p == 0x7f)
			buf_printf(b, "%%%02X", *p);
		else
			buf_addc(b, (char)*p);
}

static void add_file_name(struct buf *b, const char *name)
{
	auto_buf struct buf encoded = {0};
	uint8_t hash[SHA256_BYTES];

	add_encoded(&encoded, name);
	if (encoded.len <= MAX_FILE_NAME) {
		buf_add_str(b, buf_str(&encoded));
		return;
	}
	sha256(name, strlen(name), hash);
	/* Cut between characters. */
	size_t n = LONG_NAME_START;
	while (n && ((unsigned char)encoded.data[n] & 0xc0) == 0x80)
		n--;
	buf_add(b, encoded.data, n);
	buf_addc(b, '%');
	hex_add(b, hash, sizeof hash);
}

const char *path_of_names(struct arena *a, const char *root, const char *const *names)
{
	auto_buf struct buf b = {0};

	buf_adds(&b, root);
	for (; *names; names++) {
		buf_addc(&b, '/');
		add_file_name(&b, *names);
	}
	return arena_strdup(a, buf_text(&b));
}
