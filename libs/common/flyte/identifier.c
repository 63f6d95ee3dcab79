#include "flyte/identifier.h"

#include <string.h>

#include "flyte/text.h"

static const struct {
	const char *name, *word;
} TYPES[] = {
	[CORE_RESOURCE_TYPE_UNSPECIFIED] = {"unspecified", "UNSPECIFIED"},
	[CORE_RESOURCE_TYPE_TASK] = {"task", "TASK"},
	[CORE_RESOURCE_TYPE_WORKFLOW] = {"workflow", "WORKFLOW"},
	[CORE_RESOURCE_TYPE_LAUNCH_PLAN] = {"launch_plan", "LAUNCH_PLAN"},
	[CORE_RESOURCE_TYPE_DATASET] = {"dataset", "DATASET"},
};

const char *resource_type_name(CoreResourceType type)
{
	return (size_t)type < ARRAY_SIZE(TYPES) ? TYPES[type].name : "unknown";
}

const char *resource_type_word(CoreResourceType type)
{
	return (size_t)type < ARRAY_SIZE(TYPES) ? TYPES[type].word : "UNKNOWN";
}

const char *identifier_text(const CoreIdentifier *id, struct arena *a)
{
	return message_text(id, a);
}

void identifier_add_key(const CoreIdentifier *id, struct buf *b)
{
	buf_printf(b, "%s:%s:%s:%s", id->project, id->domain, id->name, id->version);
}

bool identifier_equal(const CoreIdentifier *a, const CoreIdentifier *b)
{
	return a->resource_type == b->resource_type && strcmp(a->project, b->project) == 0 &&
	       strcmp(a->domain, b->domain) == 0 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->version, b->version) == 0 && strcmp(a->org, b->org) == 0;
}
