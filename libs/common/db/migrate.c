/* Migrations: each file once, in order, under a lock, with a checksum that it did not change since. */
#include "private.h"

static const struct db_stmt LOCK = {"migrate_lock", "SELECT pg_advisory_xact_lock(hashtextextended($1, 7231))"};
static const struct db_stmt APPLIED = {"migrate_applied", "SELECT name, checksum FROM migrations ORDER BY name"};
static const struct db_stmt REMEMBER = {
	"migrate_remember",
	"INSERT INTO migrations (name, checksum) VALUES ($1, $2)",
};

static void checksum(const char *sql, struct buf *ret)
{
	uint8_t digest[SHA256_BYTES];

	sha256(sql, strlen(sql), digest);
	hex_add(ret, digest, sizeof digest);
}

static const struct db_migration *find(const struct db_migration *m, struct str name)
{
	while (m->name && !str_is(name, m->name))
		m++;
	return m->name ? m : NULL;
}

/* What stands in the database must be what this binary has. *ret_done: how many of ours are applied. */
static enum code check_applied(struct db *db, const char *schema, const struct db_migration *migrations,
			       size_t *ret_done, struct err *err)
{
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_query(db, &APPLIED, &rows, err);

	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		struct str name = db_get_str(rows, i, 0);
		const struct db_migration *m = find(migrations, name);
		auto_buf struct buf sum = {0};
		if (!m)
			return err_set(
				err, FAILED_PRECONDITION,
				"schema %s has migration %.*s, which this program does not know: it is newer than the "
				"program; install the newer one",
				schema, STR_ARG(name));
		checksum(m->sql, &sum);
		if (!str_eq(db_get_str(rows, i, 1), buf_str(&sum)))
			return err_set(
				err, FAILED_PRECONDITION,
				"schema %s: migration %.*s has changed since it was applied: put its text back and add "
				"a new file instead",
				schema, STR_ARG(name));
	}
	if (!c)
		*ret_done = db_rows_count(rows);
	return c;
}

static enum code apply(struct db *db, const struct db_migration *m, struct err *err)
{
	auto_buf struct buf sum = {0};
	enum code c = db_simple(db, m->sql, err);

	if (c)
		return err_prefix(err, c, "migration %s: ", m->name);
	checksum(m->sql, &sum);
	return db_exec(db, &REMEMBER, NULL, err, db_text(m->name), db_str(buf_str(&sum)));
}

static enum code migrate_locked(struct db *db, const char *schema, const struct db_migration *migrations,
				struct err *err)
{
	char *quoted = PQescapeIdentifier(db->conn, schema, strlen(schema));
	auto_mem char *sql =
		x_printf("CREATE SCHEMA IF NOT EXISTS %s; CREATE TABLE IF NOT EXISTS migrations (name text "
			 "PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
			 quoted);
	size_t done = 0;

	PQfreemem(quoted);
	enum code c = db_simple(db, sql, err);
	if (!c)
		c = check_applied(db, schema, migrations, &done, err);
	for (size_t i = done; !c && migrations[i].name; i++)
		c = apply(db, &migrations[i], err);
	return c;
}

enum code db_migrate(struct db_pool *p, const struct db_migration *migrations, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = db_take(p, &db, err);

	if (!c)
		c = db_begin(db, err);
	if (!c)
		c = db_query(db, &LOCK, &rows, err, db_text(p->schema));
	if (!c)
		c = migrate_locked(db, p->schema, migrations, err);
	return c ? c : db_commit(db, err);
}

/* ---- status ---- */

static const struct db_stmt EXISTS = {"migrate_exists", "SELECT to_regclass('migrations') IS NOT NULL"};

static void look_up(const struct db_rows *rows, const struct db_migration *m, struct db_migration_status *ret)
{
	auto_buf struct buf sum = {0};

	for (size_t i = 0; rows && i < db_rows_count(rows); i++) {
		if (!str_is(db_get_str(rows, i, 0), m->name))
			continue;
		checksum(m->sql, &sum);
		ret->state = str_eq(db_get_str(rows, i, 1), buf_str(&sum)) ? MIGRATION_APPLIED : MIGRATION_CHANGED;
		return;
	}
}

enum code db_migration_status(struct db_pool *p, const struct db_migration *migrations, struct arena *a,
			      struct db_migration_status **ret, size_t *ret_n, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *exists = NULL, *rows = NULL;
	size_t ours = 0, n = 0;
	enum code c = db_take(p, &db, err);

	if (!c)
		c = db_query(db, &EXISTS, &exists, err);
	if (!c && db_get_bool(exists, 0, 0))
		c = db_query(db, &APPLIED, &rows, err);
	if (c)
		return c;
	while (migrations[ours].name)
		ours++;
	*ret = arena_array(a, struct db_migration_status, ours + (rows ? db_rows_count(rows) : 0));
	for (; n < ours; n++) {
		(*ret)[n] = (struct db_migration_status){migrations[n].name, MIGRATION_PENDING};
		look_up(rows, &migrations[n], &(*ret)[n]);
	}
	for (size_t i = 0; rows && i < db_rows_count(rows); i++)
		if (!find(migrations, db_get_str(rows, i, 0)))
			(*ret)[n++] = (struct db_migration_status){db_get_text(rows, i, 0, a), MIGRATION_UNKNOWN};
	*ret_n = n;
	return OK;
}
