/* A tree of path segments over all rules of all services.
 * Source: google/api/http.proto, "Path template syntax"; no rule of Flyte's has a verb after a colon. */
#include <assert.h>

#include "gateway/private.h"

struct literal {
	char *text;
	struct route_node *node;
};

struct route_node {
	VEC(struct literal) literals;
	struct route_node *any; /* behind a segment of a variable */
	struct rule *rules;     /* of paths that end here */
	struct rule *rest;      /* of paths that end with ** here */
};

bool path_split(const char *text, struct arena *a, struct path *ret)
{
	struct str rest = str_of(text + (text[0] == '/'));
	for (ret->n = 0; rest.ptr; ret->n++) {
		if (ret->n == MAX_SEGMENTS)
			return false;
		struct str segment = str_cut(&rest, '/');
		if (segment.len && memchr(segment.ptr, '%', segment.len)) {
			auto_buf struct buf b = {0};
			if (!url_decode(&b, segment))
				return false;
			segment = (struct str){arena_strndup(a, b.data, b.len), b.len};
		}
		ret->at[ret->n] = segment;
	}
	return true;
}

struct str capture_text(const struct capture *c, const struct path *path, struct arena *a)
{
	if (c->n == 1)
		return path->at[c->first];
	size_t last = c->n == SIZE_MAX ? path->n - 1 : c->first + c->n - 1;
	auto_buf struct buf b = {0};
	for (size_t i = c->first; i < path->n && i <= last; i++) {
		if (i > c->first)
			buf_addc(&b, '/');
		buf_add_str(&b, path->at[i]);
	}
	return (struct str){arena_strndup(a, buf_text(&b), b.len), b.len};
}

struct route_node *routes_new(void)
{
	return x_calloc(1, sizeof(struct route_node));
}

static void rules_free(struct rule *r)
{
	for (struct rule *next; r; r = next) {
		next = r->next;
		free(r->captures);
		free(r);
	}
}

void routes_free(struct route_node *n)
{
	if (!n)
		return;
	vec_each (struct literal *, l, &n->literals) {
		free(l->text);
		routes_free(l->node);
	}
	vec_free(&n->literals);
	routes_free(n->any);
	rules_free(n->rules);
	rules_free(n->rest);
	free(n);
}

static struct route_node *below_literal(const struct route_node *n, struct str text)
{
	vec_each (const struct literal *, l, &n->literals)
		if (str_is(text, l->text))
			return l->node;
	return NULL;
}

/* The node behind one segment of a template. */
static struct route_node *grow(struct route_node *n, struct str segment)
{
	if (str_is(segment, "*"))
		return n->any = n->any ? n->any : routes_new();
	struct route_node *below = below_literal(n, segment);
	if (!below) {
		below = routes_new();
		vec_push(&n->literals, (struct literal){x_strndup(segment.ptr, segment.len), below});
	}
	return below;
}

/* Follow several segments of a template; true after "**", which ends it. */
static bool grow_all(struct route_node **n, struct str segments, size_t *count)
{
	while (segments.ptr) {
		struct str segment = str_cut(&segments, '/');
		if (str_is(segment, "**"))
			return true;
		*n = grow(*n, segment);
		++*count;
	}
	return false;
}

/* Up to the slash that follows; not those within braces. */
static struct str next_part(struct str *rest)
{
	if (rest->len && rest->ptr[0] == '{') {
		const char *close = memchr(rest->ptr, '}', rest->len);
		assert(close && "a template's brace is not closed");
		struct str part = {rest->ptr, (size_t)(close + 1 - rest->ptr)};
		struct str after = {part.ptr + part.len, rest->len - part.len};
		*rest = after.len ? (struct str){after.ptr + 1, after.len - 1} : (struct str){0};
		return part;
	}
	return str_cut(rest, '/');
}

static struct capture *add_capture(struct rule *rule, struct str field, size_t first)
{
	rule->captures = x_realloc(rule->captures, (rule->n_captures + 1) * sizeof *rule->captures);
	struct capture *c = &rule->captures[rule->n_captures++];
	*c = (struct capture){.field = field, .first = first};
	return c;
}

static void add_template(struct route_node *n, struct rule *rule)
{
	struct str rest = str_of(rule->route->path + 1);
	bool open_end = false;
	for (size_t at = 0; rest.ptr && !open_end;) {
		struct str part = next_part(&rest);
		assert(!memchr(part.ptr, ':', part.len) && "verbs after a colon are not served");
		if (part.ptr[0] != '{') {
			open_end = grow_all(&n, part, &at);
			continue;
		}
		struct str pattern = {part.ptr + 1, part.len - 2};
		struct str field = str_cut(&pattern, '=');
		struct capture *c = add_capture(rule, field, at);
		open_end = grow_all(&n, pattern.ptr ? pattern : STR("*"), &at);
		c->n = open_end ? SIZE_MAX : at - c->first;
	}
	struct rule **list = open_end ? &n->rest : &n->rules;
	rule->next = *list;
	*list = rule;
}

static const ProtobufCFieldDescriptor *message_field(const ProtobufCMessageDescriptor *desc, const char *name)
{
	if (!*name || strcmp(name, "*") == 0)
		return NULL;
	const ProtobufCFieldDescriptor *f = json_field(desc, str_of(name));
	assert(f && f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED &&
	       !(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && "a rule's body is no plain message field");
	return f;
}

void routes_add(struct route_node *root, const struct pb_method *method, const struct api_method *target,
		const struct pb_route *route)
{
	struct rule *rule = x_calloc(1, sizeof *rule);
	rule->method = method;
	rule->target = target;
	rule->route = route;
	rule->body = message_field(method->in, route->body);
	rule->response_body = message_field(method->out, route->response_body);
	add_template(root, rule);
}

static const struct rule *with_verb(const struct rule *r, const char *verb)
{
	while (r && verb && strcmp(r->route->verb, verb) != 0)
		r = r->next;
	return r;
}

static const struct rule *find(const struct route_node *n, const char *verb, const struct path *path, size_t at)
{
	const struct rule *found = NULL;
	if (at == path->n)
		found = with_verb(n->rules, verb);
	else {
		const struct route_node *below = below_literal(n, path->at[at]);
		if (below)
			found = find(below, verb, path, at + 1);
		if (!found && n->any)
			found = find(n->any, verb, path, at + 1);
	}
	return found ? found : with_verb(n->rest, verb);
}

const struct rule *routes_find(const struct route_node *root, const char *verb, const struct path *path)
{
	return find(root, verb, path, 0);
}
