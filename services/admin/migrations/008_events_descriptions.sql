-- Some events of the execution came by API: it may have rows before its first record has come.
ALTER TABLE executions ADD COLUMN told boolean NOT NULL DEFAULT false;
-- What a task or workflow was described with when it was registered.
CREATE TABLE description_entities (
	id                bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
	resource_type     integer NOT NULL, -- core.ResourceType
	project           text NOT NULL,
	domain            text NOT NULL,
	name              text NOT NULL,
	version           text NOT NULL,
	short_description text NOT NULL,
	long_description  bytea NOT NULL, -- flyteidl.admin.Description
	source_code       text NOT NULL,  -- its link
	created_at        timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (resource_type, project, domain, name, version)
);
