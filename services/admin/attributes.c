#include "attributes.h"

#include "pb/pb.h"

#define COLUMNS "SELECT project, domain, workflow, attributes FROM matchable_attributes WHERE resource_type = $1 "

static const struct db_stmt FIND = {
	"attributes_find",
	COLUMNS "AND project IN ('', $2) AND domain IN ('', $3) AND workflow IN ('', $4) AND launch_plan = '' "
		"ORDER BY priority DESC LIMIT 1",
};
static const struct db_stmt EXACT = {
	"attributes_exact",
	COLUMNS "AND project = $2 AND domain = $3 AND workflow = $4 AND launch_plan = ''",
};
/* Who changes one waits for who else does: overrides are merged, none gets lost. */
static const struct db_stmt LOCK = {
	"attributes_lock",
	"SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', $1, $2, $3, $4), 0))",
};
static const struct db_stmt SET = {
	"attributes_set",
	"INSERT INTO matchable_attributes (resource_type, project, domain, workflow, launch_plan, priority, attributes) "
	"VALUES ($1, $2, $3, $4, '', $5, $6) ON CONFLICT (resource_type, project, domain, workflow, launch_plan) "
	"DO UPDATE SET attributes = excluded.attributes",
};
static const struct db_stmt DELETE = {
	"attributes_delete",
	"DELETE FROM matchable_attributes WHERE resource_type = $1 AND project = $2 AND domain = $3 AND workflow = $4 "
	"AND launch_plan = ''",
};

enum { PRIORITY_PROJECT = 5, PRIORITY_DOMAIN = 10, PRIORITY_WORKFLOW = 100 };

#define SCOPE(type, s) db_i32((int32_t)(type)), db_text((s)->project), db_text((s)->domain), db_text((s)->workflow)

/* ---- read ---- */

static enum code read_one(struct request *rq, struct db *db, const struct db_stmt *stmt, AdminMatchableResource type,
			  const struct attributes_scope *scope, struct attributes_found *ret, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct attributes_found found = {0};
	enum code c = db_query(db, stmt, &rows, err, SCOPE(type, scope));

	if (!c && db_rows_count(rows)) {
		found.scope.project = db_get_text(rows, 0, 0, rq->arena);
		found.scope.domain = db_get_text(rows, 0, 1, rq->arena);
		found.scope.workflow = db_get_text(rows, 0, 2, rq->arena);
		c = pb_unpack_own(ADMIN_MATCHING_ATTRIBUTES_DESC, db_get_str(rows, 0, 3), rq->arena,
				  (void **)&found.attributes, err);
	}
	if (!c)
		*ret = found;
	return c;
}

enum code attributes_find(struct request *rq, struct db *db, AdminMatchableResource type,
			  const struct attributes_scope *scope, struct attributes_found *ret, struct err *err)
{
	return read_one(rq, db, &FIND, type, scope, ret, err);
}

enum code attributes_exact(struct request *rq, struct db *db, AdminMatchableResource type,
			   const struct attributes_scope *scope, struct attributes_found *ret, struct err *err)
{
	return read_one(rq, db, &EXACT, type, scope, ret, err);
}

/* ---- write ---- */

/* Flyte has no rows of quality of service or external resources: nobody would read them. */
static const struct {
	unsigned target;
	AdminMatchableResource type;
} TYPES[] = {
	{ADMIN_MATCHING_ATTRIBUTES_TARGET_TASK_RESOURCE_ATTRIBUTES, ADMIN_MATCHABLE_RESOURCE_TASK_RESOURCE},
	{ADMIN_MATCHING_ATTRIBUTES_TARGET_CLUSTER_RESOURCE_ATTRIBUTES, ADMIN_MATCHABLE_RESOURCE_CLUSTER_RESOURCE},
	{ADMIN_MATCHING_ATTRIBUTES_TARGET_EXECUTION_QUEUE_ATTRIBUTES, ADMIN_MATCHABLE_RESOURCE_EXECUTION_QUEUE},
	{ADMIN_MATCHING_ATTRIBUTES_TARGET_EXECUTION_CLUSTER_LABEL, ADMIN_MATCHABLE_RESOURCE_EXECUTION_CLUSTER_LABEL},
	{ADMIN_MATCHING_ATTRIBUTES_TARGET_PLUGIN_OVERRIDES, ADMIN_MATCHABLE_RESOURCE_PLUGIN_OVERRIDE},
	{ADMIN_MATCHING_ATTRIBUTES_TARGET_WORKFLOW_EXECUTION_CONFIG,
	 ADMIN_MATCHABLE_RESOURCE_WORKFLOW_EXECUTION_CONFIG},
	{ADMIN_MATCHING_ATTRIBUTES_TARGET_CLUSTER_ASSIGNMENT, ADMIN_MATCHABLE_RESOURCE_CLUSTER_ASSIGNMENT},
};

