/* What is bound: does it fit?
 * Source: flytepropeller pkg/compiler/validators/bindings.go, vars.go, typing/variable.go (v1.16.8). */
#include <ctype.h>
#include <string.h>

#include "compiler/binding.h"
#include "flyte/text.h"
#include "flyte/types.h"
#include "pb/pb.h"

static bool check_value(const struct place *p, CoreBindingData *b, const CoreLiteralType *expected);

/* A message in an error's text: cut, and left out where nobody will read it. */
enum { TEXT_BYTES = 2000 };

static const char *text_of(const struct place *p, const void *message)
{
	auto_buf struct buf b = {.limit = TEXT_BYTES};

	if (p->in_union || p->errors->dropped)
		return "";
	message_add_text(message, &b);
	return arena_printf(p->c->arena, "%s%s", buf_text(&b), b.failed ? "…" : "");
}

/* As Flyte's messages name types. */
static const char *pretty_type(const struct place *p, const CoreLiteralType *t)
{
	return p->in_union || p->errors->dropped ? "" : type_error_text(t, p->c->arena);
}

bool node_position(const struct compilation *c, const char *id, uint32_t *ret)
{
	uintptr_t at = *id ? (uintptr_t)map_get(c->index, str_of(id)) : START + 1;

	if (at)
		*ret = (uint32_t)(at - 1);
	return at;
}

bool not_bound(const struct place *p)
{
	compile_error(p->errors, "ParameterNotBound", p->node->id, "Parameter not bound [%s].", p->param);
	return false;
}

static bool mismatching_bindings(const struct place *p, const CoreLiteralType *expected, const char *received)
{
	compile_error(p->errors, "MismatchingBindings", p->node->id,
		      "Input [%s] on node [%s] expects bindings of type [%s].  Received [%s]", p->param, p->node->id,
		      text_of(p, expected), received);
	return false;
}

/* ---- promises ---- */

struct variable_name {
	const char *name;
	bool has_index;
};

static size_t word_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return n;
}

/* "[3]." before a word: its length, else 0. */
static size_t index_length(const char *s)
{
	size_t digits = *s == '[' ? strspn(s + 1, "0123456789") : 0;

	return digits && strncmp(s + 1 + digits, "].", 2) == 0 && word_length(s + digits + 3) ? digits + 3 : 0;
}

/* "o0" or "[3].o0": exactly one word. */
static bool parse_variable(const char *s, struct arena *a, struct variable_name *ret)
{
	size_t words = 0;

	while (*s) {
		size_t index = index_length(s), word = word_length(s + index);
		if (word) {
			*ret = (struct variable_name){arena_strndup(a, s + index, word), index > 0};
			words++;
		}
		s += index + MAX(word, (size_t)1);
	}
	return words == 1;
}

/* An output by its name, or by the alias that the node gives it. */
static const CoreVariable *find_output(const struct compile_node *n, const char *name)
{
	const char *real = name;

	for (size_t i = 0; i < n->node->n_output_aliases; i++) {
		const CoreAlias *alias = n->node->output_aliases[i];
		if (strcmp(alias->alias, name) == 0)
			real = alias->var;
		else if (strcmp(alias->var, name) == 0 && real == name)
			real = NULL;
	}
	return n->interface && real ? variables_find(&n->interface->outputs, real) : NULL;
}

static bool mismatching_variables(const struct place *p, const CoreNode *from, const char *var,
				  const CoreLiteralType *type, const CoreLiteralType *expected)
{
	struct arena *a = p->c->arena;
	const char *to = p->node->metadata ? arena_printf(a, "%s.%s", p->node->metadata->name, p->param) : p->param;

	if (from->metadata)
		var = arena_printf(a, "%s.%s", from->metadata->name, var);
	compile_error(p->errors, "MismatchingTypes", p->node->id,
		      "The output variable '%s' has type [%s], but it's assigned to the input variable '%s' which has "
		      "type type [%s].",
		      var, pretty_type(p, type), to, pretty_type(p, expected));
	return false;
}

static const CoreLiteralType *dataclass_field(const CoreLiteralType *t, const char *name)
{
	for (size_t i = 0; i < t->structure->n_dataclass_type; i++)
		if (strcmp(t->structure->dataclass_type[i]->key, name) == 0)
			return t->structure->dataclass_type[i]->value;
	return NULL;
}

