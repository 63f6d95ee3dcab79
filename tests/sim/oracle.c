/* What becomes of attempts, children and signals, and what they give. A function of the seed, the place and the number:
 * the same whenever and in whatever order it is asked. Also values as text, which is what an attempt's outputs hang on.
 */
#include <ctype.h>

#include "base/ids.h"
#include "sim.h"

uint64_t oracle(const struct sim *s, const char *what, const char *dir, uint32_t attempt)
{
	char text[1024];
	int n = snprintf(text, sizeof text, "%llx %s %s %u", (unsigned long long)s->seed, what, dir, attempt);
	uint64_t state = fnv64a((struct str){text, MIN((size_t)n, sizeof text - 1)});

	return splitmix64(&state);
}

/* In some places attempts fail again and again, in every other one of them by the system; often in items of arrays,
 * whose other items are done then. */
static bool is_cursed(const struct sim *s, const char *dir)
{
	bool item = isdigit((unsigned char)dir[strlen(dir) - 1]);

	return s->cruelty && oracle(s, "curse", dir, 0) % (item ? 8 : 30) == 0;
}

static bool goes_wrong(const struct sim *s, const char *dir, uint32_t attempt)
{
	return oracle(s, "luck", dir, attempt) % 1000 < (is_cursed(s, dir) ? 800 : (uint64_t)s->cruelty);
}

bool is_by_connector(const struct sim *s, const char *dir, uint32_t attempt)
{
	return oracle(s, "connector", dir, 0) % 5 == 0 && oracle(s, "made", dir, attempt) % 8 > 0;
}

enum fate fate_of(const struct sim *s, const struct plan_node *n, const char *dir, uint32_t attempt)
{
	uint64_t how = oracle(s, "fate", dir, attempt) % 20;
	bool by_system = is_cursed(s, dir) && oracle(s, "curse", dir, 1) % 2;

	if (!goes_wrong(s, dir, attempt))
		return FATE_SUCCESS;
	if (by_system && oracle(s, "curse", dir, attempt + 2) % 8)
		return FATE_SYSTEM_ERROR;
	if (how < 7)
		return FATE_USER_ERROR;
	if (how < 9)
		return FATE_FINAL_ERROR;
	if (how < 16)
		return FATE_SYSTEM_ERROR;
	if (how < 17)
		return FATE_BAD_DYNAMIC;
	return n->timeout_us ? FATE_HANG : FATE_USER_ERROR;
}

enum child_fate child_fate_of(const struct sim *s, const struct plan_node *n, const char *dir, uint32_t attempt)
{
	static const enum child_fate FATES[] = {CHILD_FAILED,  CHILD_FAILED, CHILD_ABORTED,
						CHILD_REFUSED, CHILD_HANGS,  CHILD_GIVES_NOTHING};
	enum child_fate fate = FATES[oracle(s, "child", dir, attempt) % ARRAY_SIZE(FATES)];

	if (!goes_wrong(s, dir, attempt))
		return CHILD_SUCCESS;
	return fate == CHILD_HANGS && !n->timeout_us ? CHILD_FAILED : fate;
}

int64_t given_for(const struct sim *s, const char *dir, const char *inputs)
{
	auto_buf struct buf b = {0};

	buf_printf(&b, "%s gets %s", without_fortune(dir), inputs);
	return (int64_t)(oracle(s, "gives", buf_text(&b), 0) % (s->shares_keys ? 3 : 1000));
}

bool is_yes(const char *signal)
{
	return str_starts(str_of(signal), "yes");
}

bool signal_comes(const struct sim *s, const char *id)
{
	return oracle(s, "comes", id, 0) % 1000 >= (uint64_t)s->cruelty * 2;
}

int64_t signal_value(const struct sim *s, const char *id)
{
	if (!is_yes(id))
		return (int64_t)(oracle(s, "signal", id, 0) % 100);
	if (oracle(s, "signal", id, 0) % 1000 >= (uint64_t)s->cruelty)
		return 1;
	return oracle(s, "signal", id, 1) % 4 ? 0 : 2;
}

/* ---- values ---- */

void val_text(struct buf *b, const struct val *v)
{
	if (v->kind == VAL_INT)
		buf_printf(b, "%lld", (long long)v->number);
	else if (v->kind != VAL_LIST)
		buf_addc(b, '-');
	for (size_t i = 0; v->kind == VAL_LIST && i < v->n; i++) {
		buf_addc(b, i ? ',' : '[');
		val_text(b, &v->items[i]);
	}
	if (v->kind == VAL_LIST)
		buf_add_str(b, v->n ? STR("]") : STR("[]"));
}

static const CorePrimitive *primitive_of(const CoreLiteral *l)
{
	bool is = l->value_case == CORE_LITERAL_VALUE_SCALAR && l->scalar->value_case == CORE_SCALAR_VALUE_PRIMITIVE;

	return is ? l->scalar->primitive : NULL;
}

struct val val_of(struct arena *a, const CoreLiteral *l)
{
	const CorePrimitive *p = primitive_of(l);

	if (p && p->value_case == CORE_PRIMITIVE_VALUE_INTEGER)
		return (struct val){.kind = VAL_INT, .number = p->integer};
	if (l->value_case != CORE_LITERAL_VALUE_COLLECTION)
		return (struct val){.kind = VAL_NONE};
	struct val *items = arena_array(a, struct val, l->collection->n_literals);
	for (size_t i = 0; i < l->collection->n_literals; i++)
		items[i] = val_of(a, l->collection->literals[i]);
	return (struct val){.kind = VAL_LIST, .items = items, .n = l->collection->n_literals};
}

CoreLiteral *literal_of_val(struct arena *a, const struct val *v)
{
	CoreLiteral *l = v->kind == VAL_LIST ? int_list(a, 0) : int_literal(a, v->number);

	if (v->kind == VAL_NONE) {
		l->scalar->value_case = CORE_SCALAR_VALUE_NONE_TYPE;
		l->scalar->none_type = pb_new(a, CORE_VOID_DESC);
	}
	for (size_t i = 0; v->kind == VAL_LIST && i < v->n; i++)
		*PB_ADD(a, l->collection->literals, l->collection->n_literals) = literal_of_val(a, &v->items[i]);
	return l;
}

void literal_text(struct buf *b, const CoreLiteral *l)
{
	struct arena *a = arena_new(256);
	struct val v = val_of(a, l);

	val_text(b, &v);
	arena_free(a);
}

bool val_fits(const struct val *v, const CoreLiteral *l)
{
	const CorePrimitive *p = primitive_of(l);

	switch (v->kind) {
	case VAL_ANY: return true;
	case VAL_MISSING: return false;
	case VAL_INT: return p && p->value_case == CORE_PRIMITIVE_VALUE_INTEGER && p->integer == v->number;
	case VAL_NONE:
		return l->value_case == CORE_LITERAL_VALUE_SCALAR &&
		       l->scalar->value_case == CORE_SCALAR_VALUE_NONE_TYPE;
	default: break;
	}
	if (l->value_case != CORE_LITERAL_VALUE_COLLECTION || l->collection->n_literals != v->n)
		return false;
	for (size_t i = 0; i < v->n; i++)
		if (!val_fits(&v->items[i], l->collection->literals[i]))
			return false;
	return true;
}
