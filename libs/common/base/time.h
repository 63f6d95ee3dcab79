/* Time is int64_t microseconds since the Unix epoch, UTC, everywhere (`_us`); durations are microseconds too. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define USEC_PER_SEC  INT64_C(1000000)
#define USEC_PER_MSEC INT64_C(1000)

/* The years 1 to 9999, which are RFC 3339's and protobuf's timestamps'. */
#define TIME_FIRST_SECOND INT64_C(-62135596800)
#define TIME_LAST_SECOND  INT64_C(253402300799)

int64_t time_now_us(void);  /* wall clock */
int64_t time_mono_us(void); /* monotonic clock: only for differences */

/* RFC 3339, "2026-11-21T07:03:00Z"; fraction of 0, 3 or 6 digits as needed. */
void time_add_rfc3339(struct buf *b, int64_t us);
/* Any RFC 3339 text, with offset and up to 9 digits of fraction (cut to microseconds). */
bool time_parse_rfc3339(struct str s, int64_t *ret_us);

/* Go's durations, as Flyte's configuration has them: "1h30m", "500ms", "-2.5s", "0", "100us".
 * Source: Go time.ParseDuration. */
bool duration_parse(struct str s, int64_t *ret_us);
void duration_add(struct buf *b, int64_t us); /* "1h30m0s", as Go prints it */
