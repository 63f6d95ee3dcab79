/* Signals end a service. Until it serves nothing has been promised, so it may end at once. */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "service/private.h"

_Atomic enum phase service_phase;
static int wake_fd = -1;
static atomic_int signals_seen;
static const char *_Atomic ready_file;

static void end_now(int status, const char *why)
{
	const char *file = atomic_load(&ready_file);
	if (file)
		unlink(file);
	if (write(STDERR_FILENO, why, strlen(why)) < 0)
		status = 1;
	_exit(status);
}

void signals_wake(void)
{
	uint64_t one = 1;
	if (write(wake_fd, &one, sizeof one) < 0) {
		/* full: it is awake */
	}
}

static void on_signal(int sig)
{
	(void)sig;
	if (atomic_load(&service_phase) == PHASE_OPENING)
		end_now(0, "{\"level\":\"info\",\"msg\":\"told to stop before it was ready\"}\n");
	if (atomic_fetch_add(&signals_seen, 1))
		end_now(1, "{\"level\":\"warn\",\"msg\":\"told to stop a second time, not waiting\"}\n");
	signals_wake();
}

static void on_alarm(int sig)
{
	(void)sig;
	end_now(1, "{\"level\":\"error\",\"msg\":\"did not stop within the grace, giving up\"}\n");
}

int signals_install(void)
{
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction alarm_action = {.sa_handler = on_alarm};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGALRM, &alarm_action, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	return wake_fd;
}

void signals_set_ready_file(const char *path)
{
	atomic_store(&ready_file, path);
}

void signals_watchdog(int64_t timeout_us)
{
	alarm((unsigned)((timeout_us + USEC_PER_SEC - 1) / USEC_PER_SEC));
}
