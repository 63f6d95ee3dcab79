/* What a task said: its files, not its exit status. error.pb first, then futures.pb, then outputs.pb.
 * Source: flyteplugins ioutils/remote_file_output_reader.go, flytepropeller nodes/task/handler.go ValidateOutput. */
#pragma once
#include "alula/journal.h"
#include "attempt_dir.h"
#include "copilot.h"
#include "futures.h"
#include "store/store.h"

struct results_request {
	struct store *store;
	const char *output_prefix; /* borrowed until the answer, as everything here */
	const char *log_path;      /* its end goes into errors that have no file */
	bool outputs_declared;     /* the task's interface has outputs */
	bool many_errors;          /* its workers write error-<any>.pb each: the earliest one counts */
	struct copilot copilot;    /* outputs may be files there … */
	const char *raw_prefix;    /* … and blobs of them are copied below this */
	size_t max_bytes;          /* of outputs.pb */
	size_t inline_bytes;       /* outputs up to this travel inline */
	struct attempt_status status;
	struct futures *futures;        /* NULL: it cannot leave a workflow */
	struct futures_request dynamic; /* all but the callback */
	/* Called once, on a thread of the store or of `futures`. `finished` has outcome and deck; borrowed for the
	 * call. */
	void (*fn)(void *arg, const AlulaAttemptFinished *finished);
	void *arg;
};

/* Read the files and tell. `rq` must live until the answer. */
void results_read(struct results_request *rq);
