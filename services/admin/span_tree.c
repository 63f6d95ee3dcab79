#include "span_tree.h"

#include "pb/pb.h"
#include "resource.h"

static const struct db_stmt NODES = {
	"span_nodes",
	"SELECT node_id, parent_node_id, metadata, closure FROM node_executions "
	"WHERE execution + 0 = $1 AND parent_task = '' ORDER BY parent_node_id, created_at, id",
};
static const struct db_stmt TASKS = {
	"span_tasks",
	"SELECT node_id, retry_attempt, task_project, task_domain, task_name, task_version, closure "
	"FROM task_executions WHERE execution = $1 ORDER BY node_id, created_at, id",
};

/* ---- reading ---- */

static enum code read_node(const struct db_rows *rows, size_t i, CoreWorkflowExecutionIdentifier *id, struct arena *a,
			   AdminNodeExecution **ret, struct err *err)
{
	AdminNodeExecution *n = pb_new(a, ADMIN_NODE_EXECUTION_DESC);

	n->id = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	n->id->execution_id = id;
	n->id->node_id = db_get_text(rows, i, 0, a);
	enum code c = pb_unpack_own(ADMIN_NODE_EXECUTION_META_DATA_DESC, db_get_str(rows, i, 2), a,
				    (void **)&n->metadata, err);
	if (!c)
		c = pb_unpack_own(ADMIN_NODE_EXECUTION_CLOSURE_DESC, db_get_str(rows, i, 3), a, (void **)&n->closure,
				  err);
	*ret = n;
	return c;
}

static enum code read_task(const struct db_rows *rows, size_t i, CoreWorkflowExecutionIdentifier *execution,
			   struct arena *a, AdminTaskExecution **ret, struct err *err)
{
	AdminTaskExecution *t = pb_new(a, ADMIN_TASK_EXECUTION_DESC);
	CoreTaskExecutionIdentifier *id = pb_new(a, CORE_TASK_EXECUTION_IDENTIFIER_DESC);

	t->id = id;
	id->node_execution_id = pb_new(a, CORE_NODE_EXECUTION_IDENTIFIER_DESC);
	id->node_execution_id->execution_id = execution;
	id->node_execution_id->node_id = db_get_text(rows, i, 0, a);
	id->retry_attempt = (uint32_t)db_get_i64(rows, i, 1);
	id->task_id = resource_id(a, CORE_RESOURCE_TYPE_TASK, rows, i, 2);
	*ret = t;
	return pb_unpack_own(ADMIN_TASK_EXECUTION_CLOSURE_DESC, db_get_str(rows, i, 6), a, (void **)&t->closure, err);
}

static enum code load_nodes(struct request *rq, struct db *db, int64_t key, CoreWorkflowExecutionIdentifier *id,
			    struct span_tree *t, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &NODES, &rows, err, db_i64(key));

	if (c)
		return c;
	t->n_nodes = db_rows_count(rows);
	t->nodes = arena_alloc(rq->arena, (t->n_nodes + 1) * sizeof *t->nodes);
	t->parents = arena_alloc(rq->arena, (t->n_nodes + 1) * sizeof *t->parents);
	for (size_t i = 0; !c && i < t->n_nodes; i++) {
		t->parents[i] = db_get_text(rows, i, 1, rq->arena);
		c = read_node(rows, i, id, rq->arena, &t->nodes[i], err);
	}
	return c;
}

static enum code load_tasks(struct request *rq, struct db *db, int64_t key, CoreWorkflowExecutionIdentifier *id,
			    struct span_tree *t, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &TASKS, &rows, err, db_i64(key));

	if (c)
		return c;
	t->n_tasks = db_rows_count(rows);
	t->tasks = arena_alloc(rq->arena, (t->n_tasks + 1) * sizeof *t->tasks);
	for (size_t i = 0; !c && i < t->n_tasks; i++)
		c = read_task(rows, i, id, rq->arena, &t->tasks[i], err);
	return c;
}

