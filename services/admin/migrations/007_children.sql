-- Whom the end of an execution is told to is known by its name there; the node stands in the execution's spec.
ALTER TABLE executions DROP COLUMN parent_node;
