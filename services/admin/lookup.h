/* Rows that are read by their key: what is asked for at once is one round trip to the database. */
#pragma once
#include "admin.h"

enum { LOOKUP_PARAMS = 9 };

struct lookup {
	const struct db_stmt *stmt;
	size_t n_params; /* at most LOOKUP_PARAMS */
	/* Check what is asked for, and give its key: parameters of the same kinds for all. */
	enum code (*key)(struct request *rq, const void *in, struct db_param *ret, struct err *err);
	/* Make the answer from the rows of this key, of which there may be none. */
	enum code (*read)(struct request *rq, const void *in, const struct db_rows *rows, void *ret, struct err *err);
};

/* For a handler of calls that are taken together. */
void lookup_together(const struct lookup *l, struct api_one *const *ones, size_t n);
/* For handlers that need what another one gives. */
enum code lookup_one(const struct lookup *l, struct request *rq, const void *in, void *ret, struct err *err);
