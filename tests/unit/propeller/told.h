/* What was told, from any thread, as one text that a test waits for. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "base/buf.h"

static struct {
	pthread_mutex_t lock;
	struct buf text;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Until it is all of that; fails after so many seconds. */
static inline void wait_told(const char *expected, int seconds)
{
	bool same = false;

	for (int i = 0; i < seconds * 100 && !same; i++) {
		usleep(10000);
		pthread_mutex_lock(&told.lock);
		same = str_is(buf_str(&told.text), expected);
		pthread_mutex_unlock(&told.lock);
	}
	pthread_mutex_lock(&told.lock);
	assert_string_equal(buf_text(&told.text), expected);
	pthread_mutex_unlock(&told.lock);
}
