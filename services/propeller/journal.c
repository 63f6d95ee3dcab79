#include "journal.h"

#include "alula/journal.h"
#include "flyte/shard.h"
#include "pb/pb.h"
#include "pb/wire.h"

/* The fence: no row of ours, no write. FOR KEY SHARE lets heartbeats pass and holds off whoever would fence us. */
#define FENCE "WITH fence AS MATERIALIZED (SELECT 1 FROM propellers WHERE name = $1 AND epoch = $2 FOR KEY SHARE) "

static const struct db_stmt COMMIT = {
	"journal_commit",
	FENCE "INSERT INTO journal (shard, execution, seq, entry) "
	      "SELECT r.* FROM fence, unnest($3::integer[], $4::bigint[], $5::bigint[], $6::bytea[]) r",
};
static const struct db_stmt HAS = {
	"journal_has",
	FENCE "SELECT EXISTS (SELECT FROM journal WHERE shard = $3 AND execution = $4 AND seq = $5) FROM fence",
};
static const struct db_stmt LOAD = {
	"journal_load",
	"SELECT shard, execution, seq, entry FROM journal "
	"WHERE shard = ANY($1) AND (execution, seq) > ($2, $3) ORDER BY execution, seq LIMIT $4",
};
static const struct db_stmt READ = {
	"journal_read",
	"SELECT shard, execution, seq, entry FROM journal "
	"WHERE shard = $1 AND execution = $2 AND seq > $3 ORDER BY seq LIMIT $4",
};
static const struct db_stmt LIVE = {
	"journal_live",
	"SELECT x.execution FROM unnest($1::integer[], $2::bigint[]) x(shard, execution) WHERE EXISTS (SELECT FROM "
	"journal j WHERE j.shard = x.shard AND j.execution = x.execution) ORDER BY 1",
};
/* One row says whether the fence stood; the count of deleted rows would not. */
static const struct db_stmt TRIM = {
	"journal_trim",
	FENCE
	", gone AS (DELETE FROM journal j USING fence, unnest($3::integer[], $4::bigint[]) AS x(shard, execution) "
	"WHERE j.shard = x.shard AND j.execution = x.execution) SELECT count(*) FROM fence",
};

enum { ENTRY_INPUT = 1, ENTRY_RECORD = 2 };

void journal_entry_pack(struct buf *b, const AlulaInput *in, const AlulaRecord *record, struct str *ret_record)
{
	pb_pack_field_buf(ENTRY_INPUT, in, b);
	*ret_record = pb_pack_field_buf(ENTRY_RECORD, record, b);
}

static bool get_varint(struct str *s, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; s->len && shift < 64; shift += 7) {
		uint8_t byte = (uint8_t)*s->ptr++;
		s->len--;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

enum code journal_entry_record(struct str entry, struct str *ret, struct err *err)
{
	uint64_t tag, len;

	while (entry.len && get_varint(&entry, &tag) && (tag & 7) == WIRE_LEN && get_varint(&entry, &len) &&
	       len <= entry.len) {
		if (tag >> 3 == ENTRY_RECORD) {
			*ret = (struct str){entry.ptr, len};
			return OK;
		}
		entry.ptr += len;
		entry.len -= len;
	}
	return err_set(err, DATA_LOSS, "journal entry without a record");
}

static enum code fenced(const char *name, uint64_t epoch, struct err *err)
{
	return err_set(err, ABORTED, "fenced: propeller %s has lost epoch %llu", name, (unsigned long long)epoch);
}

enum code journal_commit(struct db *db, const char *name, uint64_t epoch, const struct journal_row *rows, size_t n,
			 struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(64 * 1024);
	struct db_array *shard = db_array_new(a, db_i32(0)), *execution = db_array_new(a, db_i64(0));
	struct db_array *seq = db_array_new(a, db_i64(0)), *entry = db_array_new(a, db_bytea(STR("")));
	int64_t written = 0;

	for (size_t i = 0; i < n; i++) {
		db_array_add(shard, db_i32((int32_t)rows[i].shard));
		db_array_add(execution, db_i64(rows[i].execution));
		db_array_add(seq, db_i64(rows[i].seq));
		db_array_add(entry, db_bytea(rows[i].entry));
	}
	enum code c = db_exec(db, &COMMIT, &written, err, db_text(name), db_i64((int64_t)epoch), db_array(shard),
			      db_array(execution), db_array(seq), db_array(entry));
	if (c)
		return c;
	return written == 0 && n > 0 ? fenced(name, epoch, err) : OK;
}

enum code journal_has(struct db *db, const char *name, uint64_t epoch, const struct journal_row *row, bool *ret,
		      struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &HAS, &rows, err, db_text(name), db_i64((int64_t)epoch), db_i32((int32_t)row->shard),
			       db_i64(row->execution), db_i64(row->seq));

	if (c)
		return c;
	if (db_rows_count(rows) == 0)
		return fenced(name, epoch, err);
	*ret = db_get_bool(rows, 0, 0);
	return OK;
}

enum code journal_load(struct db *db, uint64_t shards, int64_t after_execution, int64_t after_seq, size_t max,
		       struct db_rows **ret, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_array *list = db_array_new(a, db_i32(0));

	for (int32_t i = 0; i < 64; i++)
		if (shards >> i & 1)
			db_array_add(list, db_i32(i));
	return db_query(db, &LOAD, ret, err, db_array(list), db_i64(after_execution), db_i64(after_seq),
			db_i64((int64_t)max));
}

struct journal_row journal_loaded(const struct db_rows *rows, size_t i)
{
	return (struct journal_row){
		.shard = (unsigned)db_get_i64(rows, i, 0),
		.execution = db_get_i64(rows, i, 1),
		.seq = db_get_i64(rows, i, 2),
		.entry = db_get_str(rows, i, 3),
	};
}

enum code journal_read(struct db *db, unsigned shard, int64_t execution, int64_t after_seq, size_t max,
		       struct db_rows **ret, struct err *err)
{
	return db_query(db, &READ, ret, err, db_i32((int32_t)shard), db_i64(execution), db_i64(after_seq),
			db_i64((int64_t)max));
}

enum code journal_trim(struct db *db, const char *name, uint64_t epoch, const unsigned *shards,
		       const int64_t *executions, size_t n, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	struct db_array *shard = db_array_new(a, db_i32(0)), *execution = db_array_new(a, db_i64(0));

	for (size_t i = 0; i < n; i++) {
		db_array_add(shard, db_i32((int32_t)shards[i]));
		db_array_add(execution, db_i64(executions[i]));
	}
	enum code c = db_query(db, &TRIM, &rows, err, db_text(name), db_i64((int64_t)epoch), db_array(shard),
			       db_array(execution));
	if (c)
		return c;
	return db_get_i64(rows, 0, 0) == 0 ? fenced(name, epoch, err) : OK;
}

enum code journal_live(struct db *db, const int64_t *executions, size_t n, struct db_rows **ret, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	struct db_array *shard = db_array_new(a, db_i32(0)), *execution = db_array_new(a, db_i64(0));

	for (size_t i = 0; i < n; i++) {
		db_array_add(shard, db_i32((int32_t)execution_shard(executions[i])));
		db_array_add(execution, db_i64(executions[i]));
	}
	return db_query(db, &LIVE, ret, err, db_array(shard), db_array(execution));
}
