/* The state of an execution as bytes, for comparing. */
#include "engine/private.h"
#include "pb/pb.h"

static void add_message(struct buf *b, const void *m)
{
	struct buf packed = {0};

	pb_pack_buf(m, &packed);
	buf_printf(b, "%zu:", packed.len);
	buf_add_str(b, buf_str(&packed));
	buf_clear(&packed);
}

static void add_values(struct buf *b, const struct value_ref *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "{%s %d", at[i].var ? at[i].var : "", at[i].kind);
		if (at[i].literal)
			add_message(b, at[i].literal);
		else if (at[i].uri)
			buf_printf(b, " %s#%s", at[i].uri, at[i].uri_var ? at[i].uri_var : "");
		for (uint32_t k = 0; at[i].path && k < at[i].path->n; k++)
			add_message(b, at[i].path->steps[k]);
		buf_printf(b, " %zu", at[i].n_items);
		add_values(b, at[i].items, at[i].items ? at[i].n_items : 0);
		buf_addc(b, '}');
	}
}

static void add_run(struct buf *b, const struct run *r)
{
	buf_printf(b, " run %lld %lld %lld %lld %d %d %d%d%d%d%d%d%d %u %u %u.%u ", (long long)r->dispatched_us,
		   (long long)r->attempt_due_us, (long long)r->node_due_us, (long long)r->sleep_due_us, r->started,
		   r->told, r->counted, r->dynamic, r->waiting, r->storing, r->reading, r->feeding, r->recovering,
		   r->taken, r->frame ? r->frame->first + 1 : 0, r->told_phase, r->told_version);
	buf_add(b, r->started_packed, r->started_len);
	buf_printf(b, " cache %d%d%d%d ", r->cache, r->queued, r->reserved, r->cache_failed);
	if (r->kept)
		buf_add(b, r->kept->packed, r->kept->len);
	if (r->kept && r->kept->outputs)
		add_values(b, r->kept->outputs->at, r->kept->outputs->n);
}

static void add_node(struct buf *b, const struct node *n)
{
	buf_printf(b, "\n%d %d %u %u %u %u", n->phase, n->skip, n->system_failures, n->attempt, n->upstream, n->users);
	if (n->run)
		add_run(b, n->run);
	if (n->outputs && n->outputs->uri)
		buf_add_str(b, str_of(n->outputs->uri));
	if (n->outputs)
		add_values(b, n->outputs->at, n->outputs->n);
}

static void add_array(struct buf *b, const struct array *a)
{
	buf_printf(b, " array %u %u %u %u %u %u %d %zu ", a->size, a->next, a->running, a->done, a->failed, a->version,
		   a->over, a->given_bytes);
	buf_add(b, a->phases, a->size);
	for (size_t i = 0; i < a->n_names; i++)
		buf_printf(b, " %s", a->names[i]);
	add_values(b, a->inputs.at, a->inputs.n);
	for (uint32_t i = 0; i < a->next; i++)
		if (array_node(a, i))
			add_node(b, array_node(a, i));
}

static void add_frame(struct buf *b, const struct frame *frame)
{
	buf_printf(b, "\nframe %u %u of %u: %d %d %u %d %d %s %s %s %s", frame->first, frame->n, frame->node,
		   frame->phase, frame->then, frame->sweep, frame->timed_out, frame->dynamic, frame->dir,
		   frame->unique_id ? frame->unique_id : "", frame->retry_group ? frame->retry_group : "",
		   frame->reason ? frame->reason : "");
	if (frame->error)
		add_message(b, frame->error);
	if (frame->array)
		add_array(b, frame->array);
	for (uint32_t i = 0; frame->wf && i < frame->n; i++)
		add_node(b, &frame->nodes[i]);
}

static void add_queue(struct buf *b, const uint32_t *at, size_t n)
{
	buf_addc(b, '\n');
	for (size_t i = 0; i < n; i++)
		buf_printf(b, " %u", at[i]);
}

struct str engine_state(const struct engine *e, int64_t execution, struct arena *a)
{
	const struct execution *x = u64map_get(e->executions, (uint64_t)execution);
	auto_buf struct buf b = {0};

	if (!x)
		return STR("");
	buf_printf(&b, "%lld %lld %d %d %d%d %u %u %lld %lld ", (long long)x->id, (long long)x->seq, x->done,
		   x->going_on, x->aborted, x->caching, x->next_node, x->running, (long long)x->due_us,
		   (long long)x->now_us);
	add_message(&b, x->command);
	add_queue(&b, x->ready.at + x->ready_head, x->ready.n - x->ready_head);
	add_queue(&b, x->held.at + x->held_head, x->held.n - x->held_head);
	add_queue(&b, x->gates.at, x->gates.n);
	for (size_t i = 0; i < x->orphans.n; i++)
		buf_printf(&b, " o%u.%u%s", x->orphans.at[i].node, x->orphans.at[i].attempt,
			   x->orphans.at[i].child ? x->orphans.at[i].child : "");
	for (size_t i = 0; i < x->signals.n; i++) {
		buf_printf(&b, " signal %s ", x->signals.at[i].id);
		add_message(&b, x->signals.at[i].value);
	}
	vec_each (const struct kept_resource *, k, &x->resources) {
		buf_printf(&b, " resource %u.%u %d ", k->node, k->attempt, k->over);
		buf_add(&b, k->packed, k->len);
	}
	buf_printf(&b, " %zu", x->children ? map_count(x->children) : 0);
	for (size_t i = 0; i < x->ending.n; i++)
		buf_printf(&b, " e%u", x->ending.at[i]->first);
	for (size_t i = 0; i < x->frames.n; i++)
		add_frame(&b, x->frames.at[i]);
	return (struct str){arena_dup(a, b.data, b.len), b.len};
}