/* The type at the end of an attribute path; what is said nothing about stays as it is. NULL after an error. */
static const CoreLiteralType *follow_path(const struct place *p, const CoreOutputReference *promise,
					  const CoreLiteralType *t)
{
	for (size_t i = 0; i < promise->n_attr_path && t; i++) {
		const CorePromiseAttribute *attr = promise->attr_path[i];
		const char *name =
			attr->value_case == CORE_PROMISE_ATTRIBUTE_VALUE_STRING_VALUE ? attr->string_value : "";
		const CoreLiteralType *inner = t;
		if (t->type_case == CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE)
			inner = t->collection_type;
		else if (t->type_case == CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE)
			inner = t->map_value_type;
		else if (t->structure && t->structure->n_dataclass_type)
			inner = dataclass_field(t, name);
		if (!inner)
			compile_error(p->errors, "FieldNotFound", p->node->id,
				      "Variable [%s] (type [%s]) doesn't have field [%s].", promise->var, text_of(p, t),
				      name);
		t = inner;
	}
	return t;
}

static bool check_output(const struct place *p, CoreOutputReference *promise, uint32_t from, const CoreVariable *output,
			 bool has_index, const CoreLiteralType *expected)
{
	CoreNode *upstream = p->c->nodes.at[from]->node;
	const CoreLiteralType *type = output->type;

	if (has_index && type->type_case != CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE)
		return mismatching_variables(p, upstream, promise->var, type, expected);
	if (has_index)
		type = type->collection_type;
	type = follow_path(p, promise, type);
	if (!type)
		return false;
	if (p->resolved)
		*p->resolved = output->type;
	else if (!types_cast(p->c->program, type, expected))
		return mismatching_variables(p, upstream, promise->var, type, expected);
	promise->node_id = upstream->id;
	add_edge(p->edges, from, p->at);
	return true;
}

static bool check_promise(const struct place *p, CoreOutputReference *promise, const CoreLiteralType *expected)
{
	uint32_t from;
	struct variable_name var;

	if (!node_position(p->c, promise->node_id, &from)) {
		compile_error(p->errors, "NodeReferenceNotFound", promise->node_id, "Referenced node [%s] not found.",
			      promise->node_id);
		return not_bound(p);
	}
	if (!parse_variable(promise->var, p->c->arena, &var)) {
		compile_error(p->errors, "SyntaxError", p->node->id, "Failed to parse element [%s].", promise->var);
		return false;
	}
	const struct compile_node *upstream = p->c->nodes.at[from];
	if (upstream->bad_aliases)
		return not_bound(p);
	const CoreVariable *output = find_output(upstream, var.name);
	if (!output) {
		compile_error(p->errors, "VariableNameNotFound", upstream->node->id,
			      "Variable [%s] not found on node [%s].", var.name, upstream->node->id);
		return not_bound(p);
	}
	return check_output(p, promise, from, output, var.has_index, expected);
}

/* ---- constants ---- */

static bool check_enum(const struct place *p, const CoreScalar *s, const CoreEnumType *expected)
{
	bool is_text = s->value_case == CORE_SCALAR_VALUE_PRIMITIVE &&
		       s->primitive->value_case == CORE_PRIMITIVE_VALUE_STRING_VALUE;
	const char *value = is_text ? s->primitive->string_value : "";
	auto_buf struct buf values = {0};

	for (size_t i = 0; i < expected->n_values; i++) {
		if (strcmp(expected->values[i], value) == 0)
			return true;
		buf_printf(&values, "%s%s", i ? " " : "", expected->values[i]);
	}
	compile_error(p->errors, "IllegalEnumValue", p->node->id,
		      "Input [%s] on node [%s] is an Enum and expects value to be one of [[%s]].  Received [%s]",
		      p->param, p->node->id, buf_text(&values), value);
	return false;
}

