#include "executors/copilot.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "flyte/pod.h"
#include "flyte/template.h"
#include "flyte/types.h"
#include "pb/pb.h"

enum { MAX_PRIMITIVE_BYTES = 1024, MAX_ERROR_BYTES = 1 << 20, MAX_BLOB_BYTES = 1 << 30 };

#define ERROR_FILE "_ERROR"

/* ---- names of directories ---- */

/* `from` in `text` becomes `to`, where a whole part of a path begins and ends. */
static const char *replaced(const char *text, const char *from, const char *to, struct arena *a)
{
	auto_buf struct buf b = {0};
	size_t n = strlen(from);
	const char *p = text, *found;

	while (n > 1 && (found = strstr(p, from))) {
		char next = found[n];
		bool whole = !next || !(isalnum((unsigned char)next) || next == '_' || next == '-' || next == '.');
		buf_add(&b, p, (size_t)(found - p));
		buf_adds(&b, whole ? to : from);
		p = found + n;
	}
	if (p == text)
		return text;
	buf_adds(&b, p);
	return arena_strndup(a, buf_text(&b), b.len);
}

static void replace_all(const char **texts, size_t n, const char *from, const char *to, struct arena *a)
{
	for (size_t i = 0; i < n; i++)
		texts[i] = replaced(texts[i], from, to, a);
}

struct copilot copilot_of(const CoreTaskTemplate *task, const char *dir, struct arena *a)
{
	const CoreContainer *container = NULL;

	if (task_container(task, a, &container, NULL) != OK || !container->data_config ||
	    !container->data_config->enabled)
		return (struct copilot){0};
	return (struct copilot){container->data_config, arena_printf(a, "%s/inputs", dir),
				arena_printf(a, "%s/outputs", dir)};
}

void copilot_rename(const struct copilot *c, struct task_spec *spec, struct arena *a)
{
	if (!c->config)
		return;
	const struct {
		const char *from, *standard, *to;
	} both[] = {{c->config->input_path, "/var/flyte/inputs", c->inputs},
		    {c->config->output_path, "/var/flyte/outputs", c->outputs}};
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		const char *from = *both[i].from ? both[i].from : both[i].standard;
		replace_all(spec->argv, spec->argc, from, both[i].to, a);
		replace_all(spec->env, spec->n_env, from, both[i].to, a);
	}
}

/* ---- inputs ---- */

static enum code fail(struct err *err, const char *what, const char *path)
{
	return err_set(err, INTERNAL, "%s %s: %s", what, path, strerror(errno));
}

static bool is_plain(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static enum code write_file(const char *dir, const char *name, struct str data, struct err *err)
{
	auto_mem char *path = x_printf("%s/%s", dir, name);
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, data.ptr, data.len) != (ssize_t)data.len)
		return fail(err, "cannot write", path);
	return OK;
}

static const char *blob_uri(const CoreLiteral *l)
{
	const CoreScalar *s = l->value_case == CORE_LITERAL_VALUE_SCALAR ? l->scalar : NULL;

	return s && s->value_case == CORE_SCALAR_VALUE_BLOB ? s->blob->uri : NULL;
}

static bool is_text(const CoreLiteral *l)
{
	const CoreScalar *s = l->value_case == CORE_LITERAL_VALUE_SCALAR ? l->scalar : NULL;
	const CorePrimitive *p = s && s->value_case == CORE_SCALAR_VALUE_PRIMITIVE ? s->primitive : NULL;

	return !p || p->value_case == CORE_PRIMITIVE_VALUE_STRING_VALUE ||
	       p->value_case == CORE_PRIMITIVE_VALUE_DATETIME || p->value_case == CORE_PRIMITIVE_VALUE_DURATION;
}

/* A link to the blob: it is a file or a directory of this machine. */
static enum code lay_blob(const char *dir, const char *name, const char *uri, struct err *err)
{
	auto_mem char *path = x_printf("%s/%s", dir, name);

	if (*uri != '/')
		return err_set(err, INVALID_ARGUMENT, "input %s: %s is no file of this machine", name, uri);
	return symlink(uri, path) == 0 ? OK : fail(err, "cannot make", path);
}

static enum code lay_one(const struct copilot *c, const CoreLiteralMap *inputs, size_t i, struct arena *a,
			 struct buf *json, struct err *err)
{
	const char *name = inputs->literals[i]->key, *text = NULL;
	const CoreLiteral *l = inputs->literals[i]->value;

