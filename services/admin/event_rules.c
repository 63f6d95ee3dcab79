#include "event.h"
#include "flyte/text.h"
#include "pb/pb.h"
#include "validation.h"

/* What propeller calls itself that has not been given a name. */
#define DEFAULT_PRODUCER "propeller"

/* ---- whole? ---- */

static enum code check_time(const PbTimestamp *t, const char *field, struct err *err)
{
	if (!t || (t->seconds >= TIME_FIRST_SECOND && t->seconds <= TIME_LAST_SECOND && t->nanos >= 0 &&
		   t->nanos < 1000000000))
		return OK;
	return err_set(err, INVALID_ARGUMENT, "%s is out of range: seconds:%lld nanos:%d", field, (long long)t->seconds,
		       t->nanos);
}

static enum code check_times(const PbTimestamp *occurred_at, const PbTimestamp *reported_at, struct err *err)
{
	if (!occurred_at)
		return err_set(err, INVALID_ARGUMENT, "missing occurred_at");
	enum code c = check_time(occurred_at, "occurred_at", err);
	return c ? c : check_time(reported_at, "reported_at", err);
}

static enum code check_phase(const ProtobufCEnumDescriptor *phases, int phase, struct err *err)
{
	if (pb_enum_name(phases, phase))
		return OK;
	return err_set(err, INVALID_ARGUMENT, "invalid value for phase: %d is none of %s", phase, phases->name);
}

static enum code check_output(struct request *rq, bool is_data, const CoreLiteralMap *data, struct err *err)
{
	int64_t max = admin_of(rq)->config->max_data_bytes;
	int64_t size = is_data && data ? (int64_t)pb_size(data) : 0;

	if (max == 0 || size <= max)
		return OK;
	return err_set(err, RESOURCE_EXHAUSTED, "Output data size exceeds platform configured threshold (%lld > %lld)",
		       (long long)size, (long long)max);
}

enum code workflow_event_check(struct request *rq, const EventWorkflowExecutionEvent *e, struct err *err)
{
	if (!e)
		return err_set(err, INVALID_ARGUMENT, "Workflow event handler was called without event");
	if (!e->execution_id)
		return err_set(err, INVALID_ARGUMENT,
			       "Workflow event handler request event doesn't have an execution id - %s",
			       message_text(e, rq->arena));
	bool is_data = e->output_result_case == EVENT_WORKFLOW_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	enum code c = check_output(rq, is_data, e->output_data, err);
	if (!c)
		c = check_times(e->occurred_at, NULL, err);
	return c ? c : check_phase(CORE_WORKFLOW_EXECUTION_PHASE_DESC, (int)e->phase, err);
}

enum code node_event_check(struct request *rq, const EventNodeExecutionEvent *e, struct err *err)
{
	if (!e)
		return err_set(err, INVALID_ARGUMENT, "missing event");
	bool is_data = e->output_result_case == EVENT_NODE_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	enum code c = check_node_execution_id(e->id, err);
	if (!c)
		c = check_max_length(e->id->node_id, "node_id", 255, err);
	if (!c)
		c = check_output(rq, is_data, e->output_data, err);
	if (!c)
		c = check_times(e->occurred_at, e->reported_at, err);
	return c ? c : check_phase(CORE_NODE_EXECUTION_PHASE_DESC, (int)e->phase, err);
}

enum code task_event_check(struct request *rq, const EventTaskExecutionEvent *e, struct err *err)
{
	CoreTaskExecutionIdentifier id = CORE_TASK_EXECUTION_IDENTIFIER_INIT;

	if (!e)
		return err_set(err, INVALID_ARGUMENT, "missing event");
	bool is_data = e->output_result_case == EVENT_TASK_EXECUTION_EVENT_OUTPUT_RESULT_OUTPUT_DATA;
	id.task_id = e->task_id;
	id.node_execution_id = e->parent_node_execution_id;
	enum code c = check_times(e->occurred_at, e->reported_at, err);
	for (size_t i = 0; !c && i < e->n_reasons; i++)
		c = check_time(e->reasons[i]->occurred_at, "occurred_at of a reason", err);
	if (!c)
		c = check_output(rq, is_data, e->output_data, err);
	if (!c)
		c = check_task_execution_id(&id, rq->arena, err);
	if (!c && e->retry_attempt > INT32_MAX)
		return err_set(err, INVALID_ARGUMENT, "invalid value for retry_attempt");
	return c ? c : check_phase(CORE_TASK_EXECUTION_PHASE_DESC, (int)e->phase, err);
}

