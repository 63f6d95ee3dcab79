-- Settings for a project, a domain of it, or a workflow there; '' is any. The row with the highest priority counts.
CREATE TABLE matchable_attributes (
	id            bigint GENERATED ALWAYS AS IDENTITY,
	resource_type integer NOT NULL, -- flyteidl.admin.MatchableResource
	project       text COLLATE "C" NOT NULL,
	domain        text COLLATE "C" NOT NULL,
	workflow      text COLLATE "C" NOT NULL,
	launch_plan   text COLLATE "C" NOT NULL,
	priority      integer NOT NULL,
	attributes    bytea NOT NULL, -- flyteidl.admin.MatchingAttributes
	PRIMARY KEY (resource_type, project, domain, workflow, launch_plan)
);