	if (!is_plain(name) || !l)
		return err_set(err, INVALID_ARGUMENT, "input %s cannot be a file", name);
	buf_adds(json, i ? ", " : "");
	buf_json_string(json, str_of(name));
	buf_adds(json, ": ");
	if (blob_uri(l)) {
		buf_json_string(json, str_of(arena_printf(a, "%s/%s", c->inputs, name)));
		return lay_blob(c->inputs, name, blob_uri(l), err);
	}
	struct template_values v = {.inputs = inputs};
	enum code code = template_render(arena_printf(a, "{{.inputs.%s}}", name), &v, a, &text, err);
	if (code)
		return code;
	if (is_text(l))
		buf_json_string(json, str_of(text));
	else
		buf_adds(json, text);
	return write_file(c->inputs, name, str_of(text), err);
}

enum code copilot_lay_inputs(const struct copilot *c, const CoreLiteralMap *inputs, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(0);
	auto_buf struct buf json = {0};
	enum code code = OK;

	if (mkdir(c->inputs, 0755) != 0 || mkdir(c->outputs, 0755) != 0)
		return fail(err, "cannot make", c->inputs);
	buf_addc(&json, '{');
	for (size_t i = 0; !code && i < inputs->n_literals; i++)
		code = lay_one(c, inputs, i, a, &json, err);
	buf_addc(&json, '}');
	if (!code && c->config->format == CORE_DATA_LOADING_CONFIG_LITERAL_MAP_FORMAT_PROTO)
		return write_file(c->inputs, "inputs.pb", pb_pack(inputs, a), err);
	/* JSON is YAML too. */
	bool yaml = c->config->format == CORE_DATA_LOADING_CONFIG_LITERAL_MAP_FORMAT_YAML;
	return code ? code : write_file(c->inputs, yaml ? "inputs.yaml" : "inputs.json", buf_str(&json), err);
}

/* ---- outputs ---- */

/* The file's text; NOT_FOUND if it is not there. */
static enum code read_file(const char *path, size_t max, struct buf *ret, struct err *err)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return NOT_FOUND;
	if (fd < 0 || fstat(fd, &st) != 0)
		return fail(err, "cannot read", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, INVALID_ARGUMENT, "%s is no file", path);
	if ((size_t)st.st_size > max)
		return err_set(err, INVALID_ARGUMENT, "%s: maximum allowed filesize is [%zu], but found [%lld]", path,
			       max, (long long)st.st_size);
	for (ssize_t n; (n = read(fd, buf_reserve(ret, 65536), 65536)) > 0;)
		buf_commit(ret, (size_t)n);
	return OK;
}

static bool set_primitive(CorePrimitive *p, CoreSimpleType type, struct str text, struct arena *a)
{
	struct str trimmed = str_trim(text);
	int64_t us;

	switch (type) {
	case CORE_SIMPLE_TYPE_STRING:
		p->value_case = CORE_PRIMITIVE_VALUE_STRING_VALUE;
		p->string_value = arena_strndup(a, text.ptr, text.len);
		return true;
	case CORE_SIMPLE_TYPE_INTEGER:
		p->value_case = CORE_PRIMITIVE_VALUE_INTEGER;
		return str_to_i64(trimmed, &p->integer);
	case CORE_SIMPLE_TYPE_FLOAT:
		p->value_case = CORE_PRIMITIVE_VALUE_FLOAT_VALUE;
		return str_to_double(trimmed, &p->float_value);
	case CORE_SIMPLE_TYPE_BOOLEAN:
		p->value_case = CORE_PRIMITIVE_VALUE_BOOLEAN;
		p->boolean = str_is(trimmed, "true") || str_is(trimmed, "True") || str_is(trimmed, "TRUE") ||
			     str_is(trimmed, "t") || str_is(trimmed, "T") || str_is(trimmed, "1");
		return p->boolean || str_is(trimmed, "false") || str_is(trimmed, "False") || str_is(trimmed, "FALSE") ||
		       str_is(trimmed, "f") || str_is(trimmed, "F") || str_is(trimmed, "0");
	case CORE_SIMPLE_TYPE_DATETIME:
		p->value_case = CORE_PRIMITIVE_VALUE_DATETIME;
		p->datetime = time_parse_rfc3339(trimmed, &us) ? pb_timestamp(a, us) : NULL;
		return p->datetime;
	case CORE_SIMPLE_TYPE_DURATION:
		p->value_case = CORE_PRIMITIVE_VALUE_DURATION;
		p->duration = duration_parse(trimmed, &us) ? pb_duration(a, us) : NULL;
		return p->duration;
	default: return false;
	}
}

