/* A private Postgres and nats-server for unit tests: in a temporary directory, on free ports, stopped by their own
 * pids, and by the kernel when the test itself dies. Header only: each test is one file. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct server {
	char dir[128];
	int port;
	pid_t pid;
};

static inline int servers_free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		abort();
	close(fd);
	return ntohs(a.sin_port);
}

static inline void servers_wait_port(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((unsigned short)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (int i = 0; i < 3000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		int ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
		close(fd);
		if (ok)
			return;
		usleep(10000);
	}
	fprintf(stderr, "a server did not come up on port %d\n", port);
	abort();
}

/* Run argv with output to a file; as `user` when we are root. */
static inline pid_t servers_spawn(const char *dir, const char *user, char *const argv[])
{
	pid_t pid = fork();

	if (pid)
		return pid;
	char log[160];
	snprintf(log, sizeof log, "%s/log", dir);
	if (!freopen(log, "a", stdout) || dup2(1, 2) < 0)
		_exit(126);
	if (user && geteuid() == 0) {
		struct passwd *pw = getpwnam(user);
		if (!pw || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
			_exit(126);
	}
	prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after setuid, which clears it; Postgres: an immediate shutdown */
	execvp(argv[0], argv);
	_exit(127);
}

static inline void servers_run(const char *dir, const char *user, char *const argv[])
{
	int status;
	pid_t pid = servers_spawn(dir, user, argv);

	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "%s failed, see %s/log\n", argv[0], dir);
		abort();
	}
}

static inline void servers_dir(struct server *s)
{
	snprintf(s->dir, sizeof s->dir, "/tmp/alula-test-XXXXXX");
	if (!mkdtemp(s->dir))
		abort();
	struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;
	if (pw && chown(s->dir, pw->pw_uid, pw->pw_gid) != 0)
		abort();
}

static inline void servers_pg_bin(const char *name, char *ret, size_t size)
{
	glob_t g;

	if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &g) != 0)
		abort();
	snprintf(ret, size, "%s/%s", g.gl_pathv[g.gl_pathc - 1], name);
	globfree(&g);
}

/* It listens before it has recovered; only pg_isready knows. */
static inline void postgres_wait(const struct server *s)
{
	char bin[256], port[16];
	char *argv[] = {bin, "-q", "-h", "127.0.0.1", "-p", port, NULL};
	int status = -1;

	servers_pg_bin("pg_isready", bin, sizeof bin);
	snprintf(port, sizeof port, "%d", s->port);
	for (int i = 0; i < 600 && status != 0; i++) {
		pid_t pid = servers_spawn(s->dir, NULL, argv);
		if (waitpid(pid, &status, 0) == pid && status != 0)
			usleep(20000);
	}
	if (status == 0)
		return;
	fprintf(stderr, "Postgres did not come up, see %s/log\n", s->dir);
	abort();
}

static inline void postgres_start(struct server *s)
{
	char bin[256], data[160], port[16];

	servers_pg_bin("postgres", bin, sizeof bin);
	snprintf(data, sizeof data, "%s/data", s->dir);
	snprintf(port, sizeof port, "%d", s->port);
	char *argv[] = {bin, "-D", data, "-p", port, "-h", "127.0.0.1", "-k", s->dir, "-c", "fsync=off", NULL};
	s->pid = servers_spawn(s->dir, "postgres", argv);
	postgres_wait(s);
}

static inline void postgres_new(struct server *s)
{
	char bin[256], data[160];

	servers_dir(s);
	s->port = servers_free_port();
	servers_pg_bin("initdb", bin, sizeof bin);
	snprintf(data, sizeof data, "%s/data", s->dir);
	char *argv[] = {bin, "-D", data, "-U", "postgres", "-A", "trust", "-N", NULL};
	servers_run(s->dir, "postgres", argv);
	postgres_start(s);
}

static inline void nats_start(struct server *s)
{
	char store[160], port[16];

	snprintf(store, sizeof store, "%s/js", s->dir);
	snprintf(port, sizeof port, "%d", s->port);
	char *argv[] = {"nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", store, NULL};
	s->pid = servers_spawn(s->dir, NULL, argv);
	servers_wait_port(s->port);
}

static inline void nats_new(struct server *s)
{
	servers_dir(s);
	s->port = servers_free_port();
	nats_start(s);
}

/* nats-server: SIGKILL or SIGTERM; Postgres: SIGINT is a fast shutdown, SIGQUIT an immediate one. */
static inline void server_stop(struct server *s, int sig)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, sig);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

static inline void server_free(struct server *s, int sig)
{
	char command[160];

	server_stop(s, sig);
	snprintf(command, sizeof command, "rm -rf %s", s->dir);
	if (system(command) != 0)
		fprintf(stderr, "%s stays\n", s->dir);
}
