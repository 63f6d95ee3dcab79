#include "flyte/dynamic.h"

#include "base/base.h"

const char *compiled_futures_uri(struct arena *a, const char *job_spec_uri)
{
	size_t dir = str_of(job_spec_uri).len - MIN(str_of(job_spec_uri).len, sizeof FUTURES_FILE - 1);

	if (dir == 0 || job_spec_uri[dir - 1] != '/' || strcmp(job_spec_uri + dir, FUTURES_FILE) != 0)
		return NULL;
	return arena_printf(a, "%.*sfutures_compiled.pb", (int)dir, job_spec_uri);
}
