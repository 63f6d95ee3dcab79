/* Checks of requests, in flyteadmin's words. All errors are INVALID_ARGUMENT unless said otherwise.
 * Source: flyteadmin pkg/manager/impl/validation (v1.16.8). */
#pragma once
#include "admin.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/core/identifier.h"

/* "missing <field>" when it is empty. */
enum code check_text(const char *value, const char *field, struct err *err);
enum code check_max_length(const char *value, const char *field, size_t limit, struct err *err);
/* All parts set, and of this type. */
enum code check_identifier(const CoreIdentifier *id, CoreResourceType type, struct arena *a, struct err *err);
/* Over REST the path says the type: a copy of `id` that has it, where it has none. NULL for NULL. */
const CoreIdentifier *implied_type(const CoreIdentifier *id, CoreResourceType type, struct arena *a);
enum code check_entity_identifier(const AdminNamedEntityIdentifier *id, struct err *err);
enum code check_limit(uint32_t limit, struct err *err);
enum code check_list_request(const AdminResourceListRequest *in, struct err *err);
/* Kubernetes' rules for labels. */
enum code check_labels(const AdminLabels *labels, struct err *err);
/* Somebody to tell, and phases that end an execution. */
enum code check_notifications(AdminNotification *const *notifications, size_t n, struct err *err);
enum code check_dns_label(const char *value, const char *what, struct err *err);

/* The project is there, and active if something of it is to be changed. */
enum code check_known_project(struct db *db, const char *project, bool for_change, struct err *err);
/* The project is there and active, the domain is one of the configuration's. */
enum code check_project_domain(struct request *rq, struct db *db, const char *project, const char *domain,
			       struct err *err);
/* The same for a state that was read already; `found` is false when there is no such project. */
enum code check_project_state(struct request *rq, bool found, int64_t state, const char *project, const char *domain,
			      struct err *err);

/* NOT_FOUND, as flyteadmin's repositories say it. */
enum code missing_entity(const CoreIdentifier *id, CoreResourceType type, struct arena *a, struct err *err);
