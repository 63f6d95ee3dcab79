/* Registering launch plans, for RPCs and for what admin generates itself; reading their rows. */
#pragma once
#include "registry.h"

/* CreateLaunchPlan of a checked identifier in a checked project, over a workflow that is there. `in->spec` is changed:
 * its default inputs become the expected ones. Commits by itself. */
enum code create_launch_plan(struct request *rq, struct db *db, const AdminLaunchPlanCreateRequest *in,
			     const struct registered_workflow *workflow, struct err *err);

/* expected.c: checks fixed and default inputs against the workflow's inputs, and gives what is left to the caller of
 * the launch plan: workflow inputs without the fixed ones, with the defaults; required where there is none. Source:
 * flyteadmin validation/launch_plan_validator.go checkAndFetchExpectedInputForLaunchPlan (v1.16.8). */
enum code expected_inputs(const AdminLaunchPlanSpec *spec, const CoreVariableMap *inputs, struct arena *a,
			  CoreParameterMap **ret, struct err *err);
/* A schedule needs that nothing is left to be given, its kickoff time apart. */
enum code check_schedule(const AdminLaunchPlanSpec *spec, const CoreParameterMap *expected, struct arena *a,
			 struct err *err);
