/* What a handler sees of HTTP's headers, and how long it has.
 * Source: grpc-gateway v2 runtime/context.go; flyteadmin auth/handlers.go GetCustomHeaderMatcher. */
#include "gateway/private.h"

const char *metadata_header(const struct request *rq, const char *name)
{
	static const char alias[] = "grpcgateway-";
	const struct http_request *http = rq->transport;
	if (strncmp(name, alias, sizeof alias - 1) == 0)
		return http_header(http, name + sizeof alias - 1);
	const char *value = http_header(http, arena_printf(rq->arena, "Grpc-Metadata-%s", name));
	return value ? value : http_header(http, name);
}

enum code metadata_deadline(const struct http_request *rq, int64_t *ret_us, struct err *err)
{
	static const struct {
		char unit;
		int64_t ns;
	} units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000},
		     {'m', 1000000},       {'u', 1000},        {'n', 1}};
	const char *text = http_header(rq, "Grpc-Timeout");
	size_t len = text ? strlen(text) : 0, i = 0;
	int64_t n, ns;
	*ret_us = INT64_MAX;
	if (!len)
		return OK;
	while (i < ARRAY_SIZE(units) && units[i].unit != text[len - 1])
		i++;
	if (i == ARRAY_SIZE(units) || !str_to_i64((struct str){text, len - 1}, &n))
		return err_set(err, INVALID_ARGUMENT, "invalid grpc-timeout: %s", text);
	if (!__builtin_mul_overflow(n, units[i].ns, &ns) && !__builtin_add_overflow(rq->received_us, ns / 1000, &n))
		*ret_us = n;
	return OK;
}
