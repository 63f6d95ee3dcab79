#include "sweeper.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>

#include "base/base.h"
#include "executors/attempt_dir.h"
#include "journal.h"

enum { BATCH = 500 };

struct sweeper {
	struct propeller *p;
	pthread_t thread;
	atomic_bool stop;
	size_t removed, running;
};

/* Its execution is over, so it is to end; its directory is for the next sweep. */
static bool stop_attempt(struct sweeper *s, const char *dir)
{
	pid_t shim = 0;

	if (attempt_dir_look(dir, &shim) != FOUND_RUNNING)
		return false;
	kill(shim, SIGTERM);
	s->running++;
	return true;
}

static void remove_execution(struct sweeper *s, int64_t execution)
{
	auto_mem char *dir = x_printf("%s/%lld", s->p->config->process_dir, (long long)execution);
	DIR *d = opendir(dir);
	bool busy = false;

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		auto_mem char *attempt = x_printf("%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			busy |= stop_attempt(s, attempt);
	}
	if (d)
		closedir(d);
	if (busy)
		return;
	attempt_dir_remove(dir);
	s->removed++;
}

static bool is_live(const struct db_rows *rows, int64_t execution)
{
	size_t low = 0, high = db_rows_count(rows);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (db_get_i64(rows, middle, 0) < execution)
			low = middle + 1;
		else
			high = middle;
	}
	return low < db_rows_count(rows) && db_get_i64(rows, low, 0) == execution;
}

static enum code sweep_batch(struct sweeper *s, const int64_t *executions, size_t n, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = n ? db_take(s->p->db, &db, err) : OK;

	if (n && !c)
		c = journal_live(db, executions, n, &rows, err);
	for (size_t i = 0; n && !c && i < n && !s->stop; i++)
		if (!is_live(rows, executions[i]))
			remove_execution(s, executions[i]);
	return c;
}

static enum code sweep(struct sweeper *s, DIR *d, struct err *err)
{
	int64_t executions[BATCH];
	size_t n = 0;
	enum code c = OK;

	for (struct dirent *e = readdir(d); e && !c && !s->stop; e = readdir(d)) {
		if (!str_to_i64(str_of(e->d_name), &executions[n]) || ++n < BATCH)
			continue;
		c = sweep_batch(s, executions, n, err);
		n = 0;
	}
	return c || s->stop ? c : sweep_batch(s, executions, n, err);
}

static void *sweeper_main(void *arg)
{
	struct sweeper *s = arg;
	DIR *d = opendir(s->p->config->process_dir);
	struct err err;

	pthread_setname_np(pthread_self(), "sweeper");
	if (!d)
		return NULL;
	if (sweep(s, d, &err) != OK)
		log_warn("attempt directories of earlier executions stay until the next start", LOG_ERR(&err));
	closedir(d);
	if (s->removed || s->running)
		log_info("attempt directories of executions that are over", LOG_INT("removed", (int64_t)s->removed),
			 LOG_INT("stopped", (int64_t)s->running));
	return NULL;
}

struct sweeper *sweeper_start(struct propeller *p)
{
	struct sweeper *s = x_calloc(1, sizeof *s);

	s->p = p;
	if (pthread_create(&s->thread, NULL, sweeper_main, s) != 0)
		abort();
	return s;
}

void sweeper_stop(struct sweeper *s)
{
	if (!s)
		return;
	s->stop = true;
	pthread_join(s->thread, NULL);
	free(s);
}
