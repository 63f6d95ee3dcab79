/* Reading from a replica, which may be behind or away. */
#include "private.h"

enum code db_query_replica(struct db *db, const struct db_stmt *stmt, size_t n, const struct db_param *params,
			   struct db_rows **ret, struct err *err)
{
	static struct log_limit limit;
	struct err why;

	if (db->pool->replica) {
		auto_free(db_give) struct db *replica = NULL;
		enum code c = db_take(db->pool->replica, &replica, &why);
		if (!c)
			c = db_query_text(replica, stmt, n, params, ret, &why);
		if (!c)
			return OK;
		if (log_allow(&limit, 10 * USEC_PER_SEC, NULL))
			log_warn("the replica did not answer: the primary is asked", LOG_STR("statement", stmt->name),
				 LOG_ERR(&why));
	}
	return db_query_text(db, stmt, n, params, ret, err);
}
