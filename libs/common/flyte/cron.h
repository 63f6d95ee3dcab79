/* Cron expressions of schedules: "0 8 * * mon-fri", "TZ=Europe/Berlin @daily", "@every 90m".
 * Source: github.com/robfig/cron/v3 ParseStandard, which flyteadmin and its scheduler use. */
#pragma once
#include "base/err.h"

/* INVALID_ARGUMENT with robfig's words for what is wrong. */
enum code cron_check(const char *text, struct err *err);
