/* COPY … FROM STDIN BINARY. Source: Postgres, "COPY", section "Binary Format". */
#include "private.h"

static enum code put(struct db *db, struct buf *b, struct err *err)
{
	enum code c = PQputCopyData(db->conn, b->data, (int)b->len) == 1 ? OK : db_fail(db, NULL, "COPY", err);

	buf_clear(b);
	return c;
}

enum code db_copy_start(struct db *db, const char *sql, struct err *err)
{
	static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
	PGresult *r = PQexec(db->conn, sql);
	enum code c = PQresultStatus(r) == PGRES_COPY_IN ? OK : db_fail(db, r, "COPY", err);
	struct buf b = {0};

	PQclear(r);
	if (c)
		return c;
	buf_add(&b, header, sizeof header); /* signature of 11 bytes with its NUL, flags, extension length: 19 in all */
	b.len = 19;
	return put(db, &b, err);
}

enum code db_copy_row(struct db *db, size_t n, const struct db_param *values, struct err *err)
{
	struct buf b = {0};
	uint16_t columns = __builtin_bswap16((uint16_t)n);

	buf_add(&b, &columns, sizeof columns);
	for (size_t i = 0; i < n; i++) {
		size_t at = b.len;
		add_be32(&b, UINT32_MAX);
		if (values[i].kind == DB_NULL)
			continue;
		param_add(&b, &values[i]);
		uint32_t len = __builtin_bswap32((uint32_t)(b.len - at - 4));
		memcpy(b.data + at, &len, sizeof len);
	}
	return put(db, &b, err);
}

enum code db_copy_finish(struct db *db, struct err *err)
{
	struct buf b = {0};
	enum code c;

	buf_add(&b, "\377\377", 2);
	c = put(db, &b, err);
	if (PQputCopyEnd(db->conn, NULL) != 1 && !c)
		c = db_fail(db, NULL, "COPY", err);
	for (PGresult *r; (r = PQgetResult(db->conn)); PQclear(r))
		if (PQresultStatus(r) != PGRES_COMMAND_OK && !c)
			c = db_fail(db, r, "COPY", err);
	return c;
}
