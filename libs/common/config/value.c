/* Texts and nodes to typed values, and back. One row per type. */
#include <strings.h>

#include "private.h"

static bool parse_string(struct arena *a, struct str s, union config_value *ret)
{
	ret->string = arena_strndup(a, s.ptr, s.len);
	return true;
}

static bool parse_int(struct arena *a, struct str s, union config_value *ret)
{
	(void)a;
	return str_to_i64(str_trim(s), &ret->number);
}

static bool parse_bool(struct arena *a, struct str s, union config_value *ret)
{
	static const char *const WORDS[2][6] = {{"false", "no", "off", "0", "f", "n"},
						{"true", "yes", "on", "1", "t", "y"}};
	(void)a;
	s = str_trim(s);
	for (int truth = 0; truth < 2; truth++) {
		for (size_t i = 0; i < ARRAY_SIZE(WORDS[0]); i++) {
			if (s.len == strlen(WORDS[truth][i]) && strncasecmp(s.ptr, WORDS[truth][i], s.len) == 0) {
				ret->boolean = truth;
				return true;
			}
		}
	}
	return false;
}

static bool parse_double(struct arena *a, struct str s, union config_value *ret)
{
	(void)a;
	return str_to_double(str_trim(s), &ret->fraction);
}

/* A number without unit counts nanoseconds in Flyte; one below a microsecond is a unit forgotten. */
static bool parse_duration(struct arena *a, struct str s, union config_value *ret)
{
	int64_t ns;
	(void)a;
	s = str_trim(s);
	if (s.len == 0 || str_to_i64(s, &ns)) {
		if (s.len && ns && llabs(ns) < 1000)
			return false;
		ret->number = s.len ? ns / 1000 : 0;
		return true;
	}
	return duration_parse(s, &ret->number);
}

static bool parse_size(struct arena *a, struct str s, union config_value *ret)
{
	(void)a;
	return quantity_parse(str_trim(s), &ret->number);
}

static bool parse_strings(struct arena *a, struct str s, union config_value *ret)
{
	size_t n = 1;
	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == ',';
	ret->strings = (struct config_strings){.at = arena_array(a, const char *, n)};
	while (s.ptr) {
		struct str part = str_trim(str_cut(&s, ','));
		if (part.len)
			ret->strings.at[ret->strings.n++] = arena_strndup(a, part.ptr, part.len);
	}
	return true;
}

static void map_set(struct config_map *m, const char *key, const char *value)
{
	size_t i = 0;
	while (i < m->n && strcmp(m->at[i].key, key) != 0)
		i++;
	m->at[i].key = key;
	m->at[i].value = value;
	m->n = MAX(m->n, i + 1);
}

static void map_grow(struct arena *a, struct config_map *m, size_t more)
{
	void *old = m->at;
	m->at = arena_zalloc(a, (m->n + more) * sizeof *m->at);
	if (m->n)
		memcpy(m->at, old, m->n * sizeof *m->at);
}

static bool parse_map(struct arena *a, struct str s, union config_value *ret)
{
	union config_value list;
	parse_strings(a, s, &list);
	ret->map = (struct config_map){0};
	map_grow(a, &ret->map, list.strings.n);
	for (size_t i = 0; i < list.strings.n; i++) {
		struct str value = str_of(list.strings.at[i]), key = str_trim(str_cut(&value, '='));
		if (!value.ptr || !key.len)
			return false;
		value = str_trim(value);
		map_set(&ret->map, arena_strndup(a, key.ptr, key.len), arena_strndup(a, value.ptr, value.len));
	}
	return true;
}

static void print_string(const void *field, struct buf *b)
{
	buf_json_string(b, str_of(*(const char *const *)field));
}

static void print_int(const void *field, struct buf *b)
{
	buf_printf(b, "%lld", (long long)*(const int64_t *)field);
}

static void print_bool(const void *field, struct buf *b)
{
	buf_adds(b, *(const bool *)field ? "true" : "false");
}

static void print_double(const void *field, struct buf *b)
{
	buf_printf(b, "%.17g", *(const double *)field);
}

static void print_duration(const void *field, struct buf *b)
{
	duration_add(b, *(const int64_t *)field);
}

