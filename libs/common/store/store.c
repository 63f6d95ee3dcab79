#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "private.h"

enum { DEFAULT_THREADS = 4, QUEUED_JOBS = 65536, MIN_SECRET_BYTES = 32 };

struct job {
	char *uri;
	size_t max_bytes;
	struct buf data; /* what to write */
	store_read_fn on_read;
	store_done_fn on_done;
	void *arg;
};

static void run_job(struct store *s, struct job *j)
{
	struct err err = {OK, ""};

	if (j->on_read) {
		struct buf b = {0};
		enum code c = file_read(s, j->uri, j->max_bytes, &b, &err);
		size_t len = 0;
		char *data = c ? NULL : buf_take(&b, &len);
		buf_clear(&b);
		j->on_read(j->arg, c, data, len, &err);
	} else {
		enum code c = file_write(s, j->uri, buf_str(&j->data), &err);
		j->on_done(j->arg, c, &err);
	}
	buf_clear(&j->data);
	free(j->uri);
	free(j);
}

static void *worker(void *arg)
{
	struct store *s = arg;
	struct job *j;

	pthread_setname_np(pthread_self(), "store");
	while (queue_pop(s->jobs, (void **)&j, 1, -1) == 1)
		run_job(s, j);
	return NULL;
}

/* A directory that may not exist yet, with its parents. */
static enum code make_dirs(const char *path, struct err *err)
{
	auto_mem char *copy = x_strdup(path);

	for (char *p = copy + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char c = *p;
		*p = '\0';
		if (mkdir(copy, 0777) != 0 && errno != EEXIST)
			return err_set(err, PERMISSION_DENIED, "storage: cannot make directory %s: %s", copy,
				       strerror(errno));
		*p = c;
		if (!c)
			return OK;
	}
}

static enum code open_root(struct store *s, const char *root, struct err *err)
{
	char real[PATH_MAX];

	if (root[0] != '/')
		return err_set(err, INVALID_ARGUMENT, "storage.container: '%s' must be an absolute directory", root);
	enum code c = make_dirs(root, err);
	if (c)
		return c;
	if (!realpath(root, real) || strcmp(real, "/") == 0)
		return err_set(err, INVALID_ARGUMENT, "storage.container: %s cannot be the store", root);
	s->root = x_strdup(real);
	s->upload_dir = x_printf("%s/.uploads", real);
	s->root_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0)
		return err_set(err, PERMISSION_DENIED, "storage: cannot open %s: %s", real, strerror(errno));
	return make_dirs(s->upload_dir, err);
}

static enum code set_signing(struct store *s, const struct store_options *options, struct err *err)
{
	if (!options->public_url || !*options->public_url)
		return OK;
	if (options->secret.len < MIN_SECRET_BYTES)
		return err_set(err, INVALID_ARGUMENT,
			       "storage.signedUrl.secret: at least %d characters are needed, not %zu", MIN_SECRET_BYTES,
			       options->secret.len);
	struct str url = str_of(options->public_url);
	while (url.len && url.ptr[url.len - 1] == '/')
		url.len--;
	s->public_url = x_strndup(url.ptr, url.len);
	buf_add_str(&s->secret, options->secret);
	return OK;
}

enum code store_new(const struct store_options *options, struct store **ret, struct err *err)
{
	if (strcmp(options->type, "file") != 0)
		return err_set(err, INVALID_ARGUMENT, "storage.type: '%s' is not served; only 'file' is",
			       options->type);

	struct store *s = x_calloc(1, sizeof *s);
	s->root_fd = -1;
	s->durable = options->durable;
	enum code c = open_root(s, options->root ? options->root : "", err);
	if (!c)
		c = set_signing(s, options, err);
	if (c) {
		store_free(s);
		return c;
	}
	s->jobs = queue_new("store", QUEUED_JOBS);
	size_t threads = options->threads > 0 ? (size_t)options->threads : DEFAULT_THREADS;
	s->threads = x_calloc(threads, sizeof *s->threads);
	for (; s->n_threads < threads; s->n_threads++) {
		int failed = pthread_create(&s->threads[s->n_threads], NULL, worker, s);
		assert(!failed);
	}
	*ret = s;
	return OK;
}

void store_stop(struct store *s)
{
	if (!s || !s->jobs)
		return;
	queue_close(s->jobs);
	for (size_t i = 0; i < s->n_threads; i++)
		pthread_join(s->threads[i], NULL);
	s->n_threads = 0;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	store_stop(s);
	queue_free(s->jobs);
	if (s->root_fd >= 0)
		close(s->root_fd);
	free(s->threads);
	free(s->root);
	free(s->upload_dir);
	free(s->public_url);
	buf_clear(&s->secret);
	free(s);
}

const char *store_root(const struct store *s)
{
	return s->root;
}

const char *store_upload_dir(const struct store *s)
{
	return s->upload_dir;
}

bool store_owns(const struct store *s, struct str uri)
{
	struct str relative;

	return store_relative(s, uri, &relative, NULL) == OK;
}

static struct job *job_new(const char *uri, void *arg)
{
	struct job *j = x_calloc(1, sizeof *j);

	j->uri = x_strdup(uri);
	j->arg = arg;
	return j;
}

/* When the queue is full the caller works too (it may be one of the threads, which must not wait for itself); when the
 * store has stopped nobody else does. */
static void submit(struct store *s, struct job *j)
{
	if (!queue_try_push(s->jobs, j))
		run_job(s, j);
}

void store_read(struct store *s, const char *uri, size_t max_bytes, store_read_fn fn, void *arg)
{
	struct job *j = job_new(uri, arg);

	j->max_bytes = max_bytes;
	j->on_read = fn;
	submit(s, j);
}

void store_write(struct store *s, const char *uri, struct str data, store_done_fn fn, void *arg)
{
	struct job *j = job_new(uri, arg);

	buf_add_str(&j->data, data);
	j->on_done = fn;
	submit(s, j);
}

enum code store_get(struct store *s, const char *uri, size_t max_bytes, struct buf *ret, struct err *err)
{
	return file_read(s, uri, max_bytes, ret, err);
}

enum code store_put(struct store *s, const char *uri, struct str data, struct err *err)
{
	return file_write(s, uri, data, err);
}
