#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "service/private.h"

static double started_at;

static double resident_bytes(void *arg)
{
	long pages = 0;
	(void)arg;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f)
		return 0;
	if (fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void *arg)
{
	struct rusage u;
	(void)arg;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / (double)USEC_PER_SEC;
}

static double count_entries(void *directory)
{
	DIR *d = opendir(directory);
	double n = 0;
	if (!d)
		return 0;
	for (const struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static double start_time(void *arg)
{
	(void)arg;
	return started_at;
}

void process_metrics(struct metrics *m)
{
	started_at = (double)time_now_us() / (double)USEC_PER_SEC;
	metrics_gauge_fn(m, "process_resident_memory_bytes", NULL, "Resident memory.", resident_bytes, NULL);
	metrics_gauge_fn(m, "process_cpu_seconds_total", NULL, "CPU time, user and system.", cpu_seconds, NULL);
	metrics_gauge_fn(m, "process_open_fds", NULL, "Open descriptors.", count_entries, (void *)"/proc/self/fd");
	metrics_gauge_fn(m, "process_threads", NULL, "Threads.", count_entries, (void *)"/proc/self/task");
	metrics_gauge_fn(m, "process_start_time_seconds", NULL, "Start, Unix time.", start_time, NULL);
}
