#include "flyteidl/core/types.h"
#include "alula/bus.h"
#include "alula/journal.h"
#include "flyteidl/admin/common.h"
#include "flyteidl/admin/event.h"
#include "flyteidl/admin/execution.h"
#include "flyteidl/admin/launch_plan.h"
#include "flyteidl/admin/matchable_resource.h"
#include "flyteidl/admin/node_execution.h"
#include "flyteidl/admin/project.h"
#include "flyteidl/admin/project_attributes.h"
#include "flyteidl/admin/task.h"
#include "flyteidl/admin/task_execution.h"
#include "flyteidl/admin/workflow.h"
#include "flyteidl/core/compiler.h"
#include "flyteidl/core/dynamic_job.h"
#include "flyteidl/core/literals.h"
#include "flyteidl/core/metrics.h"
#include "flyteidl/datacatalog/datacatalog.h"
#include "flyteidl/service/dataproxy.h"
#include "fuzz.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/struct.h"
#include "google/protobuf/wrappers.h"

const ProtobufCMessageDescriptor *const FUZZ_TYPES[] = {
	CORE_LITERAL_MAP_DESC,
	CORE_LITERAL_TYPE_DESC,
	CORE_COMPILED_WORKFLOW_CLOSURE_DESC,
	CORE_DYNAMIC_JOB_SPEC_DESC,
	ADMIN_TASK_CREATE_REQUEST_DESC,
	ADMIN_WORKFLOW_CREATE_REQUEST_DESC,
	ADMIN_LAUNCH_PLAN_CREATE_REQUEST_DESC,
	ADMIN_EXECUTION_CREATE_REQUEST_DESC,
	ADMIN_WORKFLOW_EXECUTION_EVENT_REQUEST_DESC,
	ADMIN_NODE_EXECUTION_EVENT_REQUEST_DESC,
	ADMIN_TASK_EXECUTION_EVENT_REQUEST_DESC,
	ADMIN_PROJECT_ATTRIBUTES_UPDATE_REQUEST_DESC,
	ADMIN_RESOURCE_LIST_REQUEST_DESC,
	ADMIN_EXECUTION_DESC,
	ADMIN_NODE_EXECUTION_LIST_DESC,
	ADMIN_TASK_EXECUTION_CLOSURE_DESC,
	ADMIN_PROJECT_DESC,
	SERVICE_CREATE_UPLOAD_LOCATION_REQUEST_DESC,
	CORE_SPAN_DESC,
	DATACATALOG_CREATE_ARTIFACT_REQUEST_DESC,
	ALULA_COMMAND_DESC,
	ALULA_EVENT_BATCH_DESC,
	ALULA_INPUT_DESC,
	PB_STRUCT_DESC,
	PB_DOUBLE_VALUE_DESC,
	PB_FILE_DESCRIPTOR_PROTO_DESC,
};
const size_t N_FUZZ_TYPES = ARRAY_SIZE(FUZZ_TYPES);
