/* Files, environment and defaults into the service's struct: all values first, then all at once. */
#include "private.h"

struct loading {
	struct config *config;
	struct problems *problems;
};

static struct node *find(struct node *file, const char *path)
{
	struct str rest = str_of(path);
	struct node *at = file;
	while (rest.ptr && at)
		at = node_child(at, str_cut(&rest, '.'));
	return at && at->kind != NODE_NULL ? at : NULL;
}

/* True if a file has the key. */
static bool from_files(struct loading *l, const struct config_key *k, union config_value *ret)
{
	VEC(struct node *) found = {0};
	for (size_t i = 0; i < l->config->n_files; i++) {
		struct node *at = find(l->config->files[i], k->path);
		if (at)
			vec_push(&found, at);
	}
	if (!found.n)
		return false;
	const struct node *bad = config_value_of_nodes(l->config->arena, k, found.at, found.n, ret);
	if (bad) {
		auto_buf struct buf expected = {0};
		config_expected(k, &expected);
		problems_add(l->problems, "%s:%zu: %s: expected %s%s%s%s", bad->file, bad->line, k->path,
			     buf_text(&expected), bad->kind == NODE_SCALAR ? ", not \"" : "",
			     bad->kind == NODE_SCALAR ? bad->text : "", bad->kind == NODE_SCALAR ? "\"" : "");
	}
	vec_free(&found);
	return true;
}

static bool from_variable(struct loading *l, const struct config_key *k, const char *name, union config_value *ret)
{
	const char *text = name ? getenv(name) : NULL;
	bool may_be_empty = k->type == CONFIG_STRING || k->type == CONFIG_STRINGS || k->type == CONFIG_MAP ||
			    k->type == CONFIG_TREE;
	if (!text || (!*text && !may_be_empty))
		return false;
	if (!config_value_of_text(l->config->arena, k, text, ret)) {
		auto_buf struct buf expected = {0};
		config_expected(k, &expected);
		problems_add(l->problems, "environment %s (%s): expected %s, not \"%s\"", name, k->path,
			     buf_text(&expected), text);
	}
	return true;
}

static bool from_environment(struct loading *l, const struct config_key *k, union config_value *ret)
{
	auto_buf struct buf name = {0};
	config_env_name(k, &name);
	return from_variable(l, k, buf_text(&name), ret) || from_variable(l, k, k->env, ret);
}

/* Lists and maps may be written as YAML; their lines are the table's. */
static void from_default(struct loading *l, const struct config_key *k, union config_value *ret)
{
	const char *text = k->default_value;
	memset(ret, 0, sizeof *ret);
	if (k->type == CONFIG_STRING && !text)
		ret->string = "";
	if (!text)
		return;
	if (*text == '[' || *text == '{') {
		struct node *n;
		config_parse_text(l->config->arena, "default", str_of(text), l->problems, &n);
		if (n && !config_value_of_nodes(l->config->arena, k, &n, 1, ret))
			return;
	} else if (config_value_of_text(l->config->arena, k, text, ret)) {
		return;
	}
	problems_add(l->problems, "default of %s: \"%s\" does not fit its type and bounds", k->path, text);
}

static void apply(struct loading *l, const struct config_key **keys, size_t n, void *target)
{
	auto_mem union config_value *values = x_calloc(n + 1, sizeof *values);
	for (size_t i = 0; i < n; i++)
		if (!from_environment(l, keys[i], &values[i]) && !from_files(l, keys[i], &values[i]))
			from_default(l, keys[i], &values[i]);
	if (l->problems->n)
		return;
	for (size_t i = 0; i < n; i++)
		config_value_store(keys[i], target, &values[i]);
}

enum code config_load(const struct config_key *const *tables, const char *const *files, size_t n_files, void *target,
		      struct config **ret, struct err *err)
{
	auto_free(config_free) struct config *c = x_calloc(1, sizeof *c);
	c->arena = arena_new(0);
	c->n_files = n_files;
	c->files = arena_array(c->arena, struct node *, n_files);
	struct problems problems = {0};
	enum code code = OK;
	for (size_t i = 0; i < n_files; i++) {
		enum code one = config_parse_file(c->arena, arena_strdup(c->arena, files[i]), &problems, &c->files[i]);
		code = code ? code : one;
	}
	size_t n;
	auto_mem const struct config_key **keys = config_keys(tables, &n);
	config_check_keys(c, keys, n, &problems);
	apply(&(struct loading){c, &problems}, keys, n, target);
	if (problems.n)
		code = err_set(err, code ? code : INVALID_ARGUMENT, "%s", buf_text(&problems.text));
	buf_clear(&problems.text);
	if (!code)
		*ret = take(c);
	return code;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	vec_free(&c->warnings);
	arena_free(c->arena);
	free(c);
}

size_t config_warnings(const struct config *c, const char *const **ret)
{
	*ret = c->warnings.at;
	return c->warnings.n;
}
