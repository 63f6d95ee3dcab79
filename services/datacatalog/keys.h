/* Keys of rows: the first 16 bytes of a SHA-256 over names. Names come with their length, so no two lists of names make
 * the same text. Pure functions. */
#pragma once
#include "base/arena.h"
#include "flyteidl/datacatalog/datacatalog.h"

enum { KEY_BYTES = 16 };

struct key {
	char bytes[KEY_BYTES];
};

/* What a name stands for; the same name makes different keys. */
enum key_kind { KEY_ARTIFACT = 'a', KEY_TAG = 't', KEY_OUTPUT = 'c' };

/* Project, domain, name, version. */
struct key key_of_dataset(const DatacatalogDatasetID *id);
/* Something of a dataset's. */
struct key key_of_member(enum key_kind kind, const struct key *dataset, const char *name);
/* Something that belongs to no dataset. */
struct key key_of_name(enum key_kind kind, const char *name);

static inline struct key key_of_tag(const DatacatalogDatasetID *id, const char *tag)
{
	struct key dataset = key_of_dataset(id);
	return key_of_member(KEY_TAG, &dataset, tag);
}

static inline struct key key_of_artifact(const DatacatalogDatasetID *id, const char *artifact)
{
	struct key dataset = key_of_dataset(id);
	return key_of_member(KEY_ARTIFACT, &dataset, artifact);
}

static inline struct str key_str(const struct key *k)
{
	return (struct str){k->bytes, KEY_BYTES};
}

/* A path of names below `root`: "<root>/<name>/<name>…". Slashes, percent signs and control characters of a name are
 * percent-encoded, so are names that mean a directory; a name that is too long for a file ends with its hash. So no
 * name leaves its place, and different names make different paths. `names` ends with NULL. In `a`. */
const char *path_of_names(struct arena *a, const char *root, const char *const *names);
