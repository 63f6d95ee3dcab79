-- Executions that a node of another one launched: who is to hear of their end.
ALTER TABLE executions ADD COLUMN parent_execution bigint, ADD COLUMN parent_node text;
