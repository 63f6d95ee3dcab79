/* An api with metrics, for tests that call its handlers without a transport. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/time.h"
#include "flyteidl/service/admin.h"
#include "pb/pb.h"

struct world {
	struct api *api;
	struct metrics *metrics;
	struct arena *arena;
	enum code auth; /* what test_api's hook answers */
	size_t batches, handled;
	enum code answer; /* what test_api's handler answers */
	char seen[200];   /* the ids that test_together's handler was given */
};

/* Nothing is bound yet. */
static inline struct world *world_new(enum code (*authenticate)(struct request *rq, struct err *err))
{
	struct world *w = x_calloc(1, sizeof *w);

	w->metrics = metrics_new();
	w->arena = arena_new(0);
	w->api = api_new(&(struct api_options){
		.user = w, .metrics = w->metrics, .metrics_prefix = "flyte:admin", .authenticate = authenticate});
	return w;
}

static inline void world_free(struct world *w)
{
	api_free(w->api);
	metrics_free(w->metrics);
	arena_free(w->arena);
	free(w);
}

static inline void assert_line(struct world *w, const char *line)
{
	auto_buf struct buf b = {0};

	metrics_print(w->metrics, &b);
	if (!strstr(buf_text(&b), line))
		fail_msg("no line %s in:\n%s", line, buf_text(&b));
}
