-- Labels and tags that an execution was created with: what lists are filtered by.
CREATE TABLE execution_tags (
	key       text COLLATE "C" NOT NULL,
	value     text COLLATE "C" NOT NULL,
	execution bigint NOT NULL,
	PRIMARY KEY (key, value, execution)
);
CREATE INDEX execution_tags_execution ON execution_tags (execution);
