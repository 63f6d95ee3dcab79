/* What comes before an attempt whatever runs it: its inputs are put together, checked, written as its inputs.pb. */
#pragma once
#include "executor.h"
#include "propeller.h"

struct inputs_request {
	struct loop *loop;
	struct store *store;
	const struct propeller_config *config;
	const struct value_ref *inputs; /* need not outlive inputs_prepare */
	size_t n_inputs;
	const char *uri;  /* of inputs.pb */
	bool shared;      /* by several attempts, and there already */
	const char *task; /* as messages name it */
	const CoreRuntimeMetadata *runtime;
	/* What else is made of them, packed and borrowed for the call; on a thread of the store. NULL: nothing. */
	enum code (*use)(void *arg, struct str literals, struct err *err);
	void (*done)(void *arg); /* on the loop; `failure` says how it went */
	void *arg;
	struct err failure;       /* its code is OK for none */
	const char *failure_code; /* of the node's error, with FAILED_PRECONDITION */
};

void inputs_prepare(struct inputs_request *r);

/* The node's error for r->failure. */
struct inputs_error {
	const char *code;
	CoreExecutionErrorErrorKind kind;
	bool again; /* a system error that another attempt may not meet */
};
struct inputs_error inputs_error(const struct inputs_request *r);
