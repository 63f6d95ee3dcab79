/* Reading binary results. */
#include "private.h"

size_t db_rows_count(const struct db_rows *r)
{
	return r ? (size_t)PQntuples(r->result) : 0;
}

bool db_is_null(const struct db_rows *r, size_t row, int col)
{
	return PQgetisnull(r->result, (int)row, col);
}

struct str db_get_str(const struct db_rows *r, size_t row, int col)
{
	return (struct str){PQgetvalue(r->result, (int)row, col), (size_t)PQgetlength(r->result, (int)row, col)};
}

int64_t db_get_i64(const struct db_rows *r, size_t row, int col)
{
	struct str s = db_get_str(r, row, col);
	int64_t v = 0;

	/* Big-endian of 1 (bool), 2, 4 or 8 bytes, with sign. */
	for (size_t i = 0; i < s.len && i < 8; i++)
		v = i == 0 ? (signed char)s.ptr[0] : (int64_t)((uint64_t)v << 8 | (unsigned char)s.ptr[i]);
	return v;
}

bool db_get_bool(const struct db_rows *r, size_t row, int col)
{
	return db_get_i64(r, row, col) != 0;
}

double db_get_f64(const struct db_rows *r, size_t row, int col)
{
	int64_t bits = db_get_i64(r, row, col);
	double d;

	memcpy(&d, &bits, sizeof d);
	return d;
}

int64_t db_get_time_us(const struct db_rows *r, size_t row, int col)
{
	return db_is_null(r, row, col) ? 0 : db_get_i64(r, row, col) + PG_EPOCH_US;
}

char *db_get_text(const struct db_rows *r, size_t row, int col, struct arena *a)
{
	struct str s = db_get_str(r, row, col);

	return arena_strndup(a, s.ptr, s.len);
}

void db_rows_free(struct db_rows *r)
{
	if (!r)
		return;
	PQclear(r->result);
	free(r);
}
