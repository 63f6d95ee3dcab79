#include "recovery.h"

#include "base/base.h"
#include "futures.h"
#include "pb/pb.h"

enum { MAX_RECOVERY_BYTES = 1 << 30 };

enum code recovery_read(struct store *store, AlulaStartExecution *start, struct arena *a, struct err *err)
{
	auto_buf struct buf b = {0};

	if (start->recovery || !*start->recovery_uri)
		return OK;
	enum code c = store_get(store, start->recovery_uri, MAX_RECOVERY_BYTES, &b, err);
	if (!c)
		c = pb_unpack(ALULA_RECOVERY_DESC, buf_str(&b), a, (void **)&start->recovery, err);
	if (!c && !start->recovery->source)
		c = err_set(err, INVALID_ARGUMENT, "the execution that it is of is missing");
	return c ? err_prefix(err, c, "what is recovered, %s: ", start->recovery_uri) : OK;
}

/* ---- dynamic workflows ---- */

struct compiling {
	const struct executor_host *host;
	struct attempt_id id;
	struct arena *arena;
	struct futures_request rq;
};

static void on_compiled(void *arg, const AlulaDynamicWorkflow *workflow, const struct err *err)
{
	struct compiling *c = arg;
	AlulaAttemptFinished finished = ALULA_ATTEMPT_FINISHED_INIT;
	AlulaAttemptError failed = ALULA_ATTEMPT_ERROR_INIT;
	CoreExecutionError error = CORE_EXECUTION_ERROR_INIT;
	AlulaInput in = ALULA_INPUT_INIT;

	finished.node = c->id.node;
	finished.attempt = c->id.attempt;
	if (workflow) {
		finished.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_DYNAMIC;
		finished.dynamic = (AlulaDynamicWorkflow *)workflow;
	} else {
		error.code = "DynamicWorkflowUnreadable";
		error.message = (char *)err->text;
		error.kind = CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM;
		failed.error = &error;
		failed.recoverable = failed.system = true;
		finished.outcome_case = ALULA_ATTEMPT_FINISHED_OUTCOME_ERROR;
		finished.error = &failed;
	}
	in.execution = c->id.execution;
	in.input_case = ALULA_INPUT_INPUT_ATTEMPT_FINISHED;
	in.attempt_finished = &finished;
	c->host->feed(c->host->arg, &in);
	arena_free(c->arena);
}

void recovery_compile(const struct executor_host *host, struct attempt_id id, const struct attempt *a, const char *uri,
		      size_t max_bytes)
{
	struct arena *arena = arena_new(4096);
	struct compiling *c = arena_new_of(arena, struct compiling);

	c->host = host;
	c->id = id;
	c->arena = arena;
	c->rq = futures_request_of(id, a, arena);
	c->rq.spec_uri = arena_strdup(arena, uri);
	c->rq.max_bytes = max_bytes;
	c->rq.fn = on_compiled;
	c->rq.arg = c;
	futures_compile(host->futures, &c->rq);
}
