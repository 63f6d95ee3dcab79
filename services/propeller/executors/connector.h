/* Shared by the connector executor's files. Everything runs on the loop, but for what says otherwise. */
#pragma once
#include <pthread.h>

#include "base/base.h"
#include "executor.h"
#include "flyteidl/admin/agent.h"
#include "inputs.h"
#include "propeller.h"
#include "results.h"
#include "rpc/rpc.h"
#include "timers.h"

/* Fields that flyteidl calls deprecated, and connectors still read and write. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

extern const char CONNECTOR_PLUGIN[];

/* ---- connectors: connector_config.c, connector_registry.c ---- */

struct connector {
	const char *id; /* in the configuration; "default" for the default one */
	const char *endpoint, *service_config, *roots_file, *server_name;
	bool insecure;
	int64_t default_timeout_us;
	struct config_map timeouts; /* RPC's name -> text, checked */
	struct rpc_channel *channel;
	size_t calls; /* under way */
	bool answered;
	struct err why_not; /* it has not */
};

/* A task type, as a connector says. */
struct category {
	char *name;
	int32_t version;
	bool is_sync;
	struct connector *connector;
};

struct discovery; /* one round of ListAgents */

struct registry {
	struct executor *x;
	struct arena *arena;
	VEC(struct connector *) connectors; /* the default one is the first, if there is one */
	struct connector *fallback;
	VEC(struct category) categories;
	struct config_map for_task_types; /* -> id */
	struct config_strings task_types; /* of the fallback */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct discovery *inbox; /* under the lock: answers that are not looked at yet */
	size_t asked;            /* under the lock: RPCs under way */
};

/* The connectors that are configured. Errors: INVALID_ARGUMENT with the key. */
enum code connectors_read(const struct connectors_config *config, struct registry *r, struct err *err);
/* Time that this RPC may take. */
int64_t connector_timeout(const struct connector *c, const char *method);

enum code registry_open(struct registry *r, struct executor *x, const struct connectors_config *config,
			struct err *err);
/* Ask all of them for their task types; the answers are looked at on the loop. */
void registry_refresh(struct registry *r);
/* Wait for the answers to that, not for long. Before the loop runs. */
void registry_wait(struct registry *r);
void registry_free(struct registry *r);
/* Who runs it; NULL: nobody, as far as is known. */
struct connector *registry_find(struct registry *r, const char *type, int32_t version, bool *ret_sync);
/* The version of the type that this connector has, if it has not this one. */
int32_t registry_version(const struct registry *r, const struct connector *c, const char *type, int32_t version);
struct connector *registry_at(struct registry *r, const char *endpoint);
/* Somebody has never answered; the text says who. */
bool registry_incomplete(const struct registry *r, struct buf *ret_who);

/* ---- attempts ---- */

struct job {
	struct executor *x;
	struct attempt_id id;
	char *key;
	struct arena *arena;
	enum {
		COLLECTING, /* inputs */
		HOLDING,    /* until a connector is known, or can be asked again */
		CREATING,
		KEEPING, /* until its resource is committed */
		WATCHING,
		ENDING, /* outputs are read or written */
		DELETING,
	} state;
	bool aborted, calling, outputs_declared, is_item;
	/* Until it is created. */
	struct arena *request_arena;
	AdminCreateTaskRequest *request;
	const char *node_unique_id;
	struct inputs_request wanted;
	/* Where it runs. */
	const CoreTypedInterface *interface;
	const char *type, *output_prefix;
	int32_t version;
	struct connector *connector;
	bool is_sync;
	struct str meta;
	/* The call under way, and its answer. */
	struct arena *call_arena;
	struct connector *called;
	void (*call_over)(void *job);
	enum code code;
	void *answer;
	struct err err;
	/* How it goes. */
	int64_t due_us, pause_us, failing_since_us;
	int64_t failures;
	uint64_t told; /* digest of the last update */
	const char *outputs_uri;
	size_t outputs_size;
	AdminResource *last; /* the one that ended it; in call_arena */
	struct results_request results;
};

struct executor {
	struct executor_host host;
	const struct propeller_config *config;
	struct registry registry;
	struct rpc_calls *calls;
	struct timers *timers;
	struct map *jobs; /* key -> job */
	const struct pb_method *create, *get, *delete, *execute, *list;
	struct metric *running, *created, *failed_calls;
};

/* connector.c */
void job_free(struct job *j);
/* Look at it again then. */
void job_wait(struct job *j, int64_t pause_us);

/* connector_task.c */
/* Its inputs are there: find out who runs it, and have it made. */
void job_create(struct job *j);
void job_get(struct job *j);
/* Its resource has to go; takes the job. */
void job_delete(struct job *j);
void job_delete_now(struct job *j); /* again */

/* connector_request.c */
/* All of the attempt that CreateTask needs but the inputs, in j->request_arena. Errors: INVALID_ARGUMENT. */
enum code job_make_request(struct job *j, const struct attempt *a, struct err *err);

/* connector_result.c */
/* What the connector says of the task: tells the engine. True: it has ended, and `j` may be gone. */
bool job_take_resource(struct job *j, AdminResource *r);
/* It failed before, or without, a word of the connector's; the job is gone, its resource stays. */
void job_fail(struct job *j, const char *code, const char *message, bool recoverable, bool system);
void job_tell_resource(struct job *j);
/* Only tells the engine. */
void job_tell_failure(struct job *j, const char *code, const char *message, bool recoverable, bool system);
