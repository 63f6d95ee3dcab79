/* Tasks whose target is a pod: the container that is the task.
 * Source: flyteplugins flytek8s/pod_helper.go BuildRawPod (v1.16.8); k8s.io/api/core/v1 Container. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/core/tasks.h"

/* What runs of a task, and borrows from it: its container, or the primary one of its pod, with image, command,
 * arguments, plain environment variables and resources; what else a pod asks for (volumes, further containers) is left
 * out. In `a`. Errors: INVALID_ARGUMENT "BadTaskSpecification"-like texts for a pod without such a container, or a
 * task with neither. */
enum code task_container(const CoreTaskTemplate *task, struct arena *a, const CoreContainer **ret, struct err *err);
