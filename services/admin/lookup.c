#include "lookup.h"

struct asked {
	struct api_one *one;
	struct db_rows *rows;
};

static size_t keys(const struct lookup *l, struct api_one *const *ones, size_t n, struct asked *asked,
		   struct db_param *params)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		struct api_one *one = ones[i];
		one->code = l->key(one->rq, one->in, params + k * l->n_params, one->err);
		if (!one->code)
			asked[k++] = (struct asked){.one = one};
	}
	return k;
}

/* One that the database refuses does not take the others with it. */
static void query_alone(const struct lookup *l, struct db *db, struct asked *asked, size_t n,
			const struct db_param *params)
{
	for (size_t i = 0; i < n; i++) {
		struct api_one *one = asked[i].one;
		one->code =
			db_query_params(db, l->stmt, l->n_params, params + i * l->n_params, &asked[i].rows, one->err);
	}
}

static void query(const struct lookup *l, struct admin *admin, struct asked *asked, size_t n,
		  const struct db_param *params)
{
	auto_free(db_give) struct db *db = NULL;
	struct db_rows *rows[API_TOGETHER];
	struct err err;
	enum code c = db_take(admin->db, &db, &err);

	if (!c)
		c = db_query_each(db, l->stmt, l->n_params, params, n, rows, &err);
	for (size_t i = 0; i < n; i++) {
		asked[i].one->code = c;
		if (c)
			err_set(asked[i].one->err, c, "%s", err.text);
		else
			asked[i].rows = rows[i];
	}
	if (c && c != UNAVAILABLE && c != DEADLINE_EXCEEDED && db && n > 1)
		query_alone(l, db, asked, n, params);
}

void lookup_together(const struct lookup *l, struct api_one *const *ones, size_t n)
{
	struct asked asked[API_TOGETHER];
	struct db_param params[API_TOGETHER * LOOKUP_PARAMS];
	size_t k = keys(l, ones, n, asked, params);

	if (k)
		query(l, admin_of(ones[0]->rq), asked, k, params);
	for (size_t i = 0; i < k; i++) {
		struct api_one *one = asked[i].one;
		if (!one->code)
			one->code = l->read(one->rq, one->in, asked[i].rows, one->ret, one->err);
		db_rows_free(asked[i].rows);
	}
}

enum code lookup_one(const struct lookup *l, struct request *rq, const void *in, void *ret, struct err *err)
{
	struct api_one one = {rq, in, ret, err, OK}, *ones[] = {&one};

	lookup_together(l, ones, 1);
	return one.code;
}
