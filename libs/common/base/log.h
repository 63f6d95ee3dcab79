/* Structured logs: one JSON object a line, to stderr.
 *   log_error("cannot reach Postgres", LOG_STR("host", host), LOG_INT("attempt", n));
 * Levels: debug, info, warn (somebody should look), error (somebody must act). Library code does not log: it returns
 * errors; whoever handles one logs it, once. Thread-safe; one write(2) a line. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
	const char *key; /* NULL ends a list */
	enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_BOOL, LOG_FIELD_DOUBLE } kind;
	struct str s;
	int64_t i;
	double d;
};

#define LOG_STR(key_, value)  ((struct log_field){.key = key_, .kind = LOG_FIELD_STR, .s = str_of(value)})
#define LOG_TEXT(key_, value) ((struct log_field){.key = key_, .kind = LOG_FIELD_STR, .s = (value)})
#define LOG_INT(key_, value)  ((struct log_field){.key = key_, .kind = LOG_FIELD_INT, .i = (int64_t)(value)})
#define LOG_BOOL(key_, value) ((struct log_field){.key = key_, .kind = LOG_FIELD_BOOL, .i = (value)})
#define LOG_DBL(key_, value)  ((struct log_field){.key = key_, .kind = LOG_FIELD_DOUBLE, .d = (value)})
#define LOG_ERR(err_)         LOG_STR("code", code_name((err_)->code)), LOG_STR("error", (err_)->text)

void log_set_level(enum log_level level); /* info at first */
void log_set_service(const char *name);   /* the "service" field; copied */
bool log_level_parse(struct str s, enum log_level *ret);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *text, const struct log_field *fields);

#define log_at(level, text, ...)                                                                                       \
	do {                                                                                                           \
		if (log_enabled(level))                                                                                \
			log_write((level), (text), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}});         \
	} while (0)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

/* For what fails again and again: true at most once per `every_us`, then tells how many were held back since.
 * `static struct log_limit l; size_t held; if (log_allow(&l, 10 * USEC_PER_SEC, &held)) log_warn(…)` */
struct log_limit {
	int64_t next_us;
	size_t held;
};
bool log_allow(struct log_limit *l, int64_t every_us, size_t *ret_held);
