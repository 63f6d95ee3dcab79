#include "data.h"

#include <pthread.h>

#include "base/base.h"
#include "keys.h"
#include "pb/pb.h"

void writes_clear(struct writes *w)
{
	vec_free(w);
}

void stored_init(AlulaStoredArtifact *s, struct str metadata)
{
	*s = (AlulaStoredArtifact)ALULA_STORED_ARTIFACT_INIT;
	s->metadata.data = (uint8_t *)metadata.ptr;
	s->metadata.len = metadata.len;
}

void stored_add(struct request *rq, AlulaStoredArtifact *s, const DatacatalogDatasetID *dataset, const char *artifact,
		const char *name, struct str literal, struct writes *w)
{
	AlulaStoredValue *v = pb_new(rq->arena, ALULA_STORED_VALUE_DESC);

	v->name = (char *)name;
	v->uri = (char *)path_of_names(rq->arena, catalog_of(rq)->root,
				       (const char *[]){dataset->project, dataset->domain, dataset->name,
							dataset->version, artifact, name, "data.pb", NULL});
	v->literal.data = (uint8_t *)literal.ptr;
	v->literal.len = literal.len;
	*PB_ADD(rq->arena, s->values, s->n_values) = v;
	vec_reserve(w, 1);
	w->at[w->n].uri = v->uri;
	w->at[w->n++].data = literal;
}

void stored_finish(struct request *rq, AlulaStoredArtifact *s)
{
	size_t total = 0;

	for (size_t i = 0; i < s->n_values; i++)
		total += s->values[i]->literal.len;
	bool few = total <= (size_t)catalog_of(rq)->config->inline_bytes;
	for (size_t i = 0; i < s->n_values; i++) {
		s->values[i]->in_row = few;
		if (!few)
			s->values[i]->literal.len = 0;
	}
}

/* Writes under way. */
struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	size_t left;
	enum code code;
	struct err err;
};

static void written(void *arg, enum code code, const struct err *err)
{
	struct waiting *w = arg;

	pthread_mutex_lock(&w->lock);
	if (code && !w->code) {
		w->code = code;
		w->err = *err;
	}
	if (--w->left == 0)
		pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

enum code writes_run(struct request *rq, const struct writes *w, struct err *err)
{
	struct waiting wait = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, .left = w->n};

	for (size_t i = 0; i < w->n; i++)
		store_write(catalog_of(rq)->store, w->at[i].uri, w->at[i].data, written, &wait);
	pthread_mutex_lock(&wait.lock);
	while (wait.left)
		pthread_cond_wait(&wait.wake, &wait.lock);
	pthread_mutex_unlock(&wait.lock);
	pthread_cond_destroy(&wait.wake);
	pthread_mutex_destroy(&wait.lock);
	return wait.code ? err_set(err, wait.code == INVALID_ARGUMENT ? INVALID_ARGUMENT : INTERNAL,
				   "Unable to store artifact data, err %s", wait.err.text)
			 : OK;
}

static bool has_object(const AlulaStoredArtifact *s, const char *uri)
{
	for (size_t i = 0; s && i < s->n_values; i++)
		if (strcmp(s->values[i]->uri, uri) == 0)
			return true;
	return false;
}

void stored_remove(struct request *rq, const AlulaStoredArtifact *old, const AlulaStoredArtifact *now)
{
	struct err err;

	for (size_t i = 0; i < old->n_values; i++)
		if (!has_object(now, old->values[i]->uri) &&
		    store_remove(catalog_of(rq)->store, old->values[i]->uri, &err) != OK)
			log_warn("cannot remove artifact data", LOG_STR("uri", old->values[i]->uri), LOG_ERR(&err));
}

static enum code read_literal(struct request *rq, const AlulaStoredValue *v, size_t *budget, CoreLiteral **ret,
			      struct err *err)
{
	auto_buf struct buf file = {0};
	struct str data = {(const char *)v->literal.data, v->literal.len};
	enum code c = OK;

	if (!v->in_row) {
		c = store_get(catalog_of(rq)->store, v->uri, *budget, &file, err);
		data = buf_str(&file);
	}
	if (!c && data.len > *budget)
		c = err_set(err, RESOURCE_EXHAUSTED, "the answer would be larger than %lld bytes",
			    (long long)catalog_of(rq)->config->max_message_bytes);
	if (c == RESOURCE_EXHAUSTED)
		return c;
	if (!c)
		c = pb_unpack_own(CORE_LITERAL_DESC, data, rq->arena, (void **)ret, err);
	if (c)
		return err_prefix(err, c, "Unable to read artifact data from location %s, err ", v->uri),
		       err ? (err->code = INTERNAL) : INTERNAL;
	*budget -= data.len;
	return OK;
}

enum code stored_read(struct request *rq, const AlulaStoredArtifact *s, size_t *budget, DatacatalogArtifact *ret,
		      struct err *err)
{
	enum code c = OK;

	for (size_t i = 0; !c && i < s->n_values; i++) {
		DatacatalogArtifactData *d = pb_new(rq->arena, DATACATALOG_ARTIFACT_DATA_DESC);
		d->name = s->values[i]->name;
		*PB_ADD(rq->arena, ret->data, ret->n_data) = d;
		c = read_literal(rq, s->values[i], budget, &d->value, err);
	}
	return c;
}
