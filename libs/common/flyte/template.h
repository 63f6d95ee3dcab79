/* Templates in a task's command and arguments: {{ .input }}, {{.outputPrefix}}, {{.inputs.x}}, …
 * Any case, blanks allowed, '.' or '$' before the name; unknown ones stay as they are.
 * Source: flyteplugins pluginmachinery/core/template/template.go (v1.16.8). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/core/literals.h"

struct template_values {
	const char *input;        /* the file, …/inputs.pb */
	const char *input_prefix; /* its directory */
	const char *output_prefix;
	const char *raw_output_prefix;
	const char *checkpoint_prefix;
	const char *prev_checkpoint_prefix; /* "" is rendered as two quote characters */
	const char *unique_name;            /* the task execution's generated name, for perRetryUniqueKey */
	const char *task_template_path;     /* NULL: {{.taskTemplatePath}} is refused */
	const char *namespace;
	const CoreLiteralMap *inputs; /* NULL: {{.inputs.x}} stays as it is */
};

/* Render one text into `a`. Errors: INVALID_ARGUMENT naming the input that is missing or has no text form. */
enum code template_render(const char *text, const struct template_values *v, struct arena *a, const char **ret,
			  struct err *err);