enum code span_tree_load(struct request *rq, const CoreWorkflowExecutionIdentifier *id, struct span_tree *ret,
			 struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	struct span_tree t = {.arena = rq->arena};
	CoreWorkflowExecutionIdentifier *own = (CoreWorkflowExecutionIdentifier *)id;
	int64_t key = 0;
	enum code c = db_take(admin_of(rq)->db, &db, err);

	if (!c)
		c = execution_key(db, id, &key, err);
	if (!c)
		c = load_nodes(rq, db, key, own, &t, err);
	if (!c)
		c = load_tasks(rq, db, key, own, &t, err);
	if (!c)
		*ret = t;
	return c;
}

/* ---- look-up ---- */

static const char *parent_at(const struct span_tree *t, size_t i)
{
	return t->parents[i];
}

static const char *task_node_at(const struct span_tree *t, size_t i)
{
	return t->tasks[i]->id->node_execution_id->node_id;
}

/* The first of n keys, in order, that is not below `key`. */
static size_t lower_bound(const struct span_tree *t, size_t n, const char *(*at)(const struct span_tree *t, size_t i),
			  const char *key)
{
	size_t from = 0, to = n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		if (strcmp(at(t, mid), key) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

AdminTaskExecution **span_tree_tasks(const struct span_tree *t, const char *node_id, size_t *ret_n)
{
	size_t first = lower_bound(t, t->n_tasks, task_node_at, node_id), end = first;

	while (end < t->n_tasks && strcmp(task_node_at(t, end), node_id) == 0)
		end++;
	*ret_n = end - first;
	return t->tasks + first;
}

struct level level_new(const struct span_tree *t, const char *parent)
{
	size_t first = lower_bound(t, t->n_nodes, parent_at, parent), end = first;
	struct level l = {.by_spec = map_new()};

	for (; end < t->n_nodes && strcmp(t->parents[end], parent) == 0; end++)
		map_put(l.by_spec, str_of(t->nodes[end]->metadata->spec_node_id), t->nodes[end]);
	l.at = arena_alloc(t->arena, (end - first + 1) * sizeof *l.at);
	for (size_t i = first; i < end; i++)
		if (level_get(&l, t->nodes[i]->metadata->spec_node_id) == t->nodes[i])
			l.at[l.n++] = t->nodes[i];
	return l;
}

void level_clear(struct level *l)
{
	map_free(l->by_spec);
}

AdminNodeExecution *level_get(const struct level *l, const char *spec_node_id)
{
	return map_get(l->by_spec, str_of(spec_node_id));
}

/* ---- graphs ---- */

struct graph graph_new(const CoreCompiledWorkflow *w)
{
	struct graph g = {.nodes = map_new(), .upstream = map_new()};
	const CoreWorkflowTemplate *t = w ? w->template_ : NULL;

	for (size_t i = 0; t && i < t->n_nodes; i++)
		map_put(g.nodes, str_of(t->nodes[i]->id), t->nodes[i]);
	for (size_t i = 0; w && w->connections && i < w->connections->n_upstream; i++)
		if (w->connections->upstream[i]->value)
			map_put(g.upstream, str_of(w->connections->upstream[i]->key),
				w->connections->upstream[i]->value);
	return g;
}

void graph_clear(struct graph *g)
{
	map_free(g->nodes);
	map_free(g->upstream);
}

const CoreNode *graph_node(const struct graph *g, const char *id)
{
	return map_get(g->nodes, str_of(id));
}

AdminNodeExecution *graph_latest_upstream(const struct graph *g, const struct level *l, const char *id)
{
	const CoreConnectionSetIdList *ids = map_get(g->upstream, str_of(id));
	AdminNodeExecution *latest = NULL;
	int64_t latest_us = 0;

	for (size_t i = 0; ids && i < ids->n_ids; i++) {
		AdminNodeExecution *n = level_get(l, ids->ids[i]);
		int64_t us = n ? pb_timestamp_us(n->closure->updated_at) : 0;
		if (us > latest_us) {
			latest = n;
			latest_us = us;
		}
	}
	return latest;
}
