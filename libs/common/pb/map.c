#include "pb/pb.h"
#include "pb/private.h"

bool pb_field_is_map(const ProtobufCFieldDescriptor *f)
{
	return f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE &&
	       pb_is_map_entry(f->descriptor, f->name);
}

/* protoc names the entry of `field_name` FieldNameEntry, and lets nobody else take that name. */
bool pb_is_map_entry(const ProtobufCMessageDescriptor *d, const char *field_name)
{
	const char *p = d->short_name;
	bool up = true;

	if (d->n_fields != 2 || d->fields[0].id != 1 || d->fields[1].id != 2 || strcmp(d->fields[0].name, "key") != 0 ||
	    strcmp(d->fields[1].name, "value") != 0)
		return false;
	for (const char *s = field_name; *s; s++) {
		if (*s == '_') {
			up = true;
			continue;
		}
		char c = up && *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s;
		if (*p++ != c)
			return false;
		up = false;
	}
	return strcmp(p, "Entry") == 0;
}

struct entry {
	const ProtobufCMessage *entry;
	size_t index;
};

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_as(ProtobufCType type, const void *a, const void *b)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING: return strcmp(*(const char *const *)a, *(const char *const *)b);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64: return COMPARE(*(const int64_t *)a, *(const int64_t *)b);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: return COMPARE(*(const uint64_t *)a, *(const uint64_t *)b);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32: return COMPARE(*(const uint32_t *)a, *(const uint32_t *)b);
	default: return COMPARE(*(const int32_t *)a, *(const int32_t *)b);
	}
}

static int compare_keys(const struct entry *a, const struct entry *b)
{
	const ProtobufCFieldDescriptor *key = &a->entry->descriptor->fields[0];

	return compare_as(key->type, (const char *)a->entry + key->offset, (const char *)b->entry + key->offset);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int by_key = compare_keys(x, y);

	return by_key ? by_key : COMPARE(x->index, y->index);
}

const ProtobufCMessage **pb_map_sorted(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t *ret_n)
{
	size_t n = *(const size_t *)((const char *)m + f->quantifier_offset), kept = 0;
	ProtobufCMessage *const *entries = *(ProtobufCMessage *const *const *)((const char *)m + f->offset);
	struct entry *sorted = x_malloc(n * sizeof *sorted + 1);
	const ProtobufCMessage **ret = x_malloc(n * sizeof *ret + 1);

	for (size_t i = 0; i < n; i++)
		sorted[i] = (struct entry){entries[i], i};
	qsort(sorted, n, sizeof *sorted, compare_entries);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || compare_keys(&sorted[i], &sorted[i + 1]) != 0)
			ret[kept++] = sorted[i].entry;
	free(sorted);
	*ret_n = kept;
	return ret;
}
