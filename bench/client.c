#include <stdarg.h>
#include <stdio.h>

#include "bench.h"
#include "flyteidl/service/admin.h"
#include "json/json.h"

void fail(const char *what, const struct err *err)
{
	fprintf(stderr, "bench: %s: %s\n", what, err->text);
	exit(1);
}

struct rpc_channel *connect_to(const char *address)
{
	return rpc_channel_new(&(struct rpc_channel_options){.target = address, .name = "admin"});
}

const struct pb_method *admin_method(const char *name)
{
	for (size_t i = 0; i < ADMIN_SERVICE_TABLE.n_methods; i++)
		if (strcmp(ADMIN_SERVICE_TABLE.methods[i].name, name) == 0)
			return &ADMIN_SERVICE_TABLE.methods[i];
	abort();
}

void *request_of(const struct pb_method *m, struct arena *a, const char *format, ...)
{
	va_list args;
	char *text;
	void *ret;
	struct err err;

	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		abort();
	if (json_read(m->in, (struct str){text, (size_t)len}, false, a, &ret, &err) != OK)
		fail(m->name, &err);
	free(text);
	return ret;
}

void *call(struct rpc_channel *c, const struct pb_method *m, const void *in, struct arena *a)
{
	struct err err;
	void *out;

	if (rpc_call(c, m, in, CALL_TIMEOUT_US, a, &out, &err) != OK)
		fail(m->name, &err);
	return out;
}

struct thread {
	pthread_t id;
	int index;
	void (*fn)(void *arg, int index);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	t->fn(t->arg, t->index);
	return NULL;
}

void on_threads(int n, void (*fn)(void *arg, int index), void *arg)
{
	struct thread *threads = x_calloc((size_t)n, sizeof *threads);

	for (int i = 0; i < n; i++) {
		threads[i] = (struct thread){.index = i, .fn = fn, .arg = arg};
		pthread_create(&threads[i].id, NULL, thread_main, &threads[i]);
	}
	for (int i = 0; i < n; i++)
		pthread_join(threads[i].id, NULL);
	free(threads);
}
