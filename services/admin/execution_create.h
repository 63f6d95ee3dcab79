/* Shared by execution_create.c and execution_insert.c: executions that are created at once. */
#pragma once
#include "bus/outbox.h"
#include "execution.h"
#include "flyte/shard.h"

struct creation {
	struct api_one *one;
	struct request *rq;
	const AdminExecutionCreateRequest *in;
	struct launchable *launch;
	int64_t key, now_us;
	CoreWorkflowExecutionIdentifier *id;
	AdminExecutionSpec *spec;
	AdminExecutionClosure *closure;
	CoreLiteralMap *inputs;
	struct execution_parent parent;
	struct str packed_inputs, command;
	char subject[SUBJECT_BYTES];     /* where the command goes */
	char *inputs_uri, *recovery_uri; /* NULL: inline; NULL or "": none */
	int64_t source;                  /* key of the execution that it recovers; 0 for none */
	struct execution_project project;
};

struct project {
	const char *name;
	bool found;
	int64_t state;
	struct execution_project says;
};

struct creating {
	struct db *db;
	struct creation at[API_TOGETHER]; /* what passed all checks */
	size_t n;
	struct project projects[API_TOGETHER]; /* asked for so far */
	size_t n_projects;
};

/* Write them, and the commands to propeller, in one transaction. Each one's code and error say what became of it; the
 * rows that are to be sent are noted in `sent`. */
void executions_insert(struct creating *all, struct outbox_rows *sent);