static enum code take_primitive(const char *name, CoreSimpleType type, struct str text, struct arena *a,
				CoreLiteral **ret, struct err *err)
{
	*ret = literal_of_primitive(a, CORE_PRIMITIVE_VALUE_NOT_SET);
	if (!utf8_valid(text.ptr, text.len) || memchr(text.ptr, '\0', text.len) ||
	    !set_primitive((*ret)->scalar->primitive, type, text, a))
		return err_set(err, INVALID_ARGUMENT, "output %s: its file has no value of its type", name);
	return OK;
}

static enum code take_blob(const CoreVariable *v, struct str data, const char *uri, struct store *store,
			   struct arena *a, CoreLiteral **ret, struct err *err)
{
	CoreBlob *b = pb_new(a, CORE_BLOB_DESC);

	b->uri = (char *)uri;
	b->metadata = pb_new(a, CORE_BLOB_METADATA_DESC);
	b->metadata->type = v->type->blob;
	*ret = literal_of_scalar(a, CORE_SCALAR_VALUE_BLOB);
	(*ret)->scalar->blob = b;
	return store_put(store, uri, data, err);
}

static enum code take_one(const struct copilot *c, const char *name, const CoreVariable *v, struct store *store,
			  const char *raw_prefix, struct arena *a, CoreLiteral **ret, struct err *err)
{
	const char *path = arena_printf(a, "%s/%s", c->outputs, name);
	bool blob = v->type && v->type->type_case == CORE_LITERAL_TYPE_TYPE_BLOB &&
		    v->type->blob->dimensionality == CORE_BLOB_TYPE_BLOB_DIMENSIONALITY_SINGLE;
	auto_buf struct buf b = {0};

	if (!is_plain(name) || !v->type || (!blob && v->type->type_case != CORE_LITERAL_TYPE_TYPE_SIMPLE))
		return err_set(err, INVALID_ARGUMENT, "output %s: outputs of its type cannot come from files here",
			       name);
	enum code code = read_file(path, blob ? MAX_BLOB_BYTES : MAX_PRIMITIVE_BYTES, &b, err);
	if (code == NOT_FOUND)
		return err_set(err, NOT_FOUND, "output %s: the task has not written %s", name, path);
	if (code)
		return code;
	return blob ? take_blob(v, buf_str(&b), arena_printf(a, "%s/%s", raw_prefix, name), store, a, ret, err)
		    : take_primitive(name, v->type->simple, buf_str(&b), a, ret, err);
}

/* What the task says itself. */
static enum code check_error(const struct copilot *c, struct arena *a, struct err *err)
{
	auto_buf struct buf b = {0};
	enum code code = read_file(arena_printf(a, "%s/" ERROR_FILE, c->outputs), MAX_ERROR_BYTES, &b, err);

	if (code == NOT_FOUND)
		return OK;
	return code ? code : err_set(err, INVALID_ARGUMENT, "User Error: %s", buf_text(&b));
}

enum code copilot_take_outputs(const struct copilot *c, const CoreVariableMap *declared, struct store *store,
			       const char *raw_prefix, struct arena *a, CoreLiteralMap **ret, struct err *err)
{
	CoreLiteralMap *map = pb_new(a, CORE_LITERAL_MAP_DESC);
	enum code code = check_error(c, a, err);

	for (size_t i = 0; !code && i < declared->n_variables; i++) {
		CoreLiteralMapLiteralsEntry *e = pb_new(a, CORE_LITERAL_MAP_LITERALS_ENTRY_DESC);
		const CoreVariableMapVariablesEntry *v = declared->variables[i];
		e->key = v->key;
		code = v->value ? take_one(c, v->key, v->value, store, raw_prefix, a, &e->value, err)
				: err_set(err, INVALID_ARGUMENT, "output %s has no type", v->key);
		*PB_ADD(a, map->literals, map->n_literals) = e;
	}
	if (!code)
		*ret = map;
	return code;
}