static void print_size(const void *field, struct buf *b)
{
	quantity_add(b, *(const int64_t *)field);
}

static void print_strings(const void *field, struct buf *b)
{
	const struct config_strings *s = field;
	buf_addc(b, '[');
	for (size_t i = 0; i < s->n; i++) {
		buf_adds(b, i ? ", " : "");
		buf_json_string(b, str_of(s->at[i]));
	}
	buf_addc(b, ']');
}

static void print_map(const void *field, struct buf *b)
{
	const struct config_map *m = field;
	buf_addc(b, '{');
	for (size_t i = 0; i < m->n; i++) {
		buf_adds(b, i ? ", " : "");
		buf_json_string(b, str_of(m->at[i].key));
		buf_adds(b, ": ");
		buf_json_string(b, str_of(m->at[i].value));
	}
	buf_addc(b, '}');
}

static const struct type {
	const char *name, *expected;
	size_t size;
	bool (*parse)(struct arena *a, struct str s, union config_value *ret);
	void (*print)(const void *field, struct buf *b);
} TYPES[] = {
	[CONFIG_STRING] = {"text", "a text", sizeof(char *), parse_string, print_string},
	[CONFIG_INT] = {"integer", "an integer", sizeof(int64_t), parse_int, print_int},
	[CONFIG_BOOL] = {"boolean", "true or false", sizeof(bool), parse_bool, print_bool},
	[CONFIG_DOUBLE] = {"number", "a number", sizeof(double), parse_double, print_double},
	[CONFIG_DURATION] = {"duration", "a duration with its unit, such as 500ms, 30s or 1h30m", sizeof(int64_t),
			     parse_duration, print_duration},
	[CONFIG_SIZE] = {"size", "a size such as 1024, 10M, 500Mi or 1Gi", sizeof(int64_t), parse_size, print_size},
	[CONFIG_STRINGS] = {"list", "a list of texts", sizeof(struct config_strings), parse_strings, print_strings},
	[CONFIG_MAP] = {"map", "a map of texts (in the environment key=value,key=value)", sizeof(struct config_map),
			parse_map, print_map},
	[CONFIG_TREE] = {"tree", "a map of texts and maps (in the environment a.b=value,a.c=value)",
			 sizeof(struct config_map), parse_map, print_map},
};

const char *config_type_name(enum config_type type)
{
	return TYPES[type].name;
}

static void add_bound(const struct config_key *k, int64_t bound, struct buf *b)
{
	if (k->type == CONFIG_DURATION)
		duration_add(b, bound);
	else if (k->type == CONFIG_SIZE)
		quantity_add(b, bound);
	else
		buf_printf(b, "%lld", (long long)bound);
}

void config_expected(const struct config_key *k, struct buf *b)
{
	buf_adds(b, TYPES[k->type].expected);
	if (!k->min && !k->max)
		return;
	buf_adds(b, k->max == INT64_MAX ? ", at least " : ", from ");
	add_bound(k, k->min, b);
	if (k->max == INT64_MAX)
		return;
	buf_adds(b, " to ");
	add_bound(k, k->max, b);
}

static bool in_bounds(const struct config_key *k, const union config_value *v)
{
	if (!k->min && !k->max)
		return true;
	if (k->type == CONFIG_DOUBLE)
		return v->fraction >= (double)k->min && v->fraction <= (double)k->max;
	if (k->type == CONFIG_INT || k->type == CONFIG_DURATION || k->type == CONFIG_SIZE)
		return v->number >= k->min && v->number <= k->max;
	return true;
}

bool config_value_of_text(struct arena *a, const struct config_key *k, const char *text, union config_value *ret)
{
	return TYPES[k->type].parse(a, str_of(text), ret) && in_bounds(k, ret);
}

/* Of Flyte's lists of {id, name} (domains) the ids count. */
static const char *text_of_item(struct node *n)
{
	const struct node *id = n->kind == NODE_MAP ? node_child(n, STR("id")) : n;
	return id && id->kind == NODE_SCALAR ? id->text : NULL;
}

