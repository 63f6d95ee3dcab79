/* A server with a few handlers of AdminService, and a channel to it, in one process. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "flyteidl/service/admin.h"
#include "flyteidl/service/dataproxy.h"
#include "flyteidl/service/signal.h"
#include "pb/pb.h"
#include "rpc/rpc.h"

#define SECOND USEC_PER_SEC

struct world {
	struct api *api;
	struct metrics *metrics;
	struct rpc_server *server;
	struct rpc_channel *channel;
	struct arena *arena;
	char target[64];
	atomic_int inside;  /* handlers that wait at the gate */
	atomic_bool closed; /* the gate */
	/* What get_tasks was given: so often, so many calls, so many at once. */
	atomic_int batches, together, largest;
};

/* The version is the header "x-word". */
static enum code get_version(struct request *rq, const AdminGetVersionRequest *in, AdminGetVersionResponse *ret,
			     struct err *err)
{
	const char *word = rq->header(rq, "x-word");

	(void)in, (void)err;
	ret->control_plane_version = pb_new(rq->arena, ADMIN_VERSION_DESC);
	ret->control_plane_version->version = arena_printf(rq->arena, "%s", word ? word : "none");
	ret->control_plane_version->build = arena_strdup(rq->arena, rq->authority);
	ret->control_plane_version->buildtime = arena_strdup(rq->arena, rq->peer);
	return OK;
}
API_THUNK(get_version)

/* Fails with the code given in the id; a long text for "LONG". */
static enum code get_project(struct request *rq, const AdminProjectGetRequest *in, AdminProject *ret, struct err *err)
{
	auto_buf struct buf text = {0};
	int64_t code = 0;

	if (strcmp(in->id, "LONG") == 0) {
		for (int i = 0; i < 4000 / 2; i++)
			buf_adds(&text, "ü");
		return err_set(err, NOT_FOUND, "%s", buf_text(&text));
	}
	if (str_to_i64(str_of(in->id), &code))
		return err_set(err, (enum code)code, "project %s: 100%% größer\nline two", in->id);
	ret->id = arena_strdup(rq->arena, in->id);
	return OK;
}
API_THUNK(get_project)

/* One project, described by `limit` letters. */
static enum code list_projects(struct request *rq, const AdminProjectListRequest *in, AdminProjects *ret,
			       struct err *err)
{
	AdminProject *p = pb_new(rq->arena, ADMIN_PROJECT_DESC);

	(void)err;
	p->id = in->token;
	p->description = arena_zalloc(rq->arena, in->limit + 1);
	memset(p->description, 'x', in->limit);
	*PB_ADD(rq->arena, ret->projects, ret->n_projects) = p;
	return OK;
}
API_THUNK(list_projects)

static void pass_gate(struct world *w)
{
	atomic_fetch_add(&w->inside, 1);
	while (atomic_load(&w->closed))
		usleep(1000);
	atomic_fetch_sub(&w->inside, 1);
}

static enum code wait_at_gate(struct request *rq, const void *in, void *ret, struct err *err)
{
	(void)in, (void)ret, (void)err;
	pass_gate(rq->user);
	return OK;
}

/* Many at once, and through the gate. Each fails with the code that is its version; otherwise its task's name is its
 * project, and the version how many bytes its name had. */
static void get_tasks(struct api_one *const *ones, size_t n)
{
	struct world *w = ones[0]->rq->user;
	int largest = atomic_load(&w->largest);

	atomic_fetch_add(&w->batches, 1);
	atomic_fetch_add(&w->together, (int)n);
	while (largest < (int)n && !atomic_compare_exchange_weak(&w->largest, &largest, (int)n))
		;
	pass_gate(w);
	for (size_t i = 0; i < n; i++) {
		const CoreIdentifier *id = ((const AdminObjectGetRequest *)ones[i]->in)->id;
		AdminTask *ret = ones[i]->ret;
		int64_t code = 0;

		if (str_to_i64(str_of(id->version), &code)) {
			ones[i]->code = err_set(ones[i]->err, (enum code)code, "no task %s", id->project);
			continue;
		}
		ret->id = pb_new(ones[i]->rq->arena, CORE_IDENTIFIER_DESC);
		ret->id->name = arena_strdup(ones[i]->rq->arena, id->project);
		ret->id->version = arena_printf(ones[i]->rq->arena, "%zu", strlen(id->name));
	}
}

