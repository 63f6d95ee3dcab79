/* The workflow compiler: checks a template against the tasks that it refers to and works out its connections.
 * Pure: no I/O; linear in nodes, bindings and edges. Graphs of task nodes for now; other kinds of nodes are refused by
 * name. Source: flytepropeller pkg/compiler (v1.16.8): the checks, their order, codes and texts. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "flyteidl/core/compiler.h"
#include "flyteidl/core/workflow.h"

/* What flyteadmin wants of a task's template. INVALID_ARGUMENT. */
enum code check_task_template(const CoreTaskTemplate *t, struct err *err);

/* Identifiers of the tasks that nodes refer to, each once, in order of appearance. */
void required_tasks(const CoreWorkflowTemplate *w, struct arena *a, const CoreIdentifier *const **ret, size_t *ret_n);

/* Compile. `tasks`: all required ones that there are, in any order. `w` is changed: bindings to the workflow's inputs
 * get the start node's name, upstream ids are sorted, start and end nodes are added; the closure borrows from `w`,
 * `tasks` and the arena.
 * Errors: INVALID_ARGUMENT "Collected Errors: N…", without anything before it. */
enum code compile_workflow(CoreWorkflowTemplate *w, CoreCompiledTask *const *tasks, size_t n_tasks, struct arena *a,
			   CoreCompiledWorkflowClosure **ret, struct err *err);
