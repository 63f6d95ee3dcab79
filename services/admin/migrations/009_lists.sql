-- Indexes for console-sized lists of executions: one for each filter and sort that the console and flytectl offer, with
-- created_at behind what is compared by equality, as lists end in that order. A state's change now writes them all; it
-- happens once or twice in an execution's life (docs/performance.md says what that costs).
CREATE INDEX executions_by_phase ON executions ((project || '/' || domain), phase, created_at, key);
CREATE INDEX executions_by_user ON executions ((project || '/' || domain), principal, created_at, key);
CREATE INDEX executions_by_workflow ON executions ((project || '/' || domain), workflow_name, created_at, key);
CREATE INDEX executions_by_version
	ON executions ((project || '/' || domain), workflow_name, workflow_version, created_at, key);
CREATE INDEX executions_by_launch_plan ON executions ((project || '/' || domain), launch_plan_name, created_at, key);
CREATE INDEX executions_by_update ON executions ((project || '/' || domain), updated_at);
CREATE INDEX executions_by_start ON executions ((project || '/' || domain), coalesce(started_at, 'epoch'));
CREATE INDEX executions_by_duration ON executions ((project || '/' || domain), coalesce(duration, 0));
-- What few executions have.
CREATE INDEX executions_by_task ON executions ((project || '/' || domain), task_name, created_at, key)
	WHERE task_name <> '';
CREATE INDEX executions_by_mode ON executions ((project || '/' || domain), mode, created_at, key) WHERE mode <> 0;
CREATE INDEX executions_by_state ON executions ((project || '/' || domain), state, created_at, key) WHERE state <> 0;
CREATE INDEX executions_by_error ON executions ((project || '/' || domain), coalesce(error_code, ''), created_at, key)
	WHERE coalesce(error_code, '') <> '';
CREATE INDEX executions_by_error_kind
	ON executions ((project || '/' || domain), coalesce(error_kind, ''), created_at, key)
	WHERE coalesce(error_kind, '') <> '';
