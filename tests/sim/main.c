/* sim [--seeds N] [--first SEED] [--jobs N] [--verbose]: so many worlds; ends with "N passed, M failed". */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

enum { MAX_JOBS = 64, SEED_SECONDS = 20, MAX_TOLD = 20 };

struct seen *seen;

/* What the workers share with their parent. */
static struct progress {
	_Atomic uint64_t next, told;
	_Atomic size_t passed, failed;
	struct {
		_Atomic uint64_t seed; /* in hand; 0: none */
		struct seen seen;
	} worker[MAX_JOBS];
} * progress;

static struct options {
	uint64_t first, seeds;
	int jobs;
	bool verbose;
} options = {1, 10000, 0, false};

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	s->failure = arena_vprintf(s->a, fmt, ap);
	va_end(ap);
	longjmp(s->out, 1);
}

static void tell(uint64_t seed, const char *why)
{
	if (atomic_fetch_add(&progress->told, 1) < MAX_TOLD)
		printf("FAIL seed %llu: %s\n     make sim SEEDS=1 SEED=%llu SIM_ARGS=--verbose\n",
		       (unsigned long long)seed, why, (unsigned long long)seed);
	fflush(stdout);
}

/* ---- one world ---- */

static void world_new(struct sim *s, uint64_t seed)
{
	static const int CRUELTY[] = {0, 5, 20, 60, 150};

	*s = (struct sim){.seed = seed, .chance = seed, .now_us = T0, .verbose = options.verbose};
	s->a = arena_new(0);
	s->scratch = arena_new(0);
	s->store = map_new();
	s->attempts = map_new();
	s->catalog = map_new();
	s->reservations = map_new();
	s->signals = map_new();
	s->children = map_new();
	s->dynamics = map_new();
	s->plans = map_new();
	s->closures = map_new();
	s->cruelty = CRUELTY[below(s, ARRAY_SIZE(CRUELTY))];
	s->record_events = one_in(s, 3) ? 512 : (int)(4 + below(s, 60));
	s->inline_bytes = one_in(s, 3) ? 8 + below(s, 60) : 0;
	s->crash_rate = one_in(s, 3) ? 0 : (int)(10 + below(s, 100));
	s->batch = one_in(s, 2) ? 1 : (int)(1 + below(s, 6));
	s->racing = one_in(s, 8);
	s->fickle = one_in(s, 12);
	s->bad_store = one_in(s, 15);
	s->caching = !one_in(s, 4);
	s->overwrite = one_in(s, 8);
	s->catalog_away = one_in(s, 6);
	s->shares_keys = one_in(s, 3);
	s->harsh = one_in(s, 10);
	s->losses_left = s->harsh ? 1 + (int)below(s, 2) : 0;
}

static void world_free(struct sim *s)
{
	for (size_t i = 0; i < s->execs.n; i++) {
		map_free(s->execs.at[i]->results);
		map_free(s->execs.at[i]->phases);
		map_free(s->execs.at[i]->versions);
		map_free(s->execs.at[i]->places);
		map_free(s->execs.at[i]->dirs);
		map_free(s->execs.at[i]->asked);
		map_free(s->execs.at[i]->left);
		vec_free(&s->execs.at[i]->journal);
	}
	for (size_t i = 0; i < s->all_plans.n; i++) {
		map_free(s->all_plans.at[i]->by_id);
		vec_free(&s->all_plans.at[i]->nodes);
	}
	vec_free(&s->execs);
	vec_free(&s->all_plans);
	vec_free(&s->mails);
	vec_free(&s->waiting);
	map_free(s->store);
	map_free(s->attempts);
	catalog_free(s);
	map_free(s->signals);
	map_free(s->children);
	map_free(s->dynamics);
	map_free(s->plans);
	map_free(s->closures);
	arena_free(s->a);
	arena_free(s->scratch);
}

/* What a failed world leaves behind is lost. */
static bool live(uint64_t seed)
{
	static struct sim s;

	world_new(&s, seed);
	if (setjmp(s.out)) {
		tell(seed, s.failure);
		return false;
	}
	world_run(&s);
	seen->steps += s.steps;
	world_free(&s);
	return true;
}

/* ---- workers ---- */

/* Of computing: the machine may be busy. */
static void limit_time(int seconds)
{
	struct itimerval limit = {.it_value.tv_sec = seconds};

	setitimer(ITIMER_PROF, &limit, NULL);
}

static void work(int k)
{
	uint64_t end = options.first + options.seeds, seed;

	seen = &progress->worker[k].seen;
	while ((seed = atomic_fetch_add(&progress->next, 1)) < end) {
		atomic_store(&progress->worker[k].seed, seed);
		limit_time(SEED_SECONDS);
		if (live(seed))
			atomic_fetch_add(&progress->passed, 1);
		else
			atomic_fetch_add(&progress->failed, 1);
	}
	limit_time(0);
	atomic_store(&progress->worker[k].seed, 0);
}

static pid_t fork_worker(int k)
{
	fflush(stdout);
	pid_t pid = fork();

	if (pid)
		return pid;
	work(k);
	fflush(stdout);
	exit(0);
}

