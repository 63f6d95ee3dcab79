#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/time.h"

static const char *const LEVELS[] = {"debug", "info", "warn", "error"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of `service`, and so that lines don't mix */
static char *service;
static enum log_level least = LOG_INFO; /* atomic */

void log_set_level(enum log_level level)
{
	__atomic_store_n(&least, level, __ATOMIC_RELAXED);
}

void log_set_service(const char *name)
{
	char *copy = x_strdup(name);
	pthread_mutex_lock(&lock);
	free(service);
	service = copy;
	pthread_mutex_unlock(&lock);
}

bool log_level_parse(struct str s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(LEVELS); i++) {
		if (str_is(s, LEVELS[i])) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_enabled(enum log_level level)
{
	return level >= __atomic_load_n(&least, __ATOMIC_RELAXED);
}

static void add_value(struct buf *b, const struct log_field *f)
{
	switch (f->kind) {
	case LOG_FIELD_STR: buf_json_string(b, f->s); break;
	case LOG_FIELD_INT: buf_printf(b, "%lld", (long long)f->i); break;
	case LOG_FIELD_BOOL: buf_adds(b, f->i ? "true" : "false"); break;
	case LOG_FIELD_DOUBLE: isfinite(f->d) ? buf_double(b, f->d) : buf_adds(b, "null"); break;
	}
}

static void write_line(struct str line)
{
	while (line.len) {
		ssize_t n = write(STDERR_FILENO, line.ptr, line.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line = (struct str){line.ptr + n, line.len - (size_t)n};
	}
}

void log_write(enum log_level level, const char *text, const struct log_field *fields)
{
	int saved = errno;
	auto_buf struct buf b = {0};
	buf_adds(&b, "{\"ts\":\"");
	time_add_rfc3339(&b, time_now_us());
	buf_printf(&b, "\",\"level\":\"%s\",\"msg\":", LEVELS[level]);
	buf_json_string(&b, str_of(text));
	for (const struct log_field *f = fields; f && f->key; f++) {
		buf_addc(&b, ',');
		buf_json_string(&b, str_of(f->key));
		buf_addc(&b, ':');
		add_value(&b, f);
	}
	pthread_mutex_lock(&lock);
	if (service) {
		buf_adds(&b, ",\"service\":");
		buf_json_string(&b, str_of(service));
	}
	buf_adds(&b, "}\n");
	write_line(buf_str(&b));
	pthread_mutex_unlock(&lock);
	errno = saved;
}

bool log_allow(struct log_limit *l, int64_t every_us, size_t *ret_held)
{
	int64_t now = time_mono_us(), next = __atomic_load_n(&l->next_us, __ATOMIC_RELAXED);
	if (now < next || !__atomic_compare_exchange_n(&l->next_us, &next, now + every_us, false, __ATOMIC_RELAXED,
						       __ATOMIC_RELAXED)) {
		__atomic_add_fetch(&l->held, 1, __ATOMIC_RELAXED);
		return false;
	}
	size_t held = __atomic_exchange_n(&l->held, 0, __ATOMIC_RELAXED);
	if (ret_held)
		*ret_held = held;
	return true;
}
