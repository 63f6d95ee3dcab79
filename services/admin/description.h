/* Descriptions of tasks and workflows: kept with their registration. Source: flyteadmin description_entity_manager.go.
 * There a task's and a workflow's description of the same name and version are mixed up; here the type counts. */
#pragma once
#include "admin.h"
#include "flyteidl/admin/description_entity.h"

/* Part of a WITH that has `made` (a row if the resource was made now) and $1 to $4 for its identifier. `type`: the
 * number of its core.ResourceType; the others name the parameters of the description's parts. */
#define WITH_DESCRIPTION(type, short_text, long_text, link)                                                            \
	"described AS (INSERT INTO description_entities (resource_type, project, domain, name, version, "              \
	"short_description, long_description, source_code) SELECT " type ", $1, $2, $3, $4, " short_text               \
	", " long_text "::bytea, " link "::text FROM made WHERE " long_text "::bytea IS NOT NULL "                     \
	"ON CONFLICT DO NOTHING)"

/* Those parameters; `d` may be NULL: nothing is kept then. */
struct db_param description_short(const AdminDescriptionEntity *d); /* "" for none */
struct db_param description_long(const AdminDescriptionEntity *d, struct arena *a);
struct db_param description_link(const AdminDescriptionEntity *d);
