/* Names under which tasks, workflows and launch plans are registered, and lists of them. */
#pragma once
#include "admin.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/core/identifier.h"

/* ListTaskIds, ListWorkflowIds, ListLaunchPlanIds. */
enum code list_names(struct request *rq, const char *what, CoreResourceType type,
		     const AdminNamedEntityIdentifierListRequest *in, AdminNamedEntityIdentifierList *ret,
		     struct err *err);
/* Generated names are told apart by their state. */
enum code name_set_generated(struct db *db, const CoreIdentifier *id, CoreResourceType type, struct err *err);
