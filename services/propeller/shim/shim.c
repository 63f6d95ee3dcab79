/* alula-shim DIRECTORY TOKEN: runs one attempt of a task, and outlives propeller.
 *
 * Propeller makes the directory with
 *   claim   the token: which start of this attempt counts
 *   spec    NUL-ended texts: deadline (µs since the epoch, 0 none), kill grace (µs), soft NOFILE limit, log path,
 *           number of arguments, the arguments, then the environment
 *   secrets files that only the task may read: removed with its end
 * and the shim leaves
 *   lock    held (flock) as long as it lives
 *   pid     "<task's pid> <its start time>", in place before the task's first instruction
 *   status  "exit N" | "signal N" | "deadline" | "stopped" | "exec TEXT", synced and renamed: the attempt is over
 * Lock free and no status: the shim was killed, the attempt is lost.
 *
 * Its own environment holds the variables that may not lie in a file (secrets); the task gets those that the spec does
 * not set. SIGTERM stops the task: SIGTERM to its group, after the grace SIGKILL. One static program without our
 * libraries: a machine may run thousands. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct spec {
	char *text; /* the file */
	int64_t deadline_us, grace_us;
	rlim_t nofile;
	const char *log;
	char **argv, **env;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* Our stderr is the attempt's log by then, or nothing; propeller sees a missing status. */
static void die(const char *what)
{
	fprintf(stderr, "alula-shim: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static char *read_file(const char *path, size_t *ret_len)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		return NULL;
	char *text = malloc((size_t)st.st_size + 1);
	ssize_t n = text ? read(fd, text, (size_t)st.st_size) : -1;
	close(fd);
	if (n != st.st_size)
		return NULL;
	text[n] = '\0';
	*ret_len = (size_t)n;
	return text;
}

/* The whole file or nothing of it. */
static void write_file(const char *path, bool sync, const char *fmt, ...)
{
	char text[512], temporary[64];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof text)
		n = sizeof text - 1;
	snprintf(temporary, sizeof temporary, "%s.tmp", path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, (size_t)n) != n || (sync && fsync(fd) != 0) || close(fd) != 0 ||
	    rename(temporary, path) != 0)
		die(path);
}

/* ---- the directory ---- */

/* The claim is read after the lock is held: whoever started this attempt anew held the lock before it changed the
 * claim. */
static void claim(const char *token)
{
	size_t len;
	int fd = open("lock", O_RDWR | O_CREAT, 0644);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		die("lock");
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	char *text = read_file("claim", &len);
	if (!text || strcmp(text, token) != 0 || access("status", F_OK) == 0 || access("pid", F_OK) == 0) {
		errno = ESTALE;
		die("claim");
	}
	free(text);
}

static char *next_text(char **p, const char *end)
{
	char *text = *p;

	if (text >= end) {
		errno = EINVAL;
		die("spec");
	}
	*p += strlen(text) + 1;
	return text;
}

/* Is there a "KEY=" in `env` as `text` has? */
static bool is_set(char **env, const char *text)
{
	size_t n = strcspn(text, "=");

	for (; *env; env++)
		if (strncmp(*env, text, n) == 0 && (*env)[n] == '=')
			return true;
	return false;
}

static void read_spec(struct spec *s)
{
	size_t len;

	s->text = read_file("spec", &len);
	if (!s->text)
		die("spec");
	char *p = s->text;
	const char *end = s->text + len;
	s->deadline_us = strtoll(next_text(&p, end), NULL, 10);
	s->grace_us = strtoll(next_text(&p, end), NULL, 10);
	s->nofile = strtoull(next_text(&p, end), NULL, 10);
	s->log = next_text(&p, end);
	size_t argc = strtoull(next_text(&p, end), NULL, 10), n = 0;
	for (const char *q = p; q < end; q += strlen(q) + 1)
		n++;
	size_t own = 0;
	while (environ[own])
		own++;
	char **texts = calloc(n + own + 2, sizeof *texts);
	if (!texts || argc > n || argc == 0) {
		errno = EINVAL;
		die("spec");
	}
	s->argv = texts;
	s->env = texts + argc + 1;
	for (size_t i = 0; i < n; i++)
		texts[i < argc ? i : i + 1] = next_text(&p, end);
	for (size_t i = 0, m = n + 1; i < own; i++)
		if (!is_set(s->env, environ[i]))
			texts[m++] = environ[i];
}

/* ---- the task ---- */

/* Field 22 of /proc/PID/stat: with the pid it names a process for good. */
static unsigned long long start_time(pid_t pid)
{
	char path[64];
	size_t len = 0;
	unsigned long long t = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *p = strrchr(text, ')');
	for (; p && len < 20; len++)
		p = strchr(p + 1, ' ');
	if (p)
		t = strtoull(p + 1, NULL, 10);
	return t;
}