/* ---- in order? ---- */

static const char *phase_name(const ProtobufCEnumDescriptor *phases, int phase)
{
	const char *name = pb_enum_name(phases, phase);

	return name ? name : "UNDEFINED";
}

#define WORKFLOW_PHASE(phase) phase_name(CORE_WORKFLOW_EXECUTION_PHASE_DESC, (int)(phase))
#define NODE_PHASE(phase)     phase_name(CORE_NODE_EXECUTION_PHASE_DESC, (int)(phase))
#define TASK_PHASE(phase)     phase_name(CORE_TASK_EXECUTION_PHASE_DESC, (int)(phase))

/* What propeller takes as the word to give up. */
void detail_terminal(struct request *rq, const char *phase)
{
	AdminEventFailureReason *reason = pb_new(rq->arena, ADMIN_EVENT_FAILURE_REASON_DESC);

	reason->reason_case = ADMIN_EVENT_FAILURE_REASON_REASON_ALREADY_IN_TERMINAL_STATE;
	reason->already_in_terminal_state = pb_new(rq->arena, ADMIN_EVENT_ERROR_ALREADY_IN_TERMINAL_STATE_DESC);
	reason->already_in_terminal_state->current_phase = arena_strdup(rq->arena, phase);
	rq->detail = reason;
}

static void detail_cluster(struct request *rq, const char *cluster)
{
	AdminEventFailureReason *reason = pb_new(rq->arena, ADMIN_EVENT_FAILURE_REASON_DESC);

	reason->reason_case = ADMIN_EVENT_FAILURE_REASON_REASON_INCOMPATIBLE_CLUSTER;
	reason->incompatible_cluster = pb_new(rq->arena, ADMIN_EVENT_ERROR_INCOMPATIBLE_CLUSTER_DESC);
	reason->incompatible_cluster->cluster = arena_strdup(rq->arena, cluster);
	rq->detail = reason;
}

static bool names_cluster(const struct telling *t)
{
	return *t->cluster && strcmp(t->cluster, DEFAULT_PRODUCER) != 0;
}

static enum code check_cluster(struct telling *t, struct err *err)
{
	const AdminExecutionMetadata *m = t->spec->metadata;
	const char *cluster = m && m->system_metadata ? m->system_metadata->execution_cluster : "";

	if (!names_cluster(t) || strcmp(t->cluster, cluster) == 0)
		return OK;
	detail_cluster(t->rq, t->cluster);
	return err_set(err, FAILED_PRECONDITION,
		       "Cluster/producer from event [%s] does not match existing workflow execution clusterInDB: [%s]",
		       t->cluster, cluster);
}

static void reassign_cluster(struct telling *t)
{
	struct arena *a = t->rq->arena;

	if (!names_cluster(t))
		return;
	if (!t->spec->metadata)
		t->spec->metadata = pb_new(a, ADMIN_EXECUTION_METADATA_DESC);
	if (!t->spec->metadata->system_metadata)
		t->spec->metadata->system_metadata = pb_new(a, ADMIN_SYSTEM_METADATA_DESC);
	t->spec->metadata->system_metadata->execution_cluster = arena_strdup(a, t->cluster);
	t->reassigned = true;
}

static enum code execution_ended(struct telling *t, const char *from, const char *to, struct err *err)
{
	detail_terminal(t->rq, from);
	return err_set(err, FAILED_PRECONDITION, "Invalid phase change from %s to %s for workflow execution %s", from,
		       to, message_text(t->id, t->rq->arena));
}

enum code workflow_event_follows(struct telling *t, struct err *err)
{
	CoreWorkflowExecutionPhase old = (CoreWorkflowExecutionPhase)t->x->phase, new = t->event.workflow->phase;
	const char *from = WORKFLOW_PHASE(old), *to = WORKFLOW_PHASE(new), *id = message_text(t->id, t->rq->arena);
	bool queued = new == CORE_WORKFLOW_EXECUTION_PHASE_QUEUED;

