/* The bench driver: every case is a command that prints one number; tools/bench makes the table.
 * Cases over the API send what they send as protobuf's JSON form, turned into messages before the clock starts. */
#pragma once
#include <pthread.h>

#include "base/base.h"
#include "rpc/rpc.h"

#define WHERE "\"project\":\"flytesnacks\",\"domain\":\"development\""

enum { CALL_TIMEOUT_US = 60000000 };

/* What cannot go on ends the program with a line on stderr. */
void fail(const char *what, const struct err *err) __attribute__((noreturn));

/* ---- client.c ---- */

struct rpc_channel *connect_to(const char *address);
const struct pb_method *admin_method(const char *name);
/* JSON into the method's request. */
void *request_of(const struct pb_method *m, struct arena *a, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Call and get the response, or fail. */
void *call(struct rpc_channel *c, const struct pb_method *m, const void *in, struct arena *a);
/* Run fn(arg, index) on n threads, until all have returned. */
void on_threads(int n, void (*fn)(void *arg, int index), void *arg);

/* ---- register.c ---- */

/* What a workflow of n is made of. */
enum shape {
	CHAIN,    /* n echo nodes, each after the one before */
	FAN,      /* n echo nodes that need nothing but the input */
	MAP,      /* one array node; n is the number of items that its executions get */
	NESTED,   /* a sub-workflow that is a CHAIN */
	DYNAMIC,  /* a process that gives a FAN: a copy of a file made ready, in the working directory */
	CHILDREN, /* n launch plan nodes, of a workflow of one echo node */
	CACHED,   /* n cached echo nodes: every run but the first finds them all */
};

enum { NAME_BYTES = 64 };

/* Register it with a launch plan of the same name; gives the seconds that CreateWorkflow took. */
double register_workflow(struct rpc_channel *c, enum shape shape, int n, char ret_name[NAME_BYTES]);

/* ---- cases: seconds, or how many a second ---- */

double run_one(const char *address, enum shape shape, int n, int runs); /* median */
double run_register(const char *address, int n, int runs);              /* of CreateWorkflow of a FAN */
double run_many(const char *address, int n, int threads);
double run_creates(const char *address, int n, int threads); /* until all are accepted; waits until they have run */
double run_held_creates(const char *address, int n, int threads); /* the same, and does not wait */
/* The name of one of a single node that has succeeded. */
void finished_execution(struct rpc_channel *c, char ret_name[NAME_BYTES]);
double commits(const char *dsn, int connections, int seconds);
double rows(const char *dsn, int batch, int seconds);
double publishes(const char *url, int bytes, int seconds);

/* ---- api.c: calls a second ---- */

double get_execution(const char *address, int in_flight, int seconds); /* on one connection, as the next two */
double get_task(const char *address, int in_flight, int seconds);
double list_executions(const char *address, int in_flight, int seconds); /* the newest 100 */
double create_tasks(const char *address, int connections, int seconds);  /* a new version each */
double get_version(const char *address, int connections, int seconds);   /* an empty call */
double database_gets(const char *dsn, int connections, int seconds);     /* GetExecution's statement alone */
double database_lists(const char *dsn, int connections, int seconds);    /* ListExecutions' */

/* ---- catalog.c: entries a second; get_artifacts and probes want lookups to have run ---- */

double catalog_lookups(const char *address, int batch, int seconds);      /* one connection */
double catalog_lookups_many(const char *address, int batch, int seconds); /* 16 */
double catalog_puts(const char *address, int batch, int seconds);
double catalog_artifacts(const char *address, int threads, int seconds);
double catalog_probes(const char *dsn, int batch, int seconds);
