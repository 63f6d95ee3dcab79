#include "flyte/template.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/base.h"
#include "pb/pb.h"

/* ---- literals as text ---- */

/* Go prints the shortest digits that read back the same. */
static void add_double(struct buf *b, double d)
{
	char text[40];

	if (isnan(d) || isinf(d)) {
		buf_adds(b, isnan(d) ? "NaN" : d > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	/* Go's %v leaves the plain form at exponents below -4 and from 21 on; C's %g at its precision. */
	int exponent = d == 0 ? 0 : (int)floor(log10(fabs(d)));
	if (strchr(text, 'e') && exponent >= -4 && exponent < 21)
		snprintf(text, sizeof text, "%.0f", d);
	buf_adds(b, text);
}

static enum code add_primitive(struct buf *b, const CorePrimitive *p, struct err *err)
{
	switch (p->value_case) {
	case CORE_PRIMITIVE_VALUE_INTEGER: buf_printf(b, "%lld", (long long)p->integer); return OK;
	case CORE_PRIMITIVE_VALUE_FLOAT_VALUE: add_double(b, p->float_value); return OK;
	case CORE_PRIMITIVE_VALUE_STRING_VALUE: buf_adds(b, p->string_value); return OK;
	case CORE_PRIMITIVE_VALUE_BOOLEAN: buf_adds(b, p->boolean ? "true" : "false"); return OK;
	case CORE_PRIMITIVE_VALUE_DATETIME: time_add_rfc3339(b, pb_timestamp_us(p->datetime)); return OK;
	case CORE_PRIMITIVE_VALUE_DURATION: duration_add(b, pb_duration_us(p->duration)); return OK;
	default: return err_set(err, INVALID_ARGUMENT, "it has no value");
	}
}

static enum code add_literal(struct buf *b, const CoreLiteral *l, struct err *err)
{
	enum code c = OK;

	if (l->value_case == CORE_LITERAL_VALUE_COLLECTION) {
		buf_addc(b, '[');
		for (size_t i = 0; !c && i < l->collection->n_literals; i++) {
			buf_adds(b, i ? "," : "");
			c = add_literal(b, l->collection->literals[i], err);
		}
		buf_addc(b, ']');
		return c;
	}
	if (l->value_case != CORE_LITERAL_VALUE_SCALAR)
		return err_set(err, INVALID_ARGUMENT, "only scalars and lists have a text form");
	switch (l->scalar->value_case) {
	case CORE_SCALAR_VALUE_PRIMITIVE: return add_primitive(b, l->scalar->primitive, err);
	case CORE_SCALAR_VALUE_BLOB: buf_adds(b, l->scalar->blob->uri); return OK;
	case CORE_SCALAR_VALUE_SCHEMA: buf_adds(b, l->scalar->schema->uri); return OK;
	default: return err_set(err, INVALID_ARGUMENT, "a scalar of this kind has no text form");
	}
}

static enum code add_input(struct buf *b, const CoreLiteralMap *inputs, struct str name, struct err *err)
{
	for (size_t i = 0; i < inputs->n_literals; i++) {
		if (!str_is(name, inputs->literals[i]->key))
			continue;
		struct err why;
		enum code c = inputs->literals[i]->value ? add_literal(b, inputs->literals[i]->value, &why) : OK;
		return c ? err_set(err, c, "input %.*s in a template: %s", STR_ARG(name), why.text) : OK;
	}
	return err_set(err, INVALID_ARGUMENT, "requested input is not found [%.*s]", STR_ARG(name));
}

/* ---- templates ---- */

/* Letters first, then letters, digits and '_': what stands before and between becomes 'a' and '_'. */
static void add_unique_key(struct buf *b, const char *name)
{
	const char *p = name;

	while (*p && !isalpha((unsigned char)*p) && *p != '_')
		p++;
	if (p != name)
		buf_addc(b, 'a');
	for (bool gap = false; *p; p++) {
		bool plain = isalnum((unsigned char)*p) || *p == '_';
		if (plain || !gap)
			buf_addc(b, plain ? *p : '_');
		gap = !plain;
	}
}

static bool is_name(struct str s, const char *name)
{
	return s.len == strlen(name) && strncasecmp(s.ptr, name, s.len) == 0;
}

/* The text of one name; *ret_known is false for names that are nobody's. */
static enum code add_value(struct buf *b, struct str name, const struct template_values *v, bool *ret_known,
			   struct err *err)
{
	const struct {
		const char *name, *value;
	} plain[] = {
		{"input", v->input},
		{"inputPrefix", v->input_prefix},
		{"outputPrefix", v->output_prefix},
		{"rawOutputDataPrefix", v->raw_output_prefix},
		{"checkpointOutputPrefix", v->checkpoint_prefix},
		{"prevCheckpointPrefix",
		 v->prev_checkpoint_prefix && *v->prev_checkpoint_prefix ? v->prev_checkpoint_prefix : "\"\""},
		{"namespace", v->namespace},
	};

	*ret_known = true;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (!is_name(name, plain[i].name))
			continue;
		buf_adds(b, plain[i].value ? plain[i].value : "");
		return OK;
	}
	if (is_name(name, "perRetryUniqueKey")) {
		add_unique_key(b, v->unique_name ? v->unique_name : "");
		return OK;
	}
	if (is_name(name, "taskTemplatePath")) {
		if (!v->task_template_path)
			return err_set(err, INVALID_ARGUMENT, "{{.taskTemplatePath}} is not served here");
		buf_adds(b, v->task_template_path);
		return OK;
	}
	if (name.len > 7 && strncasecmp(name.ptr, "inputs.", 7) == 0 && v->inputs)
		return add_input(b, v->inputs, (struct str){name.ptr + 7, name.len - 7}, err);
	*ret_known = false;
	return OK;
}

/* "{{ .name }}" at `p`: its name and its end; false if this is no template. */
static bool parse(const char *p, struct str *ret_name, const char **ret_end)
{
	p += 2;
	p += strspn(p, " \t\r\n");
	if (*p != '.' && *p != '$')
		return false;
	const char *name = ++p;
	p += strcspn(p, "} \t\r\n");
	*ret_name = (struct str){name, (size_t)(p - name)};
	p += strspn(p, " \t\r\n");
	*ret_end = p + 2;
	return ret_name->len && strncmp(p, "}}", 2) == 0;
}

enum code template_render(const char *text, const struct template_values *v, struct arena *a, const char **ret,
			  struct err *err)
{
	auto_buf struct buf b = {0};

	for (const char *open; (open = strstr(text, "{{"));) {
		struct str name;
		const char *end;
		bool known = false;
		buf_add(&b, text, (size_t)(open - text));
		if (parse(open, &name, &end)) {
			enum code c = add_value(&b, name, v, &known, err);
			if (c)
				return c;
		}
		if (!known)
			buf_adds(&b, "{{");
		text = known ? end : open + 2;
	}
	buf_adds(&b, text);
	*ret = arena_strndup(a, buf_text(&b), b.len);
	return OK;
}