static const struct node *strings_of_list(struct arena *a, const struct node *n, union config_value *ret)
{
	size_t count = 0;
	for (struct node *c = n->children; c; c = c->next, count++)
		if (!text_of_item(c))
			return c;
	ret->strings = (struct config_strings){.at = arena_array(a, const char *, count), .n = count};
	count = 0;
	for (struct node *c = n->children; c; c = c->next)
		ret->strings.at[count++] = text_of_item(c);
	return NULL;
}

/* Flyte also writes maps as lists of maps, because viper lowers the keys of maps. */
static const struct node *add_to_map(struct arena *a, const struct node *n, struct config_map *m)
{
	const struct node *bad = NULL;
	if (n->kind == NODE_LIST) {
		for (const struct node *c = n->children; c && !bad; c = c->next)
			bad = add_to_map(a, c, m);
		return bad;
	}
	if (n->kind != NODE_MAP)
		return n;
	size_t count = 0;
	for (const struct node *c = n->children; c; c = c->next, count++)
		if (c->kind != NODE_SCALAR && c->kind != NODE_NULL)
			return c;
	map_grow(a, m, count);
	for (const struct node *c = n->children; c; c = c->next)
		map_set(m, c->key, c->text);
	return NULL;
}

static const char *text_of_list(struct arena *a, const struct node *n)
{
	const char *text = "";

	for (const struct node *c = n->children; c; c = c->next) {
		if (c->kind != NODE_SCALAR)
			return NULL;
		text = arena_printf(a, "%s%s%s", text, *text ? "," : "", c->text);
	}
	return text;
}

static const struct node *add_to_tree(struct arena *a, const char *prefix, const struct node *n, struct config_map *m)
{
	const char *list = n->kind == NODE_LIST ? text_of_list(a, n) : NULL;
	bool inner = n->kind == NODE_MAP || (n->kind == NODE_LIST && !list);
	const struct node *bad = NULL;

	for (const struct node *c = inner ? n->children : NULL; c && !bad; c = c->next) {
		const char *path = !c->key ? prefix : *prefix ? arena_printf(a, "%s.%s", prefix, c->key) : c->key;
		bad = !c->key && c->kind != NODE_MAP ? c : add_to_tree(a, path, c, m);
	}
	if (inner || n->kind == NODE_NULL)
		return bad;
	if (!*prefix)
		return n;
	map_grow(a, m, 1);
	map_set(m, prefix, list ? list : n->text);
	return NULL;
}

static const struct node *tree_of_nodes(struct arena *a, struct node *const *nodes, size_t n, union config_value *ret)
{
	const struct node *bad = NULL;

	ret->map = (struct config_map){0};
	for (size_t i = 0; i < n && !bad; i++)
		bad = add_to_tree(a, "", nodes[i], &ret->map);
	return bad;
}

static const struct node *map_of_nodes(struct arena *a, struct node *const *nodes, size_t n, union config_value *ret)
{
	ret->map = (struct config_map){0};
	for (size_t i = 0; i < n; i++) {
		const struct node *bad = add_to_map(a, nodes[i], &ret->map);
		if (bad)
			return bad;
	}
	return NULL;
}

const struct node *config_value_of_nodes(struct arena *a, const struct config_key *k, struct node *const *nodes,
					 size_t n, union config_value *ret)
{
	struct node *last = nodes[n - 1];
	if (k->type == CONFIG_MAP)
		return map_of_nodes(a, nodes, n, ret);
	if (k->type == CONFIG_TREE)
		return tree_of_nodes(a, nodes, n, ret);
	if (k->type == CONFIG_STRINGS && last->kind == NODE_LIST)
		return strings_of_list(a, last, ret);
	if (k->type == CONFIG_DURATION && last->kind == NODE_MAP) {
		struct node *inner = node_child(last, STR("duration"));
		last = inner && !last->children->next ? inner : last;
	}
	return last->kind == NODE_SCALAR && config_value_of_text(a, k, last->text, ret) ? NULL : last;
}

void config_value_store(const struct config_key *k, void *target, const union config_value *v)
{
	memcpy((char *)target + k->offset, v, TYPES[k->type].size);
}

void config_value_print(const struct config_key *k, const void *target, struct buf *b)
{
	TYPES[k->type].print((const char *)target + k->offset, b);
}
