/* Counters and durations of each method, under the names that Flyte's dashboards read. */
#include "api/private.h"
#include "base/buf.h"
#include "base/time.h"

#include <ctype.h>

/* Go's spelling of the status codes, which Flyte's counters carry. */
static const char *const go_codes[UNAUTHENTICATED + 1] = {
	[OK] = "OK",
	[CANCELLED] = "Canceled",
	[UNKNOWN] = "Unknown",
	[INVALID_ARGUMENT] = "InvalidArgument",
	[DEADLINE_EXCEEDED] = "DeadlineExceeded",
	[NOT_FOUND] = "NotFound",
	[ALREADY_EXISTS] = "AlreadyExists",
	[PERMISSION_DENIED] = "PermissionDenied",
	[RESOURCE_EXHAUSTED] = "ResourceExhausted",
	[FAILED_PRECONDITION] = "FailedPrecondition",
	[ABORTED] = "Aborted",
	[OUT_OF_RANGE] = "OutOfRange",
	[UNIMPLEMENTED] = "Unimplemented",
	[INTERNAL] = "Internal",
	[UNAVAILABLE] = "Unavailable",
	[DATA_LOSS] = "DataLoss",
	[UNAUTHENTICATED] = "Unauthenticated",
};

/* Where Flyte's name is not the method's own in snake case. Source: flyteadmin/pkg/rpc/adminservice/metrics.go and
 * signal_service.go (v1.16.8). */
static const struct {
	const char *path, *name;
} flyte_names[] = {
	{"/flyteidl.service.AdminService/ListTasks", "list_task"},
	{"/flyteidl.service.AdminService/ListWorkflows", "list_workflow"},
	{"/flyteidl.service.AdminService/ListLaunchPlans", "list_launch_plan"},
	{"/flyteidl.service.AdminService/ListExecutions", "list_execution"},
	{"/flyteidl.service.AdminService/ListNodeExecutions", "list_node_execution"},
	{"/flyteidl.service.AdminService/ListNodeExecutionsForTask", "list_children_node_executions"},
	{"/flyteidl.service.AdminService/ListTaskExecutions", "list_task_execution"},
	{"/flyteidl.service.AdminService/ListDescriptionEntities", "list_description_entity"},
	{"/flyteidl.service.AdminService/CreateWorkflowEvent", "create_execution_event"},
	{"/flyteidl.service.AdminService/CreateNodeEvent", "create_node_execution_event"},
	{"/flyteidl.service.AdminService/CreateTaskEvent", "create_task_execution_event"},
	{"/flyteidl.service.AdminService/GetDomains", "get_domain"},
	{"/flyteidl.service.AdminService/UpdateProjectAttributes", "update_project_attrs"},
	{"/flyteidl.service.AdminService/GetProjectAttributes", "get_project_attrs"},
	{"/flyteidl.service.AdminService/DeleteProjectAttributes", "delete_project_attrs"},
	{"/flyteidl.service.AdminService/UpdateProjectDomainAttributes", "update_project_domain_attrs"},
	{"/flyteidl.service.AdminService/GetProjectDomainAttributes", "get_project_domain_attrs"},
	{"/flyteidl.service.AdminService/DeleteProjectDomainAttributes", "delete_project_domain_attrs"},
	{"/flyteidl.service.AdminService/UpdateWorkflowAttributes", "update_workflow_attrs"},
	{"/flyteidl.service.AdminService/GetWorkflowAttributes", "get_workflow_attrs"},
	{"/flyteidl.service.AdminService/DeleteWorkflowAttributes", "delete_workflow_attrs"},
	{"/flyteidl.service.AdminService/ListMatchableAttributes", "list_matchable_resource_attrs"},
	{"/flyteidl.service.SignalService/GetOrCreateSignal", "create_signal"},
};

static void add_snake(struct buf *b, struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (i && isupper((unsigned char)name.ptr[i]) && !isupper((unsigned char)name.ptr[i - 1]))
			buf_addc(b, '_');
		buf_addc(b, (char)tolower((unsigned char)name.ptr[i]));
	}
}

/* "flyteidl.service.AdminService" is "admin". */
static void add_service(struct buf *b, const char *full)
{
	const char *dot = strrchr(full, '.');
	struct str name = str_of(dot ? dot + 1 : full);

	if (name.len > strlen("Service") && str_ends(name, "Service"))
		name.len -= strlen("Service");
	add_snake(b, name);
}

static void add_method(struct buf *b, const struct pb_method *method)
{
	for (size_t i = 0; i < ARRAY_SIZE(flyte_names); i++)
		if (strcmp(flyte_names[i].path, method->path) == 0) {
			buf_adds(b, flyte_names[i].name);
			return;
		}
	add_snake(b, str_of(method->name));
}

/* The text of `b` with `suffix`, until the next call. */
static const char *with(struct buf *b, size_t len, const char *suffix)
{
	b->len = len;
	buf_adds(b, suffix);
	return buf_text(b);
}

/* As go-grpc-prometheus, which flyteadmin has on, names it. Source: flyteadmin/pkg/server/service.go. */
static struct metric *handling_seconds(struct metrics *registry, const struct pb_service *service,
				       const struct pb_method *method)
{
	auto_mem char *labels =
		x_printf("grpc_method=\"%s\",grpc_service=\"%s\",grpc_type=\"unary\"", method->name, service->name);

	return metrics_histogram(registry, "grpc_server_handling_seconds", labels,
				 "time from a call's arrival to its answer");
}

void api_metrics_init(struct api_metrics *m, const struct api_options *options, const struct pb_service *service,
		      const struct pb_method *method)
{
	struct metrics *registry = options->metrics;
	auto_buf struct buf name = {0};
	size_t len;

	if (!registry)
		return;
	if (options->metrics_prefix && *options->metrics_prefix)
		buf_printf(&name, "%s:", options->metrics_prefix);
	add_service(&name, service->name);
	buf_addc(&name, ':');
	add_method(&name, method);
	len = name.len;
	m->duration = metrics_summary(registry, with(&name, len, ":duration_ms"), NULL,
				      "time from a call's arrival to its answer", USEC_PER_MSEC);
	m->handling = handling_seconds(registry, service, method);
	m->errors = metrics_counter(registry, with(&name, len, ":errors"), NULL, "calls answered with an error");
	m->success = metrics_counter(registry, with(&name, len, ":success"), NULL, "calls answered with OK");
	for (size_t i = 0; i < ARRAY_SIZE(go_codes); i++) {
		with(&name, len, ":codes:");
		buf_adds(&name, go_codes[i]);
		m->codes[i] = metrics_counter(registry, buf_text(&name), NULL, "calls answered with this code");
	}
}

void api_count(const struct api_method *m, enum code code, int64_t duration_us)
{
	const struct api_metrics *c = &m->metrics;

	metric_observe_us(c->duration, duration_us);
	metric_observe_us(c->handling, duration_us);
	metric_add(code == OK ? c->success : c->errors, 1);
	if ((size_t)code < ARRAY_SIZE(c->codes))
		metric_add(c->codes[code], 1);
}