static bool check_scalar(const struct place *p, const CoreScalar *s, const CoreLiteralType *expected)
{
	const CoreLiteralType *type = scalar_type(s, p->c->arena);
	bool ok = true;

	if (p->resolved)
		*p->resolved = type;
	if (!type) {
		compile_error(p->errors, "UnrecognizedValue", p->node->id, "Unrecognized value [%s].",
			      s->value_case == CORE_SCALAR_VALUE_BLOB ? "*core.Scalar_Blob" : "");
		ok = false;
	} else if (!p->resolved && !type_castable_within(type, expected, &p->c->program->cast_steps)) {
		compile_error(p->errors, "MismatchingTypes", p->node->id,
			      "Variable [%s] (type [%s]) doesn't match expected type [%s].", p->param,
			      pretty_type(p, type), pretty_type(p, expected));
		ok = false;
	}
	if (expected->type_case == CORE_LITERAL_TYPE_TYPE_ENUM_TYPE)
		ok = check_enum(p, s, expected->enum_type) && ok;
	return ok;
}

/* ---- lists, maps, unions ---- */

static bool check_list(const struct place *p, CoreBindingDataCollection *list, const CoreLiteralType *expected)
{
	bool ok = true;

	if (expected->type_case != CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE)
		return mismatching_bindings(p, expected, text_of(p, list));
	for (size_t i = 0; i < list->n_bindings; i++)
		ok = check_value(p, list->bindings[i], expected->collection_type) && ok;
	return ok;
}

static bool check_map(const struct place *p, CoreBindingDataMap *m, const CoreLiteralType *expected)
{
	bool ok = true;

	if (expected->type_case != CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE)
		return mismatching_bindings(p, expected, text_of(p, m));
	for (size_t i = 0; i < m->n_bindings; i++)
		ok = check_value(p, m->bindings[i]->value, expected->map_value_type) && ok;
	return ok;
}

/* A list or map fits one variant, and only one. */
static bool check_variants(const struct place *p, CoreBindingData *b, const CoreLiteralType *expected)
{
	const CoreUnionType *u = expected->union_type;
	const CoreLiteralType *match = NULL;

	for (size_t i = 0; i < u->n_variants; i++) {
		auto_compile_errors struct compile_errors unused = {0};
		struct place trial = *p;
		trial.errors = &unused;
		trial.in_union = true;
		size_t edges = p->edges->n;
		if (!check_value(&trial, b, u->variants[i])) {
			p->edges->n = edges;
			continue;
		}
		if (match) {
			compile_error(p->errors, "AmbiguousBindingUnionValue", p->node->id,
				      "Input [%s] on node [%s] expects bindings of union type [%s].  Received [%s] "
				      "which is ambiguous as both variants [%s] and [%s] match.",
				      p->param, p->node->id, text_of(p, expected), text_of(p, b), text_of(p, match),
				      text_of(p, u->variants[i]));
			return false;
		}
		match = u->variants[i];
	}
	if (match)
		return true;
	compile_error(
		p->errors, "IncompatibleBindingUnionValue", p->node->id,
		"Input [%s] on node [%s] expects bindings of union type [%s].  Received [%s] which does not match "
		"any of the variants.",
		p->param, p->node->id, text_of(p, expected), text_of(p, b));
	return false;
}

static bool check_value(const struct place *p, CoreBindingData *b, const CoreLiteralType *expected)
{
	int kind = b ? (int)b->value_case : CORE_BINDING_DATA_VALUE_NOT_SET;

	if (p->in_union && --p->c->program->union_steps < 0)
		return false;
	if (!expected)
		return not_bound(p);
	if (b && kind != CORE_BINDING_DATA_VALUE_SCALAR && kind != CORE_BINDING_DATA_VALUE_PROMISE &&
	    expected->type_case == CORE_LITERAL_TYPE_TYPE_UNION_TYPE)
		return check_variants(p, b, expected);
	switch (kind) {
	case CORE_BINDING_DATA_VALUE_SCALAR: return check_scalar(p, b->scalar, expected);
	case CORE_BINDING_DATA_VALUE_PROMISE: return check_promise(p, b->promise, expected);
	case CORE_BINDING_DATA_VALUE_COLLECTION: return check_list(p, b->collection, expected);
	case CORE_BINDING_DATA_VALUE_MAP: return check_map(p, b->map, expected);
	case CORE_BINDING_DATA_VALUE_OFFLOADED_METADATA:
		return mismatching_bindings(p, expected, "*core.BindingData_OffloadedMetadata");
	default: return mismatching_bindings(p, expected, "");
	}
}

bool check_bound_value(const struct place *p, CoreBindingData *b, const CoreLiteralType *expected)
{
	size_t edges = p->edges->n;

	if (check_value(p, b, expected))
		return true;
	p->edges->n = edges;
	return false;
}