/* One that dies leaves a seed behind; another one goes on for it. */
static void wait_for_workers(pid_t *pids)
{
	int status, left = options.jobs;
	pid_t pid;

	while (left > 0 && ((pid = wait(&status)) > 0 || errno == EINTR)) {
		int k = 0;
		while (k < options.jobs && pids[k] != pid)
			k++;
		if (k == options.jobs)
			continue;
		uint64_t seed = atomic_load(&progress->worker[k].seed);
		if (status == 0) {
			left--;
			continue;
		}
		atomic_fetch_add(&progress->failed, 1);
		tell(seed, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "the worker gave up: leaks?");
		if (seed)
			pids[k] = fork_worker(k);
		else
			left--;
	}
}

/* ---- the whole ---- */

static struct seen sum_seen(void)
{
	struct seen all = {0};
	size_t *to = (size_t *)&all;

	for (int k = 0; k < options.jobs; k++)
		for (size_t i = 0; i < sizeof all / sizeof *to; i++)
			to[i] += ((const size_t *)&progress->worker[k].seen)[i];
	return all;
}

/* The world is neither too kind nor too cruel: what can happen does. */
static bool print_seen(const struct seen *all)
{
	static const char *const KINDS[] = {"task",   "dynamic",  "echo",         "core-sleep", "sleep",
					    "signal", "approval", "sub-workflow", "branch",     "launch plan",
					    "child",  "array",    "failure node"};
	bool fair = all->crashes && all->lost_records && all->fenced && all->spoilt && all->recoveries && all->hits &&
		    all->puts && all->cache_waits && all->watched_again && all->items_recovered &&
		    all->children_recovered && all->exhausted[0] && all->exhausted[1];

	printf("%zu executions: %zu succeeded, %zu failed, %zu aborted; %zu had one possible end\n", all->executions,
	       all->ends[0], all->ends[1], all->ends[2], all->exact);
	printf("%zu steps, %zu attempts, %zu crashes, %zu records lost, %zu owners fenced, %zu spoilt,\n%zu recovered, %zu items and %zu children of such\n",
	       all->steps, all->starts, all->crashes, all->lost_records, all->fenced, all->spoilt, all->recoveries,
	       all->items_recovered, all->children_recovered);
	printf("%zu hits of the cache, %zu misses, %zu waited for others\n", all->hits, all->puts, all->cache_waits);
	printf("%zu resources of connectors, %zu of them watched again; retries exhausted: %zu, by the system: %zu\n",
	       all->resources, all->watched_again, all->exhausted[0], all->exhausted[1]);
	for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++) {
		const size_t *n = all->nodes[i];
		printf("%-13s %8zu succeeded %7zu failed %6zu timed out %7zu aborted %7zu skipped\n", KINDS[i],
		       n[CORE_NODE_EXECUTION_PHASE_SUCCEEDED], n[CORE_NODE_EXECUTION_PHASE_FAILED],
		       n[CORE_NODE_EXECUTION_PHASE_TIMED_OUT], n[CORE_NODE_EXECUTION_PHASE_ABORTED],
		       n[CORE_NODE_EXECUTION_PHASE_SKIPPED]);
		fair = fair && n[CORE_NODE_EXECUTION_PHASE_SUCCEEDED];
	}
	printf("%-13s %8zu succeeded %7zu failed %24zu aborted\n", "items",
	       all->items[CORE_TASK_EXECUTION_PHASE_SUCCEEDED], all->items[CORE_TASK_EXECUTION_PHASE_FAILED],
	       all->items[CORE_TASK_EXECUTION_PHASE_ABORTED]);
	return fair && all->ends[0] && all->ends[1] && all->ends[2];
}

static void parse(int argc, char **argv)
{
	static const struct option LONG[] = {{"seeds", required_argument, NULL, 'n'},
					     {"first", required_argument, NULL, 'f'},
					     {"jobs", required_argument, NULL, 'j'},
					     {"verbose", no_argument, NULL, 'v'},
					     {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "n:f:j:v", LONG, NULL)) != -1) {
		switch (c) {
		case 'n': options.seeds = strtoull(optarg, NULL, 10); break;
		case 'f': options.first = strtoull(optarg, NULL, 10); break;
		case 'j': options.jobs = atoi(optarg); break;
		case 'v': options.verbose = true; break;
		default: exit(2);
		}
	}
	if (options.jobs <= 0)
		options.jobs = (int)sysconf(_SC_NPROCESSORS_ONLN);
	options.jobs = MIN(options.jobs, MAX_JOBS);
	if (options.verbose)
		options.jobs = 1;
}

int main(int argc, char **argv)
{
	pid_t pids[MAX_JOBS];
	int64_t start_us = time_mono_us();

	parse(argc, argv);
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	atomic_store(&progress->next, options.first);
	for (int k = 0; k < options.jobs && !options.verbose; k++)
		pids[k] = fork_worker(k);
	if (options.verbose)
		work(0); /* here, for debuggers */
	else
		wait_for_workers(pids);
	struct seen all = sum_seen();
	size_t passed = atomic_load(&progress->passed), failed = atomic_load(&progress->failed);
	if (!print_seen(&all) && options.seeds >= 1000 && !failed) {
		printf("FAIL something never happened\n");
		failed++;
	}
	double seconds = (double)(time_mono_us() - start_us) / 1e6;
	printf("%.1f s, %.0f seeds/s\n%zu passed, %zu failed\n", seconds, (double)(passed + failed) / seconds, passed,
	       failed);
	return failed || !passed;
}
