/* Rows of executions, node and task executions: read what a batch needs, write what it became.
 * One statement a table and direction, however many rows. */
#pragma once
#include "bus/outbox.h"
#include "db/db.h"
#include "materialise_fold.h"

/* The executions of f->executions that there are: fills and marks them known. */
enum code table_read_executions(struct fold *f, struct db *db, struct err *err);
/* Node and task rows that the records touch, of executions that have rows already. */
enum code table_read_rows(struct fold *f, AlulaRecord *const *records, size_t n, struct db *db, struct err *err);
/* Inside the transaction, after table_run: commands to the parents of executions that are over
 * (materialise_children.c).
 */
enum code tell_parents(struct fold *f, struct db *db, struct outbox_rows *sent, struct err *err);
/* What is written in one round trip. */
struct table_steps {
	struct db_step at[8];
	size_t n;
	int64_t executions; /* that are to change */
};
/* Adds what the fold has changed; in its arena. */
void table_write(struct fold *f, struct table_steps *steps);
/* Inside a transaction, which may begin with the first step. ABORTED when somebody else has moved one of the executions
 * since it was read. */
enum code table_run(struct table_steps *steps, struct db *db, struct err *err);
