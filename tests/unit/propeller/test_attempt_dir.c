/* What is found in the directory of an attempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "executors/attempt_dir.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/alula-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	attempt_dir_remove(dir);
	return 0;
}

static int lock(void)
{
	auto_mem char *path = x_printf("%s/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

static void finds_who_has_the_lock(void **state)
{
	int ready[2];
	pid_t shim = 0;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t child = fork();
	if (!child) {
		lock();
		close(ready[1]);
		close(ready[0]);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &shim, 1), 0);
	close(ready[0]);
	assert_int_equal(attempt_dir_look(dir, &shim), FOUND_RUNNING);
	assert_int_equal(shim, child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(attempt_dir_look(dir, &shim), FOUND_NOTHING);
}

/* Who looks has the lock for a moment. Found running, it would be watched, or told to end. */
static void does_not_find_ourselves(void **state)
{
	auto_fd int fd = lock();
	pid_t shim = 0;

	(void)state;
	assert_int_equal(attempt_dir_look(dir, &shim), FOUND_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_who_has_the_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(does_not_find_ourselves, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
