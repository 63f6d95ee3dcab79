-- Who runs executions. A journal commit locks its writer's row FOR KEY SHARE; to fence a writer is to delete the row or
-- to change its epoch, which waits for commits under way and makes later ones write nothing. The heartbeat stands
-- outside the key, so that it conflicts with no commit.
CREATE SEQUENCE propeller_epochs;

CREATE TABLE propellers (
    name text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT nextval('propeller_epochs'),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, epoch)
);

CREATE TABLE shards (
    shard integer PRIMARY KEY,
    owner text,
    host text -- where its attempts run
);
INSERT INTO shards (shard) SELECT generate_series(0, 63);

-- One row a step of one execution: alula.JournalEntry. Rows of an execution go away together, once it is over and every
-- durable consumer has confirmed its last record; so a load by shard reads what is alive and little else.
CREATE TABLE journal (
    shard integer NOT NULL,
    execution bigint NOT NULL,
    seq bigint NOT NULL,
    entry bytea NOT NULL,
    PRIMARY KEY (shard, execution, seq)
);
ALTER TABLE journal ALTER COLUMN entry SET STORAGE EXTERNAL;