/* Says how many bytes it got. */
static enum code create_execution(struct request *rq, const AdminExecutionCreateRequest *in,
				  AdminExecutionCreateResponse *ret, struct err *err)
{
	(void)err;
	ret->id = pb_new(rq->arena, CORE_WORKFLOW_EXECUTION_IDENTIFIER_DESC);
	ret->id->name = arena_printf(rq->arena, "%zu", strlen(in->name));
	return OK;
}
API_THUNK(create_execution)

static const struct api_binding admin_bindings[] = {
	{"GetVersion", get_version_api}, {"GetProject", get_project_api},           {"ListProjects", list_projects_api},
	{"GetDomains", wait_at_gate},    {"CreateExecution", create_execution_api}, {0}};
static const struct api_together_binding together_bindings[] = {{"GetTask", get_tasks}, {0}};
static const struct api_binding proxy_bindings[] = {{"GetData", wait_at_gate}, {0}};

static inline const struct pb_method *method_of(const struct pb_service *service, const char *name)
{
	for (size_t i = 0; i < service->n_methods; i++)
		if (strcmp(service->methods[i].name, name) == 0)
			return &service->methods[i];
	fail_msg("no method %s", name);
	return NULL;
}

static inline const struct pb_method *admin(const char *name)
{
	return method_of(&ADMIN_SERVICE_TABLE, name);
}

static inline void word_credentials(void *arg, struct arena *a, const char **ret_key, const char **ret_value)
{
	*ret_key = "x-word";
	*ret_value = arena_strdup(a, arg);
}

/* `options`: what should differ from the defaults; its address and api are ours. */
static inline struct world *world_new(struct rpc_server_options options)
{
	struct world *w = x_calloc(1, sizeof *w);
	struct err err;

	alarm(300);
	w->arena = arena_new(0);
	w->metrics = metrics_new();
	w->api = api_new(&(struct api_options){.user = w, .metrics = w->metrics, .metrics_prefix = "flyte:admin"});
	api_bind(w->api, &ADMIN_SERVICE_TABLE, admin_bindings);
	api_bind_together(w->api, &ADMIN_SERVICE_TABLE, together_bindings);
	api_bind(w->api, &DATA_PROXY_SERVICE_TABLE, proxy_bindings);
	options.listen = "127.0.0.1:0";
	options.api = w->api;
	options.metrics = w->metrics;
	if (rpc_server_new(&options, &w->server, &err) != OK)
		fail_msg("%s", err.text);
	snprintf(w->target, sizeof w->target, "127.0.0.1:%d", rpc_server_port(w->server));
	w->channel = rpc_channel_new(&(struct rpc_channel_options){.target = w->target, .name = "admin"});
	return w;
}

static inline void world_stop(struct world *w, int64_t grace_us)
{
	rpc_server_stop(w->server, grace_us);
	w->server = NULL;
}

static inline void world_free(struct world *w)
{
	rpc_channel_free(w->channel);
	rpc_server_stop(w->server, SECOND);
	api_free(w->api);
	metrics_free(w->metrics);
	arena_free(w->arena);
	free(w);
	alarm(0);
}

/* A call that nobody waits for, until somebody waits for `done`. */
struct one {
	struct arena *arena;
	enum code code;
	struct err err;
	void *message;
	sem_t done;
};

static inline void on_answer(void *arg, enum code code, void *message, const struct err *err)
{
	struct one *o = arg;

	o->code = code;
	o->message = message;
	o->err = *err;
	sem_post(&o->done);
}

static inline void begin(struct rpc_calls *calls, struct rpc_channel *c, struct one *o, const struct pb_method *method,
			 const void *const *in, size_t n, int64_t timeout_us)
{
	o->arena = arena_new(0);
	sem_init(&o->done, 0, 0);
	rpc_start(calls, c, method, in, n, timeout_us, o->arena, on_answer, o);
}

static inline void end(struct one *o)
{
	arena_free(o->arena);
	sem_destroy(&o->done);
}

static inline void wait_inside(struct world *w, int n)
{
	for (int i = 0; atomic_load(&w->inside) != n; i++) {
		assert_true(i < 20000);
		usleep(1000);
	}
}

#define assert_code(expected, err, call)                                                                               \
	do {                                                                                                           \
		enum code got_ = (call);                                                                               \
		if (got_ != (expected))                                                                                \
			fail_msg("%s: %s", code_name(got_), got_ == OK ? "" : (err)->text);                            \
	} while (0)
