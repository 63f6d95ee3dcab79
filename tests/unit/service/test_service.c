/* A daemon as its operator sees it: options, signals, health, ready file, crash. Each runs in a child process. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "service/service.h"

struct probe_config {
	struct service_config service;
	const char *mode;
	const char *journal;
};

static const struct config_key KEYS[] = {
	{.path = "probe.mode",
	 .type = CONFIG_STRING,
	 .offset = offsetof(struct probe_config, mode),
	 .text = "What goes wrong."},
	{.path = "probe.journal",
	 .type = CONFIG_STRING,
	 .offset = offsetof(struct probe_config, journal),
	 .text = "Where it writes what happened."},
	{0},
};

/* ---- the daemon ---- */

struct probe {
	const struct probe_config *config;
	struct loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool answered;
};

static void note(const struct probe *p, const char *what)
{
	FILE *f = fopen(p->config->journal, "a");
	fprintf(f, "%s\n", what);
	fclose(f);
}

static bool is(const struct probe *p, const char *mode)
{
	return strcmp(p->config->mode, mode) == 0;
}

static void *fail_later(void *arg)
{
	(void)arg;
	service_fail("somebody took over");
	return NULL;
}

static enum code probe_open(struct service_context *ctx, void **ret, struct err *err)
{
	struct probe *p = x_calloc(1, sizeof *p);
	p->config = ctx->config;
	p->loop = ctx->loop;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	note(p, "open");
	if (is(p, "open fails")) {
		free(p);
		return err_set(err, UNAVAILABLE, "no database");
	}
	if (is(p, "open hangs"))
		pause();
	if (is(p, "fails")) {
		pthread_t t;
		pthread_create(&t, NULL, fail_later, NULL);
		pthread_detach(t);
	}
	if (is(p, "crashes"))
		loop_post(p->loop, (void (*)(void *))abort, NULL);
	*ret = p;
	return OK;
}

