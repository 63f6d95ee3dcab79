-- Executions, their node and task executions, and the commands to propeller that nobody has confirmed yet.
-- Rows that change have no index on what changes and half-empty pages, so that updates stay in their page (HOT).
-- Phases are the numbers of flyteidl.core.*.Phase; seq is the last journal record that a row has taken in.

-- Admins take keys in blocks: key and shard are known before the row is written.
CREATE SEQUENCE execution_keys INCREMENT BY 256;

CREATE TABLE executions (
	key                 bigint PRIMARY KEY,
	project             text COLLATE "C" NOT NULL,
	domain              text COLLATE "C" NOT NULL,
	name                text COLLATE "C" NOT NULL,
	seq                 bigint NOT NULL DEFAULT 0,
	phase               smallint NOT NULL DEFAULT 0,
	created_at          timestamptz NOT NULL,
	started_at          timestamptz,
	updated_at          timestamptz NOT NULL,
	duration            bigint,
	error               bytea, -- flyteidl.core.ExecutionError
	error_kind          text,
	error_code          text,
	outputs_uri         text,
	outputs             bytea, -- flyteidl.core.LiteralMap
	abort_cause         text,
	abort_principal     text,
	state               smallint NOT NULL DEFAULT 0,
	state_changed_at    timestamptz NOT NULL,
	state_principal     text NOT NULL DEFAULT '',
	mode                integer NOT NULL DEFAULT 0,
	principal           text NOT NULL DEFAULT '',
	launch_entity       text NOT NULL,
	launch_plan_name    text COLLATE "C" NOT NULL DEFAULT '',
	launch_plan_version text COLLATE "C" NOT NULL DEFAULT '',
	workflow_name       text COLLATE "C" NOT NULL DEFAULT '',
	workflow_version    text COLLATE "C" NOT NULL DEFAULT '',
	task_name           text COLLATE "C" NOT NULL DEFAULT '',
	task_version        text COLLATE "C" NOT NULL DEFAULT '',
	inputs_uri          text,
	inputs              bytea, -- flyteidl.core.LiteralMap
	spec                bytea NOT NULL, -- flyteidl.admin.ExecutionSpec
	closure             bytea NOT NULL  -- flyteidl.admin.ExecutionClosure: what of it never changes
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX executions_name ON executions (project, domain, name);
CREATE INDEX executions_list ON executions ((project || '/' || domain), created_at, key); -- see 001_registry.sql

CREATE TABLE node_executions (
	execution        bigint NOT NULL,
	node_id          text COLLATE "C" NOT NULL,
	id               bigint GENERATED ALWAYS AS IDENTITY,
	seq              bigint NOT NULL,
	phase            smallint NOT NULL,
	created_at       timestamptz NOT NULL,
	started_at       timestamptz,
	updated_at       timestamptz NOT NULL,
	duration         bigint,
	parent_node_id   text COLLATE "C" NOT NULL DEFAULT '',
	parent_task      text COLLATE "C" NOT NULL DEFAULT '', -- node, attempt and task that made the node
	error_kind       text,
	error_code       text,
	input_uri        text,
	inputs           bytea, -- flyteidl.core.LiteralMap
	outputs          bytea, -- flyteidl.core.LiteralMap
	dynamic_workflow bytea, -- flyteidl.admin.DynamicWorkflowNodeMetadata
	metadata         bytea NOT NULL, -- flyteidl.admin.NodeExecutionMetaData
	closure          bytea NOT NULL, -- flyteidl.admin.NodeExecutionClosure, without output data
	PRIMARY KEY (execution, node_id)
) WITH (fillfactor = 50);
CREATE INDEX node_executions_list ON node_executions ((execution + 0), created_at, id);

CREATE TABLE task_executions (
	execution     bigint NOT NULL,
	node_id       text COLLATE "C" NOT NULL,
	retry_attempt integer NOT NULL,
	task_name     text COLLATE "C" NOT NULL,
	task_version  text COLLATE "C" NOT NULL,
	task_project  text COLLATE "C" NOT NULL,
	task_domain   text COLLATE "C" NOT NULL,
	id            bigint GENERATED ALWAYS AS IDENTITY,
	seq           bigint NOT NULL,
	phase         smallint NOT NULL,
	phase_version bigint NOT NULL,
	created_at    timestamptz NOT NULL,
	started_at    timestamptz,
	updated_at    timestamptz NOT NULL,
	duration      bigint,
	error_kind    text,
	error_code    text,
	input_uri     text,
	inputs        bytea, -- flyteidl.core.LiteralMap
	outputs       bytea, -- flyteidl.core.LiteralMap
	closure       bytea NOT NULL, -- flyteidl.admin.TaskExecutionClosure, without output data
	PRIMARY KEY (execution, node_id, retry_attempt, task_name, task_version, task_project, task_domain)
) WITH (fillfactor = 50);

-- See libs/common/bus/outbox.h. key: the execution of a start, minus the execution of an abort.
CREATE TABLE outbox (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key        bigint NOT NULL,
	subject    text NOT NULL,
	payload    bytea NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_key ON outbox (key);
