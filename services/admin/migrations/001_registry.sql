-- What is registered. Protobuf in bytea; what lists filter and sort by stands in columns of its own.
--
-- Indexes for lists begin with project and domain as one expression, so that the planner cannot take them for a look-up
-- by project, domain, name and version: without statistics it thinks both alike, and reads a whole domain for one row.
CREATE TABLE projects (
    key bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id text PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    labels bytea NOT NULL DEFAULT '',       -- flyteidl.admin.Labels
    state integer NOT NULL DEFAULT 0,       -- Project.ProjectState
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tasks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    type text NOT NULL,
    short_description text NOT NULL,
    digest bytea NOT NULL,                  -- of the compiled task, canonical
    compiled bytea NOT NULL,                -- flyteidl.core.CompiledTask
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (project, domain, name, version)
);
CREATE INDEX tasks_by_time ON tasks ((project || '/' || domain), created_at, id);

CREATE TABLE workflows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    short_description text NOT NULL,
    digest bytea NOT NULL,                  -- of the compiled closure, canonical
    interface bytea NOT NULL,               -- flyteidl.core.TypedInterface
    closure_uri text NOT NULL,              -- flyteidl.core.CompiledWorkflowClosure in the store
    closure bytea,                          -- the same bytes, when they are few
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (project, domain, name, version)
);
CREATE INDEX workflows_by_time ON workflows ((project || '/' || domain), created_at, id);

CREATE TABLE launch_plans (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    workflow_id bigint NOT NULL REFERENCES workflows,
    digest bytea NOT NULL,                  -- of the spec with expected inputs, canonical
    spec bytea NOT NULL,                    -- flyteidl.admin.LaunchPlanSpec
    closure bytea NOT NULL,                 -- flyteidl.admin.LaunchPlanClosure: expected inputs and outputs
    schedule_type text NOT NULL,            -- NONE, CRON, RATE
    state integer NOT NULL DEFAULT 0,       -- LaunchPlanState
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (project, domain, name, version)
);
CREATE INDEX launch_plans_by_time ON launch_plans ((project || '/' || domain), created_at, id);
-- One version is active at most.
CREATE UNIQUE INDEX launch_plans_active ON launch_plans (project, domain, name) WHERE state = 1;

-- A row for each name that a task, workflow or launch plan was registered under.
CREATE TABLE named_entities (
    id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    resource_type integer NOT NULL,         -- core.ResourceType
    project text NOT NULL,
    domain text NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    state integer NOT NULL DEFAULT 0,       -- NamedEntityState
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (resource_type, project, domain, name)
);
