/* Which route takes a request. A handful of routes: a scan is quicker than a tree. */
#include "http/private.h"

/* How well `route` fits `path`: 0 not at all; an exact route fits better than a prefix of the same length. */
static size_t fit(const struct http_route *route, const char *path)
{
	size_t n = strlen(route->path);
	if (n && route->path[n - 1] == '*')
		return strncmp(route->path, path, n - 1) == 0 ? 2 * n - 1 : 0;
	return strcmp(route->path, path) == 0 ? 2 * n + 1 : 0;
}

static bool takes(const struct http_route *route, const char *verb)
{
	if (!route->verb || strcmp(route->verb, verb) == 0)
		return true;
	return strcmp(verb, "HEAD") == 0 && strcmp(route->verb, "GET") == 0;
}

static const char *allow(const struct http_route *routes, const char *path, struct arena *a)
{
	const char *text = "";
	for (const struct http_route *r = routes; r->fn; r++)
		if (fit(r, path))
			text = arena_printf(a, "%s%s%s", text, *text ? ", " : "", r->verb);
	return text;
}

const struct http_route *http_route_find(const struct http_route *routes, const char *verb, const char *path,
					 struct arena *a, int *ret_status, const char **ret_allow)
{
	const struct http_route *best = NULL;
	bool known = false;
	for (const struct http_route *r = routes; r->fn; r++) {
		if (!fit(r, path))
			continue;
		known = true;
		if (takes(r, verb) && (!best || fit(r, path) > fit(best, path)))
			best = r;
	}
	if (!best) {
		*ret_status = known ? 405 : 404;
		*ret_allow = known ? allow(routes, path, a) : NULL;
	}
	return best;
}
