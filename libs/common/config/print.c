/* The effective configuration as YAML, and the keys' documentation as Markdown. */
#include "private.h"

static bool is_secret(const char *path)
{
	static const char *const ENDS[] = {"password", "secret", "token", "dsn"};
	for (size_t i = 0; i < ARRAY_SIZE(ENDS); i++)
		if (str_ends(str_of(path), ENDS[i]))
			return true;
	return false;
}

/* Bytes of the sections that two paths share, with the point. */
static size_t shared_sections(const char *a, const char *b)
{
	size_t shared = 0;
	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '.')
			shared = i + 1;
	return shared;
}

/* Opens the sections of `path` behind its first `from` bytes; returns the key's own name. */
static const char *open_sections(const char *path, size_t from, struct buf *b, int *ret_depth)
{
	struct str rest = str_of(path);
	*ret_depth = 0;
	for (;;) {
		const char *start = rest.ptr;
		struct str name = str_cut(&rest, '.');
		if (!rest.ptr)
			return name.ptr;
		if ((size_t)(start - path) >= from)
			buf_printf(b, "%*s%.*s:\n", *ret_depth * 2, "", STR_ARG(name));
		++*ret_depth;
	}
}

void config_dump(const struct config_key *const *tables, const void *target, struct buf *b)
{
	size_t n;
	auto_mem const struct config_key **keys = config_keys(tables, &n);
	for (size_t i = 0; i < n; i++) {
		int depth;
		size_t shared = i ? shared_sections(keys[i - 1]->path, keys[i]->path) : 0;
		const char *name = open_sections(keys[i]->path, shared, b, &depth);
		auto_buf struct buf value = {0};
		config_value_print(keys[i], target, &value);
		bool masked = is_secret(keys[i]->path) && strcmp(buf_text(&value), "\"\"") != 0;
		buf_printf(b, "%*s%s: %s\n", depth * 2, "", name, masked ? "\"***\"" : buf_text(&value));
	}
}

/* A cell: bars would end it. */
static void add_cell(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			buf_addc(b, '\\');
		buf_addc(b, *s == '\n' ? ' ' : *s);
	}
}

static void add_default(const struct config_key *k, struct buf *b)
{
	if (!k->default_value || !*k->default_value)
		return;
	buf_addc(b, '`');
	add_cell(b, k->default_value);
	buf_addc(b, '`');
}

static void add_row(const struct config_key *k, struct buf *b)
{
	auto_buf struct buf expected = {0};
	config_expected(k, &expected);
	const char *bounds = k->min || k->max ? strrchr(buf_text(&expected), ',') : NULL;
	buf_printf(b, "| `%s` | %s", k->path, config_type_name(k->type));
	if (k->unit)
		buf_printf(b, " (%s)", k->unit);
	buf_printf(b, "%s | ", bounds ? bounds : "");
	add_default(k, b);
	buf_adds(b, " | `");
	config_env_name(k, b);
	buf_adds(b, k->env ? "`, `" : "");
	buf_adds(b, k->env ? k->env : "");
	buf_adds(b, "` | ");
	add_cell(b, k->text ? k->text : "");
	buf_adds(b, " |\n");
}

void config_docs(const char *service, const struct config_key *const *tables, struct buf *b)
{
	size_t n;
	auto_mem const struct config_key **keys = config_keys(tables, &n);
	buf_printf(
		b,
		"# Configuration of alula-%s\n\n"
		"Written by `make docs` from the daemon's own table; `alula-%s --docs` prints the same.\n\n"
		"Keys stand in YAML files (`--config FILE`, repeatable: later files win, maps are merged), sections "
		"nested: `server.grpc.port` is `port` in `grpc` in `server`. Case does not matter. The variable of the "
		"environment wins over the files. `--dump-config` prints what is in force, `--check` what is wrong.\n\n"
		"| Key | Type | Default | Environment | What it does |\n"
		"|---|---|---|---|---|\n",
		service, service);
	for (size_t i = 0; i < n; i++)
		add_row(keys[i], b);
}
