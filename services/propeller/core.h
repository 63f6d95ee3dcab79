/* The engine's thread: takes items, folds them, hands cycles (what one turn made true) to the committer. */
#pragma once
#include "base/vec.h"
#include "journal.h"
#include "propeller.h"

/* Something for the engine's thread. Owned by it once pushed. */
struct item {
	enum {
		ITEM_INPUT,   /* fold `in` */
		ITEM_REPLAY,  /* replay `in`'s journal entry */
		ITEM_PENDING, /* the execution is loaded: give what its state calls for */
		ITEM_FORGET,  /* drop its state: over, or not ours any more */
	} kind;
	int64_t execution;
	AlulaInput *in;
	AlulaJournalEntry *entry;
	/* To be told once what this input made true is committed; NULL for nobody. */
	const char *confirm_subject;
	int64_t envelope;
	struct arena *arena; /* holds everything above; may be NULL for ITEM_PENDING and ITEM_FORGET */
};

struct moved {
	struct journal_row row;
	struct str record; /* a slice of row.entry */
	bool last;
};

struct receipt {
	const char *subject;
	int64_t envelope;
};

/* What one turn of the engine made true. Shared by committer, relay and loop. */
struct cycle {
	struct arena *arena;
	VEC(struct moved) moved;
	VEC(struct receipt) receipts;
	VEC(struct action *) actions; /* lists, in order */
	bool restarted;               /* the actions come from a load: an earlier process may have done them */
	atomic_int refs;
};
void cycle_unref(struct cycle *c);

struct core *core_new(struct propeller *p);
void core_start(struct core *c);
/* Blocks while the queue is full; the item becomes the core's. False once stopped (the item is freed). */
bool core_push(struct core *c, struct item *item);
/* An item with an arena of its own. */
struct item *item_new(int kind);
void item_free(struct item *item);
/* Copy an input (packed and unpacked) and push it. */
void core_feed(struct core *c, const AlulaInput *in);
/* No more items; the thread ends after those queued. */
void core_stop(struct core *c);
void core_free(struct core *c);
