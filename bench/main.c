#include <stdio.h>

#include "bench.h"

static double chain(const char *at, int n, int runs)
{
	return run_one(at, CHAIN, n, runs);
}

static double fan(const char *at, int n, int runs)
{
	return run_one(at, FAN, n, runs);
}

static double map(const char *at, int n, int runs)
{
	return run_one(at, MAP, n, runs);
}

static double nested(const char *at, int n, int runs)
{
	return run_one(at, NESTED, n, runs);
}

static double dynamic(const char *at, int n, int runs)
{
	return run_one(at, DYNAMIC, n, runs);
}

static double children(const char *at, int n, int runs)
{
	return run_one(at, CHILDREN, n, runs);
}

static double cached(const char *at, int n, int runs)
{
	return run_one(at, CACHED, n, runs);
}

static const struct bench_case {
	const char *name, *at, *a, *b; /* how its arguments are called */
	double (*run)(const char *at, int a, int b);
} CASES[] = {
	{"chain", "ADMIN", "NODES", "RUNS", chain},
	{"fan", "ADMIN", "NODES", "RUNS", fan},
	{"map", "ADMIN", "ITEMS", "RUNS", map},
	{"nested", "ADMIN", "NODES", "RUNS", nested},
	{"dynamic", "ADMIN", "NODES", "RUNS", dynamic},
	{"children", "ADMIN", "CHILDREN", "RUNS", children},
	{"cached", "ADMIN", "NODES", "RUNS", cached},
	{"register", "ADMIN", "NODES", "RUNS", run_register},
	{"many", "ADMIN", "EXECUTIONS", "CONNECTIONS", run_many},
	{"create", "ADMIN", "EXECUTIONS", "CONNECTIONS", run_creates},
	{"create-held", "ADMIN", "EXECUTIONS", "CONNECTIONS", run_held_creates},
	{"create-tasks", "ADMIN", "CONNECTIONS", "SECONDS", create_tasks},
	{"get", "ADMIN", "IN_FLIGHT", "SECONDS", get_execution},
	{"get-task", "ADMIN", "IN_FLIGHT", "SECONDS", get_task},
	{"list", "ADMIN", "IN_FLIGHT", "SECONDS", list_executions},
	{"db-get", "DSN", "CONNECTIONS", "SECONDS", database_gets},
	{"db-list", "DSN", "CONNECTIONS", "SECONDS", database_lists},
	{"version", "ADMIN", "CONNECTIONS", "SECONDS", get_version},
	{"lookups", "DATACATALOG", "BATCH", "SECONDS", catalog_lookups},
	{"lookups-16", "DATACATALOG", "BATCH", "SECONDS", catalog_lookups_many},
	{"puts", "DATACATALOG", "BATCH", "SECONDS", catalog_puts},
	{"artifacts", "DATACATALOG", "CONNECTIONS", "SECONDS", catalog_artifacts},
	{"probes", "DSN", "BATCH", "SECONDS", catalog_probes},
	{"commits", "DSN", "CONNECTIONS", "SECONDS", commits},
	{"rows", "DSN", "BATCH", "SECONDS", rows},
	{"publishes", "NATS_URL", "BYTES", "SECONDS", publishes},
};

static bool positive(const char *text, int *ret)
{
	uint64_t n;

	if (!str_to_u64(str_of(text), &n) || n > 1000000)
		return false;
	*ret = (int)n;
	return true;
}

int main(int argc, char **argv)
{
	int a, b;

	for (size_t i = 0; argc == 5 && i < ARRAY_SIZE(CASES); i++)
		if (strcmp(argv[1], CASES[i].name) == 0 && positive(argv[3], &a) && positive(argv[4], &b)) {
			printf("%.6f\n", CASES[i].run(argv[2], a, b));
			return 0;
		}
	fputs("usage:\n", stderr);
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
		fprintf(stderr, "  bench %s %s %s %s\n", CASES[i].name, CASES[i].at, CASES[i].a, CASES[i].b);
	return 2;
}