	if (!queued && old == new)
		return err_set(err, ALREADY_EXISTS, "This phase %s was already recorded for workflow execution %s",
			       from, id);
	enum code c = queued ? OK : check_cluster(t, err);
	if (c)
		return c;
	if (execution_phase_terminal(t->x->phase))
		return execution_ended(t, from, to, err);
	if (old == CORE_WORKFLOW_EXECUTION_PHASE_RUNNING && queued)
		return err_set(err, FAILED_PRECONDITION, "Cannot go from %s to %s for workflow execution %s", from, to,
			       id);
	if (old == CORE_WORKFLOW_EXECUTION_PHASE_ABORTING && !execution_phase_terminal((int32_t) new))
		return err_set(err, FAILED_PRECONDITION,
			       "Invalid phase change from aborting to %s for workflow execution %s", to, id);
	if (queued)
		reassign_cluster(t);
	return OK;
}

/* What a new node hangs below must be there. */
static enum code check_parents(struct telling *t, const EventNodeExecutionEvent *e, struct err *err)
{
	CoreNodeExecutionIdentifier parent = CORE_NODE_EXECUTION_IDENTIFIER_INIT;
	enum code c = OK;

	if (e->parent_task_metadata)
		c = task_execution_exists(t->rq, t->db, e->parent_task_metadata->id, err);
	if (c || !e->parent_node_metadata)
		return c;
	parent.execution_id = t->id;
	parent.node_id = e->parent_node_metadata->node_id;
	return node_execution_exists(t->db, &parent, err);
}

static enum code check_child(struct telling *t, const EventNodeExecutionEvent *e, struct err *err)
{
	int64_t key;

	if (e->target_metadata_case != EVENT_NODE_EXECUTION_EVENT_TARGET_METADATA_WORKFLOW_NODE_METADATA)
		return OK;
	return execution_key(t->db, e->workflow_node_metadata->execution_id, &key, err);
}

enum code node_event_follows(struct telling *t, struct err *err)
{
	const EventNodeExecutionEvent *e = t->event.node;
	const struct node_row *n = fold_node(&t->fold, t->x->key, e->id->node_id);
	enum code c = check_cluster(t, err);

	if (c)
		return c;
	if (!n->closure)
		return check_parents(t, e, err);
	const char *id = message_text(e->id, t->rq->arena), *from = NODE_PHASE(n->closure->phase),
		   *to = NODE_PHASE(e->phase);
	if (n->closure->phase == e->phase)
		return err_set(err, ALREADY_EXISTS, "This phase was already recorded %s for %s", from, id);
	if (!node_phase_terminal((int32_t)n->closure->phase))
		return check_child(t, e, err);
	detail_terminal(t->rq, to);
	return err_set(err, FAILED_PRECONDITION, "Invalid phase change from %s to %s for node execution %s", from, to,
		       id);
}

static enum code check_node(struct telling *t, const CoreNodeExecutionIdentifier *id, struct err *err)
{
	enum code c = node_execution_exists(t->db, id, err);

	if (c != NOT_FOUND)
		return c;
	return err_set(err, c, "Failed to get existing node execution id: [%s] with err: entry not found",
		       message_text(id, t->rq->arena));
}

enum code task_event_follows(struct telling *t, struct err *err)
{
	const EventTaskExecutionEvent *e = t->event.task;
	const CoreNodeExecutionIdentifier *node = e->parent_node_execution_id;
	const struct task_row *row = fold_task(&t->fold, t->x->key, node->node_id, e->task_id, e->retry_attempt);
	CoreTaskExecutionIdentifier id = CORE_TASK_EXECUTION_IDENTIFIER_INIT;
	enum code c = check_cluster(t, err);

	if (c)
		return c;
	if (!row->closure)
		return check_node(t, node, err);
	id.task_id = e->task_id;
	id.node_execution_id = e->parent_node_execution_id;
	id.retry_attempt = e->retry_attempt;
	const char *text = message_text(&id, t->rq->arena), *to = TASK_PHASE(e->phase);
	if (row->closure->phase == e->phase && row->phase_version >= e->phase_version)
		return err_set(err, ALREADY_EXISTS,
			       "have already recorded task execution phase %s (version: %u) for %s", to,
			       e->phase_version, text);
	if (!task_phase_terminal((int32_t)row->closure->phase))
		return OK;
	detail_terminal(t->rq, to);
	return err_set(err, FAILED_PRECONDITION, "invalid phase change from %s to %s for task execution %s",
		       TASK_PHASE(row->closure->phase), to, text);
}
