#include "attempt_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

static bool read_small(const char *dir, const char *name, char *ret, size_t size)
{
	auto_mem char *path = x_printf("%s/%s", dir, name);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (n < 0)
		return false;
	ret[n] = '\0';
	return true;
}

static bool there(const char *dir, const char *name)
{
	auto_mem char *path = x_printf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

/* Field 22 of /proc/PID/stat; 0 when there is no such process. */
static unsigned long long start_time(pid_t pid)
{
	char dir[32], text[1024];

	snprintf(dir, sizeof dir, "/proc/%d", pid);
	if (!read_small(dir, "stat", text, sizeof text))
		return 0;
	char *p = strrchr(text, ')');
	for (int i = 0; p && i < 20; i++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

/* The task may outlive a shim that was killed: stop its group, if the pid has not become somebody else's. */
static void kill_task(const char *dir)
{
	char text[128];
	unsigned long long started;
	int pid;

	if (read_small(dir, "pid", text, sizeof text) && sscanf(text, "%d %llu", &pid, &started) == 2 && pid > 1 &&
	    start_time(pid) == started)
		kill(-pid, SIGKILL);
}

/* Who holds the lock? fcntl's F_GETLK does not see flock; the shim's pid is asked of /proc/locks by inode. */
static pid_t lock_holder(int fd)
{
	struct stat st;
	char line[256], want[64];
	pid_t pid = 0;
	FILE *f = fopen("/proc/locks", "re");

	if (!f || fstat(fd, &st) != 0) {
		if (f)
			fclose(f);
		return 0;
	}
	snprintf(want, sizeof want, ":%lu ", (unsigned long)st.st_ino);
	while (!pid && fgets(line, sizeof line, f))
		if (strstr(line, "FLOCK") && strstr(line, want))
			sscanf(line, "%*s %*s %*s %*s %d", &pid);
	fclose(f);
	return pid;
}

enum attempt_found attempt_dir_look(const char *dir, pid_t *ret_shim)
{
	auto_mem char *path = x_printf("%s/lock", dir);
	auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		*ret_shim = lock_holder(fd);
		if (*ret_shim > 0 && *ret_shim != getpid())
			return FOUND_RUNNING;
		/* It ended just now, or another thread of ours (the sweeper's, the loop's) has found that none runs. */
	}
	if (there(dir, "status"))
		return FOUND_OVER;
	if (!there(dir, "pid"))
		return FOUND_NOTHING;
	kill_task(dir);
	return FOUND_LOST;
}

static enum code fail(struct err *err, const char *what, const char *path)
{
	return err_set(err, errno == ENOSPC ? RESOURCE_EXHAUSTED : INTERNAL, "%s %s: %s", what, path, strerror(errno));
}

static enum code make_dir(const char *path, struct err *err)
{
	return mkdir(path, 0755) == 0 || errno == EEXIST ? OK : fail(err, "cannot make", path);
}

static enum code write_small(const char *dir, const char *name, struct str data, struct err *err)
{
	auto_mem char *path = x_printf("%s/%s", dir, name);
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data.ptr, data.len) != (ssize_t)data.len)
		return fail(err, "cannot write", path);
	return OK;
}

/* A shim of an earlier start may be about to take the lock: without its claim it gives up. */
static enum code clear_away(const char *dir, struct err *err)
{
	auto_mem char *aside = x_printf("%s.old-%016llx", dir, (unsigned long long)random_u64());
	auto_mem char *lock = x_printf("%s/lock", dir), *claim = x_printf("%s/claim", dir);
	auto_fd int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(err, ABORTED, "%s: its shim has just begun", dir);
	unlink(claim);
	if (rename(dir, aside) == 0)
		attempt_dir_remove(aside);
	return OK;
}

enum code attempt_dir_make(const char *dir, const char *token, struct str spec, struct err *err)
{
	auto_mem char *parent = x_strdup(dir), *work = x_printf("%s/work", dir);
	enum code c = OK;

	*strrchr(parent, '/') = '\0';
	if (mkdir(dir, 0755) != 0) {
		if (errno == EEXIST)
			c = clear_away(dir, err);
		if (!c)
			c = make_dir(parent, err);
		if (!c)
			c = make_dir(dir, err);
		if (c)
			return c;
	}
	c = make_dir(work, err);
	if (!c)
		c = write_small(dir, "spec", spec, err);
	return c ? c : write_small(dir, "claim", str_of(token), err);
}

void attempt_dir_status(const char *dir, struct attempt_status *ret)
{
	char text[1024];

	*ret = (struct attempt_status){.how = ENDED_LOST};
	if (!read_small(dir, "status", text, sizeof text))
		return;
	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, "exit %d", &ret->number) == 1)
		ret->how = ENDED_EXIT;
	else if (sscanf(text, "signal %d", &ret->number) == 1)
		ret->how = ENDED_SIGNAL;
	else if (strcmp(text, "deadline") == 0)
		ret->how = ENDED_DEADLINE;
	else if (strcmp(text, "stopped") == 0)
		ret->how = ENDED_STOPPED;
	else if (strncmp(text, "exec ", 5) == 0) {
		ret->how = ENDED_EXEC;
		snprintf(ret->text, sizeof ret->text, "%s", text + 5);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP || type == FTW_D ? rmdir(path), 0 : (unlink(path), 0);
}

void attempt_dir_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void attempt_dir_make_parents(const char *path)
{
	auto_mem char *copy = x_strdup(path);

	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(copy, 0755);
		*p = '/';
	}
}
