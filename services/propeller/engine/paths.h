/* Where an execution's files lie. Pure text; the same as Flyte's, so that people find them.
 * Source: flytepropeller apis/flyteworkflow/v1alpha1/node_status.go, workflow/executor.go; flyteplugins
 * ioutils/paths.go, raw_output_path.go. */
#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "flyteidl/core/identifier.h"

/* "<prefix>/<project>-<domain>-<name>" */
const char *path_execution(struct arena *a, const char *prefix, const CoreWorkflowExecutionIdentifier *id);
/* "<execution>/<node id>/data" */
const char *path_node(struct arena *a, const char *execution, const char *node_id);
/* "<output directory of the node around it>/<node id>" */
const char *path_inner_node(struct arena *a, const char *outer, const char *node_id);
/* "<array node's directory>/<item>/<attempt>" */
const char *path_item(struct arena *a, const char *array, uint32_t item, uint32_t attempt);
/* "<node>/inputs.pb" */
const char *path_inputs(struct arena *a, const char *node);
/* "<node>/<attempt>" */
const char *path_attempt(struct arena *a, const char *node, uint32_t attempt);
/* "<attempt's output directory>/deck.html" */
const char *path_deck(struct arena *a, const char *attempt);
/* "<raw prefix>/<two-character shard>/<unique id>" */
const char *path_raw_output(struct arena *a, const char *raw_prefix, const char *unique_id);
