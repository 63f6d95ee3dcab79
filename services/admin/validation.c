#include "validation.h"

#include <ctype.h>
#include <string.h>

#include "flyte/identifier.h"
#include "flyteidl/admin/project.h"
#include "flyteidl/core/execution.h"
#include "pb/pb.h"

static const struct db_stmt PROJECT_STATE = {"project_state", "SELECT state FROM projects WHERE id = $1"};

enum { MAX_LABELS = 16, MAX_LABEL_LENGTH = 63, MAX_LABEL_PREFIX = 253 };

enum code check_text(const char *value, const char *field, struct err *err)
{
	return *value ? OK : err_set(err, INVALID_ARGUMENT, "missing %s", field);
}

enum code check_max_length(const char *value, const char *field, size_t limit, struct err *err)
{
	if (strlen(value) <= limit)
		return OK;
	return err_set(err, INVALID_ARGUMENT, "%s cannot exceed %zu characters", field, limit);
}

/* Names and versions become index keys. */
enum { MAX_NAME_LENGTH = 255 };

static enum code check_part(const char *value, const char *field, struct err *err)
{
	enum code c = check_text(value, field, err);
	return c ? c : check_max_length(value, field, MAX_NAME_LENGTH, err);
}

static enum code check_parts(const char *project, const char *domain, const char *name, struct err *err)
{
	enum code c = check_part(project, "project", err);

	if (!c)
		c = check_part(domain, "domain", err);
	return c ? c : check_part(name, "name", err);
}

enum code check_identifier(const CoreIdentifier *id, CoreResourceType type, struct arena *a, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	if (id->resource_type != type)
		return err_set(err, INVALID_ARGUMENT,
			       "unexpected resource type %s for identifier [%s], expected %s instead",
			       resource_type_name(id->resource_type), identifier_text(id, a), resource_type_name(type));
	enum code c = check_parts(id->project, id->domain, id->name, err);
	return c ? c : check_part(id->version, "version", err);
}

const CoreIdentifier *implied_type(const CoreIdentifier *id, CoreResourceType type, struct arena *a)
{
	if (!id || id->resource_type != CORE_RESOURCE_TYPE_UNSPECIFIED)
		return id;
	CoreIdentifier *copy = arena_dup(a, id, sizeof *id);
	copy->resource_type = type;
	return copy;
}

enum code check_entity_identifier(const AdminNamedEntityIdentifier *id, struct err *err)
{
	if (!id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	return check_parts(id->project, id->domain, id->name, err);
}

enum code check_limit(uint32_t limit, struct err *err)
{
	return limit ? OK : err_set(err, INVALID_ARGUMENT, "invalid value for limit");
}

enum code check_list_request(const AdminResourceListRequest *in, struct err *err)
{
	if (!in->id)
		return err_set(err, INVALID_ARGUMENT, "missing id");
	enum code c = check_text(in->id->project, "project", err);
	if (!c)
		c = check_text(in->id->domain, "domain", err);
	return c ? c : check_limit(in->limit, err);
}

/* ---- labels ---- */

/* Letters and digits at both ends, `inner` too between them. */
static bool is_label(struct str s, const char *inner, size_t max)
{
	if (!s.len || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		bool end = i == 0 || i == s.len - 1;
		if (!isalnum((unsigned char)s.ptr[i]) && (end || !strchr(inner, s.ptr[i])))
			return false;
	}
	return true;
}

static bool is_lower(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (isupper((unsigned char)s.ptr[i]))
			return false;
	return true;
}

static bool is_label_key(struct str key)
{
	struct str rest = key, prefix = str_cut(&rest, '/');

	if (!rest.ptr)
		return is_label(key, "-_.", MAX_LABEL_LENGTH);
	return is_label(prefix, "-.", MAX_LABEL_PREFIX) && is_lower(prefix) && is_label(rest, "-_.", MAX_LABEL_LENGTH);
}

enum code check_labels(const AdminLabels *labels, struct err *err)
{
	size_t n = labels ? labels->n_values : 0;

	if (n > MAX_LABELS)
		return err_set(err, INVALID_ARGUMENT, "labels map cannot exceed %d entries", MAX_LABELS);
	for (size_t i = 0; i < n; i++) {
		const char *key = labels->values[i]->key, *value = labels->values[i]->value;
		if (!is_label_key(str_of(key)))
			return err_set(err, INVALID_ARGUMENT,
				       "invalid label key [%s]: [name part must consist of alphanumeric characters, "
				       "'-', '_' or '.', and must start and end with an alphanumeric character]",
				       key);
		if (*value && !is_label(str_of(value), "-_.", MAX_LABEL_LENGTH))
			return err_set(err, INVALID_ARGUMENT,
				       "invalid label value [%s]: [a valid label must be an empty string or consist "
				       "of alphanumeric characters, '-', '_' or '.', and must start and end with an "
				       "alphanumeric character]",
				       value);
	}
	return OK;
}

enum code check_dns_label(const char *value, const char *what, struct err *err)
{
	struct str s = str_of(value);

