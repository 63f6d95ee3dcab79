#include "committer.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "acts.h"
#include "alula/bus.h"
#include "base/base.h"
#include "known.h"
#include "pb/pb.h"
#include "relay.h"

enum { QUEUED_CYCLES = 64, RETRY_US = 250000 };

struct committer {
	struct propeller *p;
	struct queue *queue;
	pthread_t thread;
	bool started, fenced;
	struct metric *commits, *rows, *commit_time;
};

typedef VEC(struct journal_row) row_list;

/* Fenced is for good; anything else is tried again until it is clear that the rows are there. */
static enum code try_commit(struct committer *c, const row_list *rows, bool again, struct err *err)
{
	auto_free(db_give) struct db *db = NULL;
	enum code code = db_take(c->p->db, &db, err);
	if (code)
		return code;
	if (again) {
		bool there = false;
		code = journal_has(db, c->p->name, c->p->epoch, &rows->at[rows->n - 1], &there, err);
		if (code || there)
			return code;
	}
	return journal_commit(db, c->p->name, c->p->epoch, rows->at, rows->n, err);
}

static bool commit_rows(struct committer *c, const row_list *rows)
{
	static struct log_limit limit;
	struct err err;
	size_t held;

	for (bool again = false;; again = true) {
		int64_t start_us = time_mono_us();
		enum code code = try_commit(c, rows, again, &err);
		if (code == OK) {
			metric_add(c->commits, 1);
			metric_add(c->rows, (int64_t)rows->n);
			metric_observe_us(c->commit_time, time_mono_us() - start_us);
			return true;
		}
		if (code == ABORTED && strncmp(err.text, "fenced", 6) == 0) {
			log_error("another propeller took over", LOG_ERR(&err));
			service_fail("fenced");
			c->fenced = true;
			return false;
		}
		if (log_allow(&limit, 5 * USEC_PER_SEC, &held))
			log_warn("cannot commit to the journal; trying again", LOG_ERR(&err),
				 LOG_INT("held_back", held));
		nanosleep(&(struct timespec){.tv_nsec = RETRY_US * 1000}, NULL);
	}
}

static void send_received(struct committer *c, const char *subject, int64_t *ids, size_t n)
{
	AlulaReceived m = ALULA_RECEIVED_INIT;
	auto_buf struct buf b = {0};

	m.ids = ids;
	m.n_ids = n;
	pb_pack_buf(&m, &b);
	/* Lost receipts are asked for again: the sender repeats its command. */
	bus_send(c->p->bus, subject, buf_str(&b), NULL);
}

/* Receipts come in runs of the same sender. */
static void send_receipts(struct committer *c, struct cycle *const *cycles, size_t n)
{
	VEC(int64_t) ids = {0};
	const char *subject = NULL;

	for (size_t i = 0; i < n; i++) {
		vec_each (struct receipt *, r, &cycles[i]->receipts) {
			if (subject && (strcmp(subject, r->subject) != 0 || ids.n == 1024)) {
				send_received(c, subject, ids.at, ids.n);
				vec_clear(&ids);
			}
			subject = r->subject;
			vec_push(&ids, r->envelope);
		}
	}
	if (ids.n)
		send_received(c, subject, ids.at, ids.n);
	vec_free(&ids);
}

static void collect_rows(struct cycle *const *cycles, size_t n, row_list *rows)
{
	vec_clear(rows);
	for (size_t i = 0; i < n; i++)
		vec_each (struct moved *, m, &cycles[i]->moved)
			vec_push(rows, m->row);
}

static void act(struct committer *c, struct cycle *cycle)
{
	vec_each (struct moved *, m, &cycle->moved)
		if (m->row.seq == 1)
			known_committed(c->p->known, m->row.execution);
	atomic_store(&cycle->refs, 2);
	acts_post(c->p->acts, cycle);
	relay_push(c->p->relay, cycle);
}

static void *committer_thread(void *arg)
{
	struct committer *c = arg;
	struct cycle *cycles[QUEUED_CYCLES];
	row_list rows = {0};
	size_t n;

	pthread_setname_np(pthread_self(), "committer");
	while ((n = queue_pop(c->queue, (void **)cycles, QUEUED_CYCLES, -1)) > 0) {
		collect_rows(cycles, n, &rows);
		bool committed = !c->fenced && (rows.n == 0 || commit_rows(c, &rows));
		if (committed)
			send_receipts(c, cycles, n);
		for (size_t i = 0; i < n; i++) {
			if (committed)
				act(c, cycles[i]);
			else
				cycle_unref(cycles[i]);
		}
	}
	vec_free(&rows);
	return NULL;
}

struct committer *committer_new(struct propeller *p)
{
	struct committer *c = x_calloc(1, sizeof *c);

	c->p = p;
	c->queue = queue_new("committer", QUEUED_CYCLES);
	c->commits = metrics_counter(p->metrics, "propeller:journal:commits", NULL, "Transactions of the journal.");
	c->rows = metrics_counter(p->metrics, "propeller:journal:rows", NULL, "Rows that they wrote.");
	c->commit_time =
		metrics_summary(p->metrics, "propeller:journal:commit_time_us", NULL, "Time of one commit.", 1);
	return c;
}

void committer_start(struct committer *c)
{
	c->started = pthread_create(&c->thread, NULL, committer_thread, c) == 0;
	assert(c->started);
}

void committer_push(struct committer *c, struct cycle *cycle)
{
	if (!queue_push(c->queue, cycle))
		cycle_unref(cycle);
}

void committer_stop(struct committer *c)
{
	if (!c || !c->started)
		return;
	queue_close(c->queue);
	pthread_join(c->thread, NULL);
	c->started = false;
}

void committer_free(struct committer *c)
{
	if (!c)
		return;
	committer_stop(c);
	queue_free(c->queue);
	free(c);
}
