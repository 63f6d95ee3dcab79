#include "difference.h"

#include <string.h>

#include "flyte/text.h"
#include "pb/pb.h"

struct walk {
	struct buf path, *out;
	size_t start, max_bytes;
};

static void compare(struct walk *w, const ProtobufCMessage *old, const ProtobufCMessage *new);

static void add_value(const ProtobufCFieldDescriptor *f, const void *at, struct buf *b)
{
	if (at)
		value_add_text(f, at, b);
	else
		buf_adds(b, "<nil>");
}

/* Two values of one field, NULL for absent. */
static void compare_values(struct walk *w, const ProtobufCFieldDescriptor *f, const void *old, const void *new)
{
	if (w->out->len - w->start > w->max_bytes)
		return;
	if (old && new && f->type == PROTOBUF_C_TYPE_MESSAGE) {
		compare(w, *(const ProtobufCMessage *const *)old, *(const ProtobufCMessage *const *)new);
		return;
	}
	auto_buf struct buf before = {.limit = w->max_bytes}, after = {.limit = w->max_bytes};
	add_value(f, old, &before);
	add_value(f, new, &after);
	if (!before.failed && !after.failed && str_eq(buf_str(&before), buf_str(&after)))
		return;
	buf_printf(w->out, "%s%s:\n\t- %s \n\t+ %s", w->out->len > w->start ? "\n" : "", buf_text(&w->path),
		   buf_text(&before), buf_text(&after));
}

static const char *element(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i)
{
	size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
	return i < n ? *(const char *const *)((const char *)m + f->offset) + i * pb_type_size(f->type) : NULL;
}

static void compare_lists(struct walk *w, const ProtobufCFieldDescriptor *f, const ProtobufCMessage *old,
			  const ProtobufCMessage *new)
{
	size_t len = w->path.len;
	const char *before, *after;

	for (size_t i = 0; before = element(old, f, i), after = element(new, f, i), before || after; i++) {
		buf_printf(&w->path, "/%zu", i);
		compare_values(w, f, before, after);
		w->path.len = len;
	}
}

/* All of Flyte's maps have texts for keys. */
static const char *key_of(const ProtobufCMessage *entry)
{
	return *(const char *const *)((const char *)entry + entry->descriptor->fields[0].offset);
}

static const void *value_of(const ProtobufCMessage *entry)
{
	const ProtobufCFieldDescriptor *f = &entry->descriptor->fields[1];
	const char *at = (const char *)entry + f->offset;
	return f->type == PROTOBUF_C_TYPE_MESSAGE && !*(void *const *)at ? NULL : at;
}

static void compare_maps(struct walk *w, const ProtobufCFieldDescriptor *f, const ProtobufCMessage *old,
			 const ProtobufCMessage *new)
{
	size_t n, m, len = w->path.len;
	auto_mem const ProtobufCMessage **before = pb_map_sorted(old, f, &n), **after = pb_map_sorted(new, f, &m);
	const ProtobufCFieldDescriptor *value = &((const ProtobufCMessageDescriptor *)f->descriptor)->fields[1];

	for (size_t i = 0, j = 0; i < n || j < m;) {
		int order = i == n ? 1 : j == m ? -1 : strcmp(key_of(before[i]), key_of(after[j]));
		buf_printf(&w->path, "/%s", key_of(order <= 0 ? before[i] : after[j]));
		compare_values(w, value, order <= 0 ? value_of(before[i]) : NULL,
			       order >= 0 ? value_of(after[j]) : NULL);
		w->path.len = len;
		i += order <= 0;
		j += order >= 0;
	}
}

static const void *member(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	return pb_field_is_set(m, f) ? (const char *)m + f->offset : NULL;
}

static void compare(struct walk *w, const ProtobufCMessage *old, const ProtobufCMessage *new)
{
	size_t len = w->path.len;

	for (unsigned i = 0; i < old->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &old->descriptor->fields[i];
		buf_printf(&w->path, "/%s", f->name);
		if (pb_field_is_map(f))
			compare_maps(w, f, old, new);
		else if (f->label == PROTOBUF_C_LABEL_REPEATED)
			compare_lists(w, f, old, new);
		else if (member(old, f) || member(new, f))
			compare_values(w, f, member(old, f), member(new, f));
		w->path.len = len;
	}
}

void add_differences(const void *old_message, const void *new_message, size_t max_bytes, struct buf *b)
{
	struct walk w = {.out = b, .start = b->len, .max_bytes = max_bytes};

	compare(&w, old_message, new_message);
	buf_clear(&w.path);
}
