/* The journal's rows: commit under the fence, load, read again, trim. One row an engine step.
 * `entry` is a packed alula.JournalEntry; its record is a slice of it, so that it is packed once and published as it
 * is. */
#pragma once
#include "base/buf.h"
#include "db/db.h"
#include "propeller.h"

struct journal_row {
	unsigned shard;
	int64_t execution, seq;
	struct str entry;
};

/* Put an entry together from its packed parts; *ret_record is the slice of `b` that holds the record. */
void journal_entry_pack(struct buf *b, const AlulaInput *in, const AlulaRecord *record, struct str *ret_record);
/* The record's bytes inside an entry. DATA_LOSS if it has none. */
enum code journal_entry_record(struct str entry, struct str *ret, struct err *err);

/* Write rows in one transaction, if (name, epoch) still stands.
 * Errors: ABORTED "fenced"; UNAVAILABLE and others: unknown whether it committed, see journal_has. */
enum code journal_commit(struct db *db, const char *name, uint64_t epoch, const struct journal_row *rows, size_t n,
			 struct err *err);
/* Is this row there? For a commit whose answer got lost: rows of one commit are there together or not at all. ABORTED
 * "fenced": then the row may be that of whoever took over, and says nothing of ours. */
enum code journal_has(struct db *db, const char *name, uint64_t epoch, const struct journal_row *row, bool *ret,
		      struct err *err);

/* A page of up to `max` rows of these shards (bits of a mask), in order of (execution, seq) after the given position.
 */
enum code journal_load(struct db *db, uint64_t shards, int64_t after_execution, int64_t after_seq, size_t max,
		       struct db_rows **ret, struct err *err);
struct journal_row journal_loaded(const struct db_rows *rows, size_t i);

/* Up to `max` rows of one execution, seq > after_seq. */
enum code journal_read(struct db *db, unsigned shard, int64_t execution, int64_t after_seq, size_t max,
		       struct db_rows **ret, struct err *err);

/* Delete all rows of these executions, under the fence. ABORTED "fenced". */
enum code journal_trim(struct db *db, const char *name, uint64_t epoch, const unsigned *shards,
		       const int64_t *executions, size_t n, struct err *err);

/* Which of these executions have rows, whoever runs them; sorted. */
enum code journal_live(struct db *db, const int64_t *executions, size_t n, struct db_rows **ret, struct err *err);
