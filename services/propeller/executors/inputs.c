#include "inputs.h"

#include "base/base.h"
#include "offload.h"
#include "values.h"

static void over(struct inputs_request *r, enum code code, const struct err *err)
{
	if (code)
		r->failure = *err;
	loop_post(r->loop, r->done, r->arg);
}

static void on_written(void *arg, enum code code, const struct err *err)
{
	over(arg, code, err);
}

/* On a thread of the store, or at once. */
static void on_inputs(void *arg, enum code code, struct str literals, const struct err *err)
{
	struct inputs_request *r = arg;
	struct err bad;

	if (!code) {
		err = &bad;
		code = offload_check(r->config, r->task, r->runtime, literals, &r->failure_code, &bad);
	}
	if (!code && r->use)
		code = r->use(r->arg, literals, &bad);
	if (code || r->shared)
		over(r, code, err);
	else
		store_write(r->store, r->uri, literals, on_written, r);
}

void inputs_prepare(struct inputs_request *r)
{
	r->failure.code = OK;
	values_collect(r->store, r->inputs, r->n_inputs, (size_t)r->config->max_output_bytes, on_inputs, r);
}

/* What the store could not do may be possible later; all else is what the workflow asked for. */
struct inputs_error inputs_error(const struct inputs_request *r)
{
	static const struct {
		enum code code;
		struct inputs_error error;
	} FINAL[] = {
		{INVALID_ARGUMENT, {"BadTaskSpecification", CORE_EXECUTION_ERROR_ERROR_KIND_USER, false}},
		{RESOURCE_EXHAUSTED, {"InputSizeExceeded", CORE_EXECUTION_ERROR_ERROR_KIND_USER, false}},
		{OUT_OF_RANGE, {"BindingResolutionFailure", CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, false}},
	};

	if (r->failure.code == FAILED_PRECONDITION)
		return (struct inputs_error){r->failure_code, CORE_EXECUTION_ERROR_ERROR_KIND_USER, false};
	for (size_t i = 0; i < ARRAY_SIZE(FINAL); i++)
		if (FINAL[i].code == r->failure.code)
			return FINAL[i].error;
	return (struct inputs_error){"InputsNotWritten", CORE_EXECUTION_ERROR_ERROR_KIND_SYSTEM, true};
}
