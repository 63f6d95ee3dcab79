/* YAML to a tree that remembers lines; libyaml composes, aliases are copied out. */
#include <errno.h>
#include <stdio.h>
#include <yaml.h>

#include "private.h"

enum {
	MAX_FILE_BYTES = 16 * 1024 * 1024,
	MAX_NODES = 200000, /* aliases of aliases multiply */
	MAX_DEPTH = 100,
};

struct reader {
	struct arena *arena;
	const char *file;
	struct problems *problems;
	yaml_document_t *document;
	size_t n_nodes;
	bool given_up;
};

void problems_add(struct problems *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (p->n++)
		buf_addc(&p->text, '\n');
	buf_vprintf(&p->text, fmt, ap);
	va_end(ap);
}

struct node *node_child(struct node *n, struct str name)
{
	struct node *found = NULL;
	for (struct node *c = n && n->kind == NODE_MAP ? n->children : NULL; c; c = c->next)
		if (strlen(c->key) == name.len && strncasecmp(c->key, name.ptr, name.len) == 0)
			found = c;
	return found;
}

static struct node *exact_child(struct node *n, const char *key)
{
	for (struct node *c = n->children; c; c = c->next)
		if (strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

static void append(struct node *parent, struct node *child)
{
	struct node **at = &parent->children;
	while (*at)
		at = &(*at)->next;
	*at = child;
}

static bool is_null(const yaml_node_t *y)
{
	static const char *const NULLS[] = {"", "~", "null", "Null", "NULL"};
	if (y->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(NULLS); i++)
		if (strcmp((const char *)y->data.scalar.value, NULLS[i]) == 0)
			return true;
	return false;
}

static struct node *read_node(struct reader *r, int index, int depth);

static void read_scalar(struct reader *r, const yaml_node_t *y, struct node *n)
{
	const char *text = (const char *)y->data.scalar.value;
	if (strlen(text) != y->data.scalar.length)
		problems_add(r->problems, "%s:%zu: a NUL character in a text", r->file, n->line);
	n->kind = is_null(y) ? NODE_NULL : NODE_SCALAR;
	n->text = arena_strdup(r->arena, text);
}

static void read_list(struct reader *r, const yaml_node_t *y, struct node *n, int depth)
{
	n->kind = NODE_LIST;
	struct node **at = &n->children;
	for (yaml_node_item_t *i = y->data.sequence.items.start; i < y->data.sequence.items.top; i++) {
		*at = read_node(r, *i, depth + 1);
		if (!*at)
			return;
		at = &(*at)->next;
	}
}

/* "<<": what the map at hand does not say itself. */
static void merge_defaults(struct reader *r, struct node *n, const struct node *from)
{
	if (from->kind == NODE_LIST) {
		for (const struct node *each = from->children; each; each = each->next)
			if (each->kind == NODE_MAP)
				merge_defaults(r, n, each);
		return;
	}
	if (from->kind != NODE_MAP)
		problems_add(r->problems, "%s:%zu: <<: expected a map or a list of maps", r->file, from->line);
	for (const struct node *c = from->kind == NODE_MAP ? from->children : NULL; c; c = c->next) {
		if (exact_child(n, c->key))
			continue;
		struct node *copy = arena_dup(r->arena, c, sizeof *c);
		copy->next = NULL;
		append(n, copy);
	}
}

static void read_map(struct reader *r, const yaml_node_t *y, struct node *n, int depth)
{
	struct node *defaults = NULL;
	n->kind = NODE_MAP;
	for (yaml_node_pair_t *p = y->data.mapping.pairs.start; p < y->data.mapping.pairs.top; p++) {
		const struct node *key = read_node(r, p->key, depth + 1);
		struct node *value = key ? read_node(r, p->value, depth + 1) : NULL;
		if (!value)
			return;
		if (key->kind != NODE_SCALAR && key->kind != NODE_NULL) {
			problems_add(r->problems, "%s:%zu: a key must be a text", r->file, key->line);
			continue;
		}
		value->key = key->text;
		value->line = key->line;
		const struct node *twin = exact_child(n, key->text);
		if (strcmp(key->text, "<<") == 0)
			defaults = value;
		else if (twin)
			problems_add(r->problems, "%s:%zu: %s: stands in line %zu already", r->file, key->line,
				     key->text, twin->line);
		else
			append(n, value);
	}
	if (defaults)
		merge_defaults(r, n, defaults);
}

/* NULL once the document proved too large. */
static struct node *read_node(struct reader *r, int index, int depth)
{
	const yaml_node_t *y = yaml_document_get_node(r->document, index);
	size_t line = y->start_mark.line + 1;
	if (r->given_up)
		return NULL;
	if (depth > MAX_DEPTH || ++r->n_nodes > MAX_NODES) {
		r->given_up = true;
		problems_add(r->problems, "%s:%zu: nested too deeply or too large (an alias of itself?)", r->file,
			     line);
		return NULL;
	}
	struct node *n = arena_new_of(r->arena, struct node);
	n->file = r->file;
	n->line = line;
	switch (y->type) {
	case YAML_SCALAR_NODE: read_scalar(r, y, n); break;
	case YAML_SEQUENCE_NODE: read_list(r, y, n, depth); break;
	case YAML_MAPPING_NODE: read_map(r, y, n, depth); break;
	case YAML_NO_NODE: break;
	}
	return n;
}

/* Does the text's line (from 0) have a tab among its leading blanks? */
static bool indented_by_tab(struct str text, size_t line)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	for (; line && p < end; line--) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		p = nl ? nl + 1 : end;
	}
	while (p < end && *p == ' ')
		p++;
	return p < end && *p == '\t';
}

