/* Parameters and arrays in Postgres' binary form (network byte order). Source: Postgres src/backend/utils/adt
 * send/recv. */
#include "private.h"

struct db_param db_null(void)
{
	return (struct db_param){.kind = DB_NULL};
}

struct db_param db_i64(int64_t v)
{
	return (struct db_param){.kind = DB_I64, .i = v};
}

struct db_param db_i32(int32_t v)
{
	return (struct db_param){.kind = DB_I32, .i = v};
}

struct db_param db_bool(bool v)
{
	return (struct db_param){.kind = DB_BOOL, .i = v};
}

struct db_param db_f64(double v)
{
	return (struct db_param){.kind = DB_F64, .d = v};
}

struct db_param db_text(const char *s)
{
	return s ? db_str(str_of(s)) : db_null();
}

struct db_param db_str(struct str s)
{
	return (struct db_param){.kind = DB_TEXT, .s = s};
}

struct db_param db_bytea(struct str s)
{
	return (struct db_param){.kind = DB_BYTEA, .s = s};
}

struct db_param db_time(int64_t us)
{
	return us ? (struct db_param){.kind = DB_TIME, .i = us} : db_null();
}

struct db_param db_array(const struct db_array *x)
{
	return (struct db_param){.kind = DB_ARRAY, .array = x};
}

static const struct {
	uint32_t oid, array_oid;
} OIDS[] = {
	[DB_I64] = {OID_INT8, OID_INT8_ARRAY},
	[DB_I32] = {OID_INT4, OID_INT4_ARRAY},
	[DB_BOOL] = {OID_BOOL, OID_BOOL_ARRAY},
	[DB_F64] = {OID_FLOAT8, OID_FLOAT8_ARRAY},
	[DB_TEXT] = {OID_TEXT, OID_TEXT_ARRAY},
	[DB_BYTEA] = {OID_BYTEA, OID_BYTEA_ARRAY},
	[DB_TIME] = {OID_TIMESTAMPTZ, OID_TIMESTAMPTZ_ARRAY},
};

/* 0 lets the server infer the type: a NULL, or an array (its bytes name its type). */
uint32_t param_oid(int kind)
{
	return (size_t)kind < ARRAY_SIZE(OIDS) ? OIDS[kind].oid : 0;
}

uint32_t param_array_oid(int kind)
{
	return (size_t)kind < ARRAY_SIZE(OIDS) ? OIDS[kind].array_oid : 0;
}

static void add_array(struct buf *b, const struct db_array *x)
{
	if (x->n == 0) {
		add_be32(b, 0); /* no dimensions */
		add_be32(b, 0);
		add_be32(b, x->oid);
		return;
	}
	add_be32(b, 1);
	add_be32(b, x->has_null);
	add_be32(b, x->oid);
	add_be32(b, (uint32_t)x->n);
	add_be32(b, 1); /* the first index */
	buf_add_str(b, buf_str(&x->body));
}

/* Before all times that Postgres knows lies its own '-infinity'. */
static int64_t pg_time(int64_t us)
{
	return us < INT64_MIN + PG_EPOCH_US ? INT64_MIN : us - PG_EPOCH_US;
}

void param_add(struct buf *b, const struct db_param *p)
{
	uint64_t bits;

	switch (p->kind) {
	case DB_I64: add_be64(b, (uint64_t)p->i); break;
	case DB_I32: add_be32(b, (uint32_t)p->i); break;
	case DB_BOOL: buf_addc(b, (char)(p->i != 0)); break;
	case DB_F64:
		memcpy(&bits, &p->d, sizeof bits);
		add_be64(b, bits);
		break;
	case DB_TEXT:
	case DB_BYTEA: buf_add_str(b, p->s); break;
	case DB_TIME: add_be64(b, (uint64_t)pg_time(p->i)); break;
	case DB_ARRAY: add_array(b, p->array); break;
	case DB_NULL: break;
	}
}

struct db_array *db_array_new(struct arena *a, struct db_param kind_of)
{
	struct db_array *x = arena_new_of(a, struct db_array);

	x->arena = a;
	x->kind = (int)kind_of.kind;
	x->oid = param_oid(x->kind);
	return x;
}

/* Grows inside the arena, so that nobody has to free it. */
static void array_reserve(struct db_array *x, size_t n)
{
	if (x->body.len + n + 1 <= x->body.cap)
		return;
	size_t cap = MAX(x->body.cap * 2, x->body.len + n + 257);
	char *data = arena_alloc(x->arena, cap);
	if (x->body.len)
		memcpy(data, x->body.data, x->body.len);
	x->body.data = data;
	x->body.cap = cap;
}

void db_array_add(struct db_array *x, struct db_param value)
{
	array_reserve(x, 16 + value.s.len);
	x->n++;
	if (value.kind == DB_NULL) {
		x->has_null = true;
		add_be32(&x->body, UINT32_MAX);
		return;
	}
	size_t at = x->body.len;
	add_be32(&x->body, 0);
	param_add(&x->body, &value);
	uint32_t len = __builtin_bswap32((uint32_t)(x->body.len - at - 4));
	memcpy(x->body.data + at, &len, sizeof len);
}
