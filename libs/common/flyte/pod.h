/* Tasks whose target is a pod: the container that is the task.
 * Source: flyteplugins flytek8s/pod_helper.go BuildRawPod (v1.16.8); k8s.io/api/core/v1 Container. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/core/tasks.h"
#include "google/protobuf/struct.h"

/* A field of a JSON object; NULL if there is none. */
const PbValue *struct_field(const PbStruct *s, const char *name);

/* The name of a pod task's primary container, borrowed; NULL if it has none. */
const char *pod_primary_name(const CoreTaskTemplate *task);
void pod_set_primary_name(CoreTaskTemplate *task, const char *name, struct arena *a);
/* The container of that name, borrowed, or NULL. */
PbStruct *pod_find_container(const PbStruct *pod_spec, const char *name);
/* As Kubernetes calls it ("nvidia.com/gpu"), or NULL. */
const char *pod_resource_name(CoreResourcesResourceName kind);

/* Are the resources of all its containers quantities? INVALID_ARGUMENT says which is not. */
enum code pod_check_quantities(const PbStruct *pod_spec, struct err *err);
/* What each of its containers asks for, as far as flyteadmin looks at it: cpu, memory, ephemeral-storage and gpu by
 * these names. In `a`. */
CoreResources **pod_resources(const PbStruct *pod_spec, struct arena *a, size_t *ret_n);

/* What runs of a task, and borrows from it: its container, or the primary one of its pod, with image, command,
 * arguments, plain environment variables and resources; what else a pod asks for (volumes, further containers) is left
 * out. In `a`. Errors: INVALID_ARGUMENT "BadTaskSpecification"-like texts for a pod without such a container, or a
 * task with neither. */
enum code task_container(const CoreTaskTemplate *task, struct arena *a, const CoreContainer **ret, struct err *err);
