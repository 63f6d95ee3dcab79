/* What events make of rows: a fold in memory, without I/O, as flyteadmin's transformers do it one event at a time.
 *
 * A batch holds the executions that its records are about. Records are offered in any order: repeats are dropped, and
 * what lies beyond a gap waits to be sent again (struct execution_row.gap). Rows that exist already must be in the
 * batch before the first record of their execution is offered; whoever reads them asks fold_wanted which.
 * Everything lives in the batch's arena, and rows share what the events point to. One thread uses a batch.
 * Source: flyteadmin pkg/repositories/transformers/{execution,node_execution,task_execution}.go (v1.16.8). */
#pragma once
#include "alula/bus.h"
#include "base/base.h"
#include "flyteidl/admin/execution.h"
#include "flyteidl/admin/node_execution.h"
#include "flyteidl/admin/task_execution.h"

/* Flyte's clients read the fields that its own files call deprecated. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct execution_row {
	int64_t key;
	int64_t read_seq;                    /* as it stands in the table */
	int64_t seq;                         /* after the fold */
	int64_t gap;                         /* the highest record that could not be taken in, 0 for none */
	bool known;                          /* the table has it */
	bool told;                           /* some of its events came by API: it may have rows before record 1 */
	bool beside;                         /* an event was taken in beside its records */
	int64_t parent;                      /* key of the execution whose node launched it, 0 for none */
	CoreWorkflowExecutionIdentifier *id; /* once a record was taken in */
	bool over;                           /* its last record was taken in */
	int32_t phase;
	bool moved;                                  /* an event of the execution itself was taken in */
	int64_t started_us, updated_us, duration_us; /* 0, 0 and -1 for none */
	CoreExecutionError *error;
	const char *outputs_uri; /* NULL for none */
	CoreLiteralMap *outputs;
};

struct node_row {
	int64_t execution;
	const char *node_id;
	int64_t seq;
	bool changed;
	const char *parent_node_id, *parent_task, *input_uri; /* NULL for none */
	CoreLiteralMap *inputs, *outputs;                     /* only what this batch brings */
	AdminDynamicWorkflowNodeMetadata *dynamic_workflow;   /* likewise */
	AdminNodeExecutionMetaData *metadata;
	AdminNodeExecutionClosure *closure; /* output data is in `outputs` instead */
};

struct task_row {
	int64_t execution;
	const char *node_id;
	CoreIdentifier *task_id;
	uint32_t retry_attempt, phase_version;
	int64_t seq;
	bool changed;
	const char *input_uri;
	CoreLiteralMap *inputs, *outputs;
	AdminTaskExecutionClosure *closure;
};

/* A gate waits for it. Only ever added: values come by API. */
struct signal_row {
	int64_t execution;
	const AlulaSignalAwaited *awaited;
};

struct fold {
	struct arena *arena;
	struct u64map *by_key;     /* execution_row */
	struct map *nodes, *tasks; /* node_row, task_row */
	VEC(struct execution_row *) executions;
	VEC(struct node_row *) node_rows;
	VEC(struct task_row *) task_rows;
	VEC(struct signal_row) signal_rows;
	size_t events, repeated;
};

void fold_init(struct fold *f, struct arena *a);
void fold_clear(struct fold *f);

/* Find or make; `known` is false at first. */
struct execution_row *fold_execution(struct fold *f, int64_t key);
/* Rows that the table has, found or made. */
struct node_row *fold_node(struct fold *f, int64_t execution, const char *node_id);
struct task_row *fold_task(struct fold *f, int64_t execution, const char *node_id, CoreIdentifier *task_id,
			   uint32_t retry_attempt);
/* Take a record in, or note why not. Its execution is `known`. */
void fold_record(struct fold *f, AlulaRecord *record);

/* Take an event in that came by API, beside the records: their numbering does not know of it. */
void fold_told(struct fold *f, struct execution_row *x, AlulaExecutionEvent *e);
/* Has the batch anything for its row? */
bool fold_changes(const struct execution_row *x);

bool execution_phase_terminal(int32_t phase);
bool node_phase_terminal(int32_t phase);
bool task_phase_terminal(int32_t phase);
/* "<node>\n<attempt>\n<project>\n<domain>\n<name>\n<version>": a task execution within its execution. */
const char *task_execution_text(struct arena *a, const CoreTaskExecutionIdentifier *id);

/* The rules of lists and structs that several events of a task add to; in materialise_merge.c. */
void merge_logs(struct arena *a, AdminTaskExecutionClosure *closure, const EventTaskExecutionEvent *e);
void merge_custom_info(struct arena *a, AdminTaskExecutionClosure *closure, const PbStruct *latest);
void merge_task_metadata(struct arena *a, AdminTaskExecutionClosure *closure, EventTaskExecutionMetadata *latest,
			 bool phase_changed);
