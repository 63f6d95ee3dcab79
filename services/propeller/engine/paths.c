#include "engine/paths.h"

#include "base/ids.h"

const char *path_execution(struct arena *a, const char *prefix, const CoreWorkflowExecutionIdentifier *id)
{
	return arena_printf(a, "%s/%s-%s-%s", prefix, id->project, id->domain, id->name);
}

const char *path_node(struct arena *a, const char *execution, const char *node_id)
{
	return arena_printf(a, "%s/%s/data", execution, node_id);
}

const char *path_inner_node(struct arena *a, const char *outer, const char *node_id)
{
	return arena_printf(a, "%s/%s", outer, node_id);
}

const char *path_item(struct arena *a, const char *array, uint32_t item, uint32_t attempt)
{
	return arena_printf(a, "%s/%u/%u", array, item, attempt);
}

const char *path_inputs(struct arena *a, const char *node)
{
	return arena_printf(a, "%s/inputs.pb", node);
}

const char *path_attempt(struct arena *a, const char *node, uint32_t attempt)
{
	return arena_printf(a, "%s/%u", node, attempt);
}

const char *path_deck(struct arena *a, const char *attempt)
{
	return arena_printf(a, "%s/deck.html", attempt);
}

const char *path_raw_output(struct arena *a, const char *raw_prefix, const char *unique_id)
{
	static const char DIGITS[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	uint32_t shard = fnv32a(str_of(unique_id)) % (36 * 36);
	struct str raw = str_of(raw_prefix);

	while (str_ends(raw, "/"))
		raw.len--;
	return arena_printf(a, "%.*s/%c%c/%s", STR_ARG(raw), DIGITS[shard / 36], DIGITS[shard % 36], unique_id);
}
