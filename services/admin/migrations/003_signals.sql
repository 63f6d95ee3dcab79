-- What gate nodes wait for, and what was said to them.
CREATE TABLE signals (
	execution  bigint NOT NULL,
	signal_id  text COLLATE "C" NOT NULL,
	id         bigint GENERATED ALWAYS AS IDENTITY,
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	type       bytea NOT NULL, -- flyteidl.core.LiteralType
	value      bytea,          -- flyteidl.core.Literal
	PRIMARY KEY (execution, signal_id)
);