static enum code type_of(const AdminMatchingAttributes *m, const struct attributes_scope *s,
			 AdminMatchableResource *ret, struct err *err)
{
	if (!m)
		return err_set(err, INVALID_ARGUMENT, "missing matching_attributes");
	for (size_t i = 0; i < ARRAY_SIZE(TYPES); i++)
		if (TYPES[i].target == (unsigned)m->target_case) {
			*ret = TYPES[i].type;
			return OK;
		}
	return err_set(err, INVALID_ARGUMENT, "Unrecognized matching attributes type for request %s%s%s%s%s",
		       s->project, *s->domain ? "-" : "", s->domain, *s->workflow ? "-" : "", s->workflow);
}

static void add_override(struct arena *a, AdminPluginOverrides *all, AdminPluginOverride *one)
{
	for (size_t i = 0; i < all->n_overrides; i++)
		if (strcmp(all->overrides[i]->task_type, one->task_type) == 0) {
			all->overrides[i] = one;
			return;
		}
	*PB_ADD(a, all->overrides, all->n_overrides) = one;
}

/* What was set before, then what is set now. */
static AdminMatchingAttributes *merge_overrides(struct arena *a, const AdminMatchingAttributes *old,
						const AdminMatchingAttributes *new)
{
	AdminMatchingAttributes *ret = pb_new(a, ADMIN_MATCHING_ATTRIBUTES_DESC);
	const AdminMatchingAttributes *sources[] = {old, new};

	ret->target_case = ADMIN_MATCHING_ATTRIBUTES_TARGET_PLUGIN_OVERRIDES;
	ret->plugin_overrides = pb_new(a, ADMIN_PLUGIN_OVERRIDES_DESC);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		for (size_t k = 0; sources[i] && k < sources[i]->plugin_overrides->n_overrides; k++)
			add_override(a, ret->plugin_overrides, sources[i]->plugin_overrides->overrides[k]);
	return ret;
}

static enum code write_one(struct request *rq, struct db *db, AdminMatchableResource type,
			   const struct attributes_scope *scope, const AdminMatchingAttributes *attributes,
			   struct err *err)
{
	int priority = *scope->workflow ? PRIORITY_WORKFLOW : *scope->domain ? PRIORITY_DOMAIN : PRIORITY_PROJECT;
	struct attributes_found old = {0};
	enum code c = OK;

	if (type == ADMIN_MATCHABLE_RESOURCE_PLUGIN_OVERRIDE) {
		c = db_exec(db, &LOCK, NULL, err, SCOPE(type, scope));
		if (!c)
			c = attributes_exact(rq, db, type, scope, &old, err);
		if (!c)
			attributes = merge_overrides(rq->arena, old.attributes, attributes);
	}
	return c ? c
		 : db_exec(db, &SET, NULL, err, SCOPE(type, scope), db_i32(priority),
			   db_bytea(pb_pack(attributes, rq->arena)));
}

enum code attributes_set(struct request *rq, struct db *db, const struct attributes_scope *scope,
			 const AdminMatchingAttributes *attributes, struct err *err)
{
	AdminMatchableResource type = ADMIN_MATCHABLE_RESOURCE_TASK_RESOURCE;
	enum code c = type_of(attributes, scope, &type, err);

	if (!c)
		c = db_begin(db, err);
	if (!c)
		c = write_one(rq, db, type, scope, attributes, err);
	return c ? c : db_commit(db, err);
}

enum code attributes_delete(struct db *db, AdminMatchableResource type, const struct attributes_scope *scope,
			    struct err *err)
{
	return db_exec(db, &DELETE, NULL, err, SCOPE(type, scope));
}
