/* Conditions that are waited for by the monotonic clock: setting the wall clock moves no deadline. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* For cond_wait_until; pthread_cond_destroy ends it. */
void cond_init_mono(pthread_cond_t *cond);
/* pthread_cond_wait on a condition of cond_init_mono, until time_mono_us() is `until_us` at the latest (INT64_MAX: for
 * ever). False once it is that late; woken for nothing is true, so ask again what you wait for. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_us);