static const char *env_value(char **env, const char *key)
{
	size_t n = strlen(key);

	for (; *env; env++)
		if (strncmp(*env, key, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return "";
}

/* execvpe searches our own PATH; a task has its own. Returns only when nothing could be run. */
static void exec_task(const struct spec *s)
{
	char path[4096];

	if (strchr(s->argv[0], '/')) {
		execve(s->argv[0], s->argv, s->env);
		return;
	}
	int worst = ENOENT;
	for (const char *dir = env_value(s->env, "PATH"); dir && *dir;) {
		int n = (int)strcspn(dir, ":");
		if (snprintf(path, sizeof path, "%.*s/%s", n, dir, s->argv[0]) < (int)sizeof path) {
			execve(path, s->argv, s->env);
			if (errno != ENOENT && errno != ENOTDIR)
				worst = errno;
		}
		dir += n + (dir[n] == ':');
	}
	errno = worst;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child(const struct spec *s, int go, int failed)
{
	char byte;
	struct rlimit limit;

	setpgid(0, 0);
	reset_signals();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && s->nofile) {
		limit.rlim_cur = s->nofile;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	/* Not before our pid is on record. */
	if (read(go, &byte, 1) != 1)
		_exit(127);
	if (chdir("work") == 0)
		exec_task(s);
	int e = errno;
	if (write(failed, &e, sizeof e) != sizeof e)
		_exit(126);
	_exit(127);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

static void remove_secrets(void)
{
	nftw("secrets", remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Of execve: the machine is short of something, which says nothing of the program. */
static bool may_pass(int e)
{
	return e == EAGAIN || e == ENOMEM || e == ENFILE || e == EMFILE || e == EIO || e == ETXTBSY;
}

/* Start the task. Returns its pid, or 0 after writing the status of one that could not be run. */
static pid_t start_task(const struct spec *s)
{
	int go[2], failed[2], e;

	if (pipe2(go, O_CLOEXEC) != 0 || pipe2(failed, O_CLOEXEC) != 0)
		die("pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(go[1]);
		close(failed[0]);
		child(s, go[0], failed[1]);
	}
	setpgid(pid, pid);
	close(go[0]);
	close(failed[1]);
	write_file("pid", false, "%d %llu\n", pid, start_time(pid));
	if (write(go[1], "", 1) != 1)
		die("go");
	close(go[1]);
	ssize_t n = read(failed[0], &e, sizeof e);
	close(failed[0]);
	if (n != sizeof e)
		return pid;
	waitpid(pid, NULL, 0);
	remove_secrets();
	if (may_pass(e)) {
		errno = e;
		die(s->argv[0]);
	}
	write_file("status", true, "exec %s: %s; PATH=%s\n", s->argv[0], strerror(e), env_value(s->env, "PATH"));
	return 0;
}

/* ---- until it ends ---- */

enum end { RUNNING, STOPPED, DEADLINE };

/* Reap everything; true once the task itself has ended. */
static bool reap(pid_t task, int *ret_status)
{
	bool ended = false;
	int status;

	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == task) {
			*ret_status = status;
			ended = true;
		}
	}
	return ended;
}

static int until_ms(int64_t at_us)
{
	int64_t left_us = at_us - now_us();

	if (left_us <= 0)
		return 0;
	return left_us > 3600 * INT64_C(1000000) ? 3600 * 1000 : (int)(left_us / 1000) + 1;
}

static void wait_task(const struct spec *s, pid_t task, int signals)
{
	enum end end = RUNNING;
	int64_t due_us = s->deadline_us;
	struct signalfd_siginfo info;
	int status = 0;

	for (;;) {
		struct pollfd fd = {.fd = signals, .events = POLLIN};
		int n = poll(&fd, 1, due_us ? until_ms(due_us) : -1);
		bool asked = false;
		if (n > 0 && read(signals, &info, sizeof info) == sizeof info)
			asked = info.ssi_signo == SIGTERM;
		if (reap(task, &status))
			break;
		bool late = due_us && now_us() >= due_us;
		if (end != RUNNING && late) {
			kill(-task, SIGKILL);
			due_us = 0;
		} else if (end == RUNNING && (asked || late)) {
			end = asked ? STOPPED : DEADLINE;
			kill(-task, SIGTERM);
			due_us = now_us() + s->grace_us;
		}
	}
	kill(-task, SIGKILL); /* what it left behind in its group */
	remove_secrets();
	if (end == RUNNING)
		write_file("status", true, "%s %d\n", WIFSIGNALED(status) ? "signal" : "exit",
			   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	else
		write_file("status", true, "%s\n", end == STOPPED ? "stopped" : "deadline");
}

static void open_log(const char *path)
{
	int in = open("/dev/null", O_RDONLY), out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);

	if (out < 0)
		out = open("/dev/null", O_WRONLY);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		die("log");
	if (in > 2)
		close(in);
	if (out > 2)
		close(out);
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &set, NULL) != 0)
		die("signals");
	int fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		die("signals");
	return fd;
}

int main(int argc, char **argv)
{
	struct spec s = {0};

	if (argc != 3) {
		fprintf(stderr, "usage: alula-shim DIRECTORY TOKEN (propeller starts it)\n");
		return 2;
	}
	setsid();
	close_range(3, ~0U, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (chdir(argv[1]) != 0)
		die(argv[1]);
	claim(argv[2]);
	read_spec(&s);
	open_log(s.log);
	int signals = block_signals();
	pid_t task = start_task(&s);
	if (task)
		wait_task(&s, task, signals);
	return 0;
}