	if (s.len > MAX_LABEL_LENGTH)
		return err_set(err, INVALID_ARGUMENT, "invalid %s [%s]: [must be no more than 63 characters]", what,
			       value);
	if (is_label(s, "-", MAX_LABEL_LENGTH) && is_lower(s))
		return OK;
	return err_set(
		err, INVALID_ARGUMENT,
		"invalid %s [%s]: [a lowercase RFC 1123 label must consist of lower case alphanumeric characters "
		"or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
		"regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')]",
		what, value);
}

/* ---- notifications ---- */

static enum code check_recipients(char *const *recipients, size_t n, struct err *err)
{
	if (!n)
		return err_set(err, INVALID_ARGUMENT, "missing recipients");
	for (size_t i = 0; i < n; i++)
		if (!*recipients[i])
			return err_set(err, INVALID_ARGUMENT, "missing recipient");
	return OK;
}

static enum code check_type(const AdminNotification *n, struct err *err)
{
	switch (n->type_case) {
	case ADMIN_NOTIFICATION_TYPE_EMAIL:
		return check_recipients(n->email->recipients_email, n->email->n_recipients_email, err);
	case ADMIN_NOTIFICATION_TYPE_SLACK:
		return check_recipients(n->slack->recipients_email, n->slack->n_recipients_email, err);
	case ADMIN_NOTIFICATION_TYPE_PAGER_DUTY:
		return check_recipients(n->pager_duty->recipients_email, n->pager_duty->n_recipients_email, err);
	default: return err_set(err, INVALID_ARGUMENT, "invalid value for notification type");
	}
}

static bool ends_execution(CoreWorkflowExecutionPhase phase)
{
	return phase == CORE_WORKFLOW_EXECUTION_PHASE_SUCCEEDED || phase == CORE_WORKFLOW_EXECUTION_PHASE_FAILED ||
	       phase == CORE_WORKFLOW_EXECUTION_PHASE_ABORTED || phase == CORE_WORKFLOW_EXECUTION_PHASE_TIMED_OUT;
}

enum code check_notifications(AdminNotification *const *notifications, size_t n, struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && i < n; i++) {
		c = check_type(notifications[i], err);
		for (size_t k = 0; !c && k < notifications[i]->n_phases; k++)
			if (!ends_execution(notifications[i]->phases[k]))
				c = err_set(err, INVALID_ARGUMENT, "invalid value for phase");
	}
	return c;
}

/* ---- projects and what is missing ---- */

static bool has_domain(const struct config_strings *domains, const char *domain)
{
	for (size_t i = 0; i < domains->n; i++)
		if (strcmp(domains->at[i], domain) == 0)
			return true;
	return false;
}

enum code check_project_state(struct request *rq, bool found, int64_t state, const char *project, const char *domain,
			      struct err *err)
{
	if (!found)
		return err_set(
			err, INVALID_ARGUMENT,
			"failed to validate that project [%s] and domain [%s] are registered, err: [project [%s] "
			"not found]",
			project, domain, project);
	if (state != ADMIN_PROJECT_PROJECT_STATE_ACTIVE) {
		AdminInactiveProject *detail = pb_new(rq->arena, ADMIN_INACTIVE_PROJECT_DESC);
		detail->id = arena_strdup(rq->arena, project);
		rq->detail = detail;
		return err_set(err, INVALID_ARGUMENT, "project [%s] is not active", project);
	}
	if (!has_domain(&admin_of(rq)->config->domains, domain))
		return err_set(err, INVALID_ARGUMENT, "domain [%s] is unrecognized by system", domain);
	return OK;
}

enum code check_known_project(struct db *db, const char *project, bool for_change, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &PROJECT_STATE, &rows, err, db_text(project));

	if (!c && !db_rows_count(rows))
		c = err_set(err, INVALID_ARGUMENT,
			    "failed to validate that project [%s] %s, err: [project [%s] not found]", project,
			    for_change ? "is registered" : "exists", project);
	if (!c && for_change && db_get_i64(rows, 0, 0) != ADMIN_PROJECT_PROJECT_STATE_ACTIVE)
		c = err_set(err, INVALID_ARGUMENT, "project [%s] is not active", project);
	return c;
}

enum code check_project_domain(struct request *rq, struct db *db, const char *project, const char *domain,
			       struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &PROJECT_STATE, &rows, err, db_text(project));

	if (c)
		return c;
	bool found = db_rows_count(rows);
	return check_project_state(rq, found, found ? db_get_i64(rows, 0, 0) : 0, project, domain, err);
}

enum code missing_entity(const CoreIdentifier *id, CoreResourceType type, struct arena *a, struct err *err)
{
	CoreIdentifier bare = *id;

	bare.resource_type = CORE_RESOURCE_TYPE_UNSPECIFIED;
	return err_set(err, NOT_FOUND, "missing entity of type %s with identifier %s", resource_type_word(type),
		       identifier_text(&bare, a));
}