static void answer(void *arg)
{
	struct probe *p = arg;
	pthread_mutex_lock(&p->lock);
	p->answered = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* Needs the loop to go on meanwhile. */
static void probe_drain(void *state, int64_t grace_us)
{
	struct probe *p = state;
	if (grace_us != 2 * USEC_PER_SEC)
		abort();
	note(p, "drain");
	while (is(p, "drain hangs"))
		pause();
	loop_post(p->loop, answer, p);
	pthread_mutex_lock(&p->lock);
	while (!p->answered)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	note(p, "drained");
}

static void probe_close(void *state)
{
	struct probe *p = state;
	note(p, "close");
	free(p);
}

static bool probe_healthy(void *state, struct buf *why)
{
	const struct probe *p = state;
	if (!is(p, "is ill"))
		return true;
	buf_adds(why, "the database is away");
	return false;
}

static int print_mode(struct service_context *ctx, int argc, char **argv)
{
	const struct probe_config *c = ctx->config;
	printf("%s %d %s\n", c->mode, argc, argv[argc - 1]);
	return 7;
}

static const struct service_command COMMANDS[] = {{"print", "print the mode", print_mode}, {0}};
static const struct service PROBE = {.name = "probe",
				     .text = "a daemon for tests",
				     .keys = KEYS,
				     .config_size = sizeof(struct probe_config),
				     .commands = COMMANDS,
				     .open = probe_open,
				     .drain = probe_drain,
				     .close = probe_close,
				     .healthy = probe_healthy};

/* ---- its operator ---- */

struct fixture {
	char dir[64];
	char *config, *ready, *journal, *output;
	pid_t pid;
};

static int setup(void **state)
{
	struct fixture *f = x_calloc(1, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "/tmp/alula-service-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->config = x_printf("%s/config.yaml", f->dir);
	f->ready = x_printf("%s/ready", f->dir);
	f->journal = x_printf("%s/journal", f->dir);
	f->output = x_printf("%s/output", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->pid) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	char *const files[] = {f->config, f->ready, f->journal, f->output};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		unlink(files[i]);
		free(files[i]);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static void write_config(const struct fixture *f, const char *mode, const char *more)
{
	FILE *out = fopen(f->config, "w");
	fprintf(out,
		"service: {readyFile: %s}\nprofiler: {host: 127.0.0.1, port: 0}\ndrain: {grace: 2s}\n"
		"probe: {mode: %s, journal: %s}\n%s",
		f->ready, mode, f->journal, more);
	fclose(out);
}

static void launch(struct fixture *f, const char *argument)
{
	fflush(NULL);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid)
		return;
	int out = open(f->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	const char *argv[] = {"alula-probe", "--config", f->config, argument, argument ? "word" : NULL, NULL};
	int argc = !argument ? 3 : strcmp(argument, "print") == 0 ? 5 : 4;
	argv[argc] = NULL;
	int status = service_main(&PROBE, argc, (char **)argv);
	fflush(NULL);
	_exit(status);
}

static int wait_end(struct fixture *f)
{
	int status;
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	f->pid = 0;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static char *read_all(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	text[n] = 0;
	if (f)
		fclose(f);
	return text;
}

/* Its profiler port. */
static int wait_ready(const struct fixture *f)
{
	int port;
	long pid;
	for (int i = 0; i < 3000; i++) {
		if (sscanf(read_all(f->ready), "{\"pid\":%ld,\"profiler_port\":%d}", &pid, &port) == 2) {
			assert_int_equal(pid, f->pid);
			return port;
		}
		usleep(10 * 1000);
	}
	fail_msg("not ready: %s", read_all(f->output));
	return 0;
}

static void wait_noted(const struct fixture *f, const char *what)
{
	for (int i = 0; i < 3000; i++) {
		if (strstr(read_all(f->journal), what))
			return;
		usleep(10 * 1000);
	}
	fail_msg("no %s", what);
}

static const char *get(int port, const char *path)
{
	static char text[65536];
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	auto_fd int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	auto_mem char *request = x_printf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	size_t n = 0;
	for (ssize_t got = 1; got > 0 && n<sizeof text - 1; n += got> 0 ? (size_t)got : 0)
		got = read(fd, text + n, sizeof text - 1 - n);
	text[n] = 0;
	return text;
}

static void serves_and_drains_on_sigterm(void **state)
{
	struct fixture *f = *state;
	write_config(f, "well", "");
	launch(f, NULL);
	int port = wait_ready(f);
	assert_non_null(strstr(get(port, "/healthcheck"), " 200 "));
	assert_non_null(strstr(get(port, "/metrics"), "process_resident_memory_bytes "));
	assert_non_null(strstr(get(port, "/metrics"), "alula:loop:posted 0\n"));
	assert_non_null(strstr(get(port, "/metrics"), "alula:queue:depth{queue=\"http\"} 0\n"));
	assert_non_null(strstr(get(port, "/version"), "\"service\":\"probe\""));
	assert_non_null(strstr(get(port, "/nothing"), " 404 "));
	kill(f->pid, SIGPIPE);
	kill(f->pid, SIGHUP);
	kill(f->pid, SIGTERM);
	assert_int_equal(wait_end(f), 0);
	assert_string_equal(read_all(f->journal), "open\ndrain\ndrained\nclose\n");
	assert_int_equal(access(f->ready, F_OK), -1);
}

static void an_ill_service_says_why(void **state)
{
	struct fixture *f = *state;
	write_config(f, "is ill", "");
	launch(f, NULL);
	const char *answer_text = get(wait_ready(f), "/healthcheck");
	assert_non_null(strstr(answer_text, " 503 "));
	assert_non_null(strstr(answer_text, "the database is away"));
}

static void a_second_signal_ends_the_drain(void **state)
{
	struct fixture *f = *state;
	write_config(f, "drain hangs", "");
	launch(f, NULL);
	int port = wait_ready(f);
	kill(f->pid, SIGINT);
	wait_noted(f, "drain");
	assert_non_null(strstr(get(port, "/healthcheck"), "draining"));
	kill(f->pid, SIGTERM);
	assert_int_equal(wait_end(f), 1);
	assert_int_equal(access(f->ready, F_OK), -1);
}

static void a_signal_before_it_serves_ends_it(void **state)
{
	struct fixture *f = *state;
	write_config(f, "open hangs", "");
	launch(f, NULL);
	wait_noted(f, "open");
	kill(f->pid, SIGTERM);
	assert_int_equal(wait_end(f), 0);
	assert_string_equal(read_all(f->journal), "open\n");
}

static void a_failed_open_exits_1(void **state)
{
	struct fixture *f = *state;
	write_config(f, "open fails", "");
	launch(f, NULL);
	assert_int_equal(wait_end(f), 1);
	assert_string_equal(read_all(f->journal), "open\n");
	assert_non_null(strstr(read_all(f->output), "\"error\":\"no database\""));
}

static void a_service_that_gives_up_drains_and_exits_1(void **state)
{
	struct fixture *f = *state;
	write_config(f, "fails", "");
	launch(f, NULL);
	assert_int_equal(wait_end(f), 1);
	assert_string_equal(read_all(f->journal), "open\ndrain\ndrained\nclose\n");
	assert_non_null(strstr(read_all(f->output), "\"why\":\"somebody took over\""));
}

static void a_crash_leaves_one_line(void **state)
{
	struct fixture *f = *state;
	write_config(f, "crashes", "");
	launch(f, NULL);
	assert_int_equal(wait_end(f), -SIGABRT);
#ifndef ALULA_SANITIZE
	assert_non_null(strstr(read_all(f->output), "\"service\":\"probe\",\"msg\":\"crashed\",\"signal\":6,"));
#endif
}

static void a_taken_profiler_port_is_named(void **state)
{
	struct fixture *f = *state;
	write_config(f, "well", "");
	launch(f, NULL);
	int port = wait_ready(f);
	struct fixture other = *f;
	auto_mem char *name = x_printf("%d", port);
	setenv("ALULA_PROFILER_PORT", name, 1);
	launch(&other, NULL);
	unsetenv("ALULA_PROFILER_PORT");
	assert_int_equal(wait_end(&other), 1);
	assert_non_null(strstr(read_all(f->output), name));
	assert_non_null(strstr(read_all(f->output), "profiler.port"));
}

static void check_tells_errors_and_warnings(void **state)
{
	struct fixture *f = *state;
	write_config(f, "well", "logger: {levle: 5}\n");
	launch(f, "--check");
	assert_int_equal(wait_end(f), 0);
	auto_mem char *warning =
		x_printf("alula-probe: %s:5: unknown key logger.levle (did you mean logger.level?)\n", f->config);
	assert_string_equal(read_all(f->output), warning);
	write_config(f, "well", "logger: {level: loud}\n");
	launch(f, "--check");
	assert_int_equal(wait_end(f), 2);
	assert_string_equal(read_all(f->output),
			    "alula-probe: logger.level: expected debug, info, warn, error or 0 to 6, not \"loud\"\n");
	write_config(f, "well", "profiler: {port: 5}\n");
	launch(f, NULL);
	assert_int_equal(wait_end(f), 2);
}

static void options_answer(void **state)
{
	struct fixture *f = *state;
	write_config(f, "'some text'", "");
	static const struct {
		const char *option, *text;
		int status;
	} CASES[] = {
		{"--help", "usage: alula-probe [options] [command]", 0},
		{"--version", "alula-probe " ALULA_VERSION, 0},
		{"--dump-config", "  mode: \"some text\"\n", 0},
		{"--docs", "| `probe.mode` | text |", 0},
		{"print", "some text 2 word\n", 7},
		{"nonsense", "unknown command \"nonsense\"", 2},
		{"--nonsense", "see --help", 2},
	};
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		launch(f, CASES[i].option);
		assert_int_equal(wait_end(f), CASES[i].status);
		if (!strstr(read_all(f->output), CASES[i].text))
			fail_msg("%s: %s", CASES[i].option, read_all(f->output));
	}
	assert_int_equal(access(f->journal, F_OK), -1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves_and_drains_on_sigterm),    TEST(an_ill_service_says_why),
		TEST(a_second_signal_ends_the_drain),  TEST(a_signal_before_it_serves_ends_it),
		TEST(a_failed_open_exits_1),           TEST(a_service_that_gives_up_drains_and_exits_1),
		TEST(a_crash_leaves_one_line),         TEST(a_taken_profiler_port_is_named),
		TEST(check_tells_errors_and_warnings), TEST(options_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
