/* Events that come by API (event.c): what another engine tells of executions, kept as propeller's own are.
 *
 * An event is a batch of one for the fold, in one transaction that holds the execution's row: it waits for the
 * materialiser and makes it wait. It does not count as a record. An execution that ends so is ended in propeller too.
 */
#pragma once
#include "bus/outbox.h"
#include "execution.h"
#include "flyteidl/admin/event.h"
#include "materialise_fold.h"

struct telling {
	struct request *rq;
	CoreWorkflowExecutionIdentifier *id;
	const char *cluster; /* that the event comes from */
	AlulaExecutionEvent event;

	struct db *db;
	struct fold fold;
	struct execution_row *x;
	AdminExecutionSpec *spec;
	bool reassigned; /* `spec` names another cluster */
	struct outbox_rows sent;
};

/* ---- event_rules.c: what flyteadmin takes after what ----
 * Source: flyteadmin pkg/manager/impl/{execution,node_execution,task_execution}_manager.go (v1.16.8). */

/* Before the transaction: is the event whole? */
enum code workflow_event_check(struct request *rq, const EventWorkflowExecutionEvent *e, struct err *err);
enum code node_event_check(struct request *rq, const EventNodeExecutionEvent *e, struct err *err);
enum code task_event_check(struct request *rq, const EventTaskExecutionEvent *e, struct err *err);

/* In the transaction, with rows read: may it follow them? */
typedef enum code (*telling_rule)(struct telling *t, struct err *err);
enum code workflow_event_follows(struct telling *t, struct err *err);
enum code node_event_follows(struct telling *t, struct err *err);
enum code task_event_follows(struct telling *t, struct err *err);