static size_t line_at(struct str text, size_t offset)
{
	size_t line = 1;
	for (size_t i = 0; i < offset && i < text.len; i++)
		line += text.ptr[i] == '\n';
	return line;
}

static void tell_parser_error(const yaml_parser_t *y, const char *file, struct str text, struct problems *p)
{
	const char *problem = y->problem ? y->problem : "not YAML";
	size_t line = y->problem_mark.line;
	if (y->error == YAML_READER_ERROR)
		problems_add(p, "%s:%zu: %s", file, line_at(text, y->problem_offset), problem);
	else if (indented_by_tab(text, line))
		problems_add(p, "%s:%zu: a tab in the indentation; YAML wants blanks", file, line + 1);
	else if (y->context && y->context_mark.line != line)
		problems_add(p, "%s:%zu: %s (%s of line %zu)", file, line + 1, problem, y->context,
			     y->context_mark.line + 1);
	else
		problems_add(p, "%s:%zu: %s", file, line + 1, problem);
}

/* Whether nothing but the end follows. */
static void refuse_second(yaml_parser_t *parser, const char *file, struct str text, struct problems *p)
{
	yaml_document_t d;
	if (!yaml_parser_load(parser, &d)) {
		tell_parser_error(parser, file, text, p);
		return;
	}
	if (yaml_document_get_root_node(&d))
		problems_add(p, "%s:%zu: a second document; one file holds one", file, d.start_mark.line + 1);
	yaml_document_delete(&d);
}

void config_parse_text(struct arena *a, const char *name, struct str text, struct problems *p, struct node **ret)
{
	yaml_parser_t parser;
	yaml_document_t document;
	*ret = NULL;
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
	if (!yaml_parser_load(&parser, &document)) {
		tell_parser_error(&parser, name, text, p);
		yaml_parser_delete(&parser);
		return;
	}
	if (yaml_document_get_root_node(&document)) {
		struct reader r = {.arena = a, .file = name, .problems = p, .document = &document};
		*ret = read_node(&r, 1, 0);
		refuse_second(&parser, name, text, p);
	}
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
}

static enum code read_file(const char *file, struct buf *ret, struct problems *p)
{
	FILE *f = fopen(file, "re");
	if (!f) {
		problems_add(p, "%s: %s", file, strerror(errno));
		return NOT_FOUND;
	}
	ret->limit = MAX_FILE_BYTES;
	size_t n = 1;
	while (n) {
		char *to = buf_reserve(ret, 64 * 1024);
		n = to ? fread(to, 1, 64 * 1024, f) : 0;
		buf_commit(ret, n);
	}
	enum code c = ferror(f) || ret->failed ? INVALID_ARGUMENT : OK;
	if (c)
		problems_add(p, "%s: %s", file, ret->failed ? "larger than 16 MiB" : strerror(errno));
	fclose(f);
	return c;
}

enum code config_parse_file(struct arena *a, const char *file, struct problems *p, struct node **ret)
{
	auto_buf struct buf text = {0};
	enum code c = read_file(file, &text, p);
	if (c)
		return c;
	config_parse_text(a, file, buf_str(&text), p, ret);
	if (*ret && (*ret)->kind != NODE_MAP && (*ret)->kind != NODE_NULL) {
		problems_add(p, "%s:%zu: expected keys at the top, \"key: value\"", file, (*ret)->line);
		*ret = NULL;
	}
	return OK;
}
