/* What a node asks of its task that the task itself does not say: image, resources, extended resources, pod.
 * Source: flytepropeller compiler/transformers/k8s/node.go; flyteplugins flytek8s/pod_helper.go BuildRawPod,
 * ApplyFlytePodConfiguration, applyExtendedResourcesOverrides, container_helper.go MergeResources (v1.16.8). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/core/workflow.h"

/* The task as that node runs it, a copy in `a`; `task` itself if the node asks for nothing (`overrides` may be NULL).
 *   - resources: kind by kind in the place of the container's, or of the pod's primary container's; none by "0";
 *   - container_image: of the container, or of the pod's primary one;
 *   - extended_resources: accelerator and shared memory, each in the place of the task's;
 *   - pod_template: with a pod spec it is what runs, whatever the task is: its own containers, its primary one. Labels
 *     and annotations are added to a pod task's. The others are applied to it.
 * Errors: INVALID_ARGUMENT for a resource that is no quantity. */
enum code task_overridden(const CoreTaskTemplate *task, const CoreTaskNodeOverrides *overrides, struct arena *a,
			  const CoreTaskTemplate **ret, struct err *err);

/* Can the task have the shared memory that it asks for? INVALID_ARGUMENT. */
enum code task_check_shared_memory(const CoreTaskTemplate *task, struct err *err);
