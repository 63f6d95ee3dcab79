-- The execution that a recovered one took over from: its files are needed as long as the recovered one is there.
ALTER TABLE executions ADD COLUMN source_execution bigint;
CREATE INDEX executions_source ON executions (source_execution) WHERE source_execution IS NOT NULL;
