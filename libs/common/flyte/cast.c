/* May a value of one type be given to a variable of another?
 * Source: flytepropeller pkg/compiler/validators/typing.go (v1.16.8). */
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "flyte/private.h"
#include "flyte/types.h"

/* Unions in unions are tried in all pairs, so hostile types could take exponential time: beyond this nothing casts. */
enum { MAX_STEPS = 100000 };

/* casts() looks into unions of one variant, casts_from() takes them as unions: what is in lists, maps and columns. */
static bool casts(const CoreLiteralType *from, const CoreLiteralType *to, int *steps);
static bool casts_from(const CoreLiteralType *from, const CoreLiteralType *to, int *steps);

static bool is_simple(const CoreLiteralType *t, CoreSimpleType simple)
{
	return t && t->type_case == CORE_LITERAL_TYPE_TYPE_SIMPLE && t->simple == simple;
}

static bool is_none(const CoreLiteralType *t)
{
	return is_simple(t, CORE_SIMPLE_TYPE_NONE);
}

static const char *tag_of(const CoreLiteralType *t)
{
	return t->structure ? t->structure->tag : "";
}

/* ---- tables: schemas and structured datasets ---- */

/* What both kinds have: columns with names and, of simple ones, a type. */
struct table {
	const CoreSchemaType *schema;
	const CoreStructuredDatasetType *dataset;
};

static struct table table_of(const CoreLiteralType *t)
{
	return (struct table){
		.schema = t->type_case == CORE_LITERAL_TYPE_TYPE_SCHEMA ? t->schema : NULL,
		.dataset = t->type_case == CORE_LITERAL_TYPE_TYPE_STRUCTURED_DATASET_TYPE ? t->structured_dataset_type
											  : NULL,
	};
}

static size_t columns(const struct table *t)
{
	return t->schema ? t->schema->n_columns : t->dataset ? t->dataset->n_columns : 0;
}

static const char *column_name(const struct table *t, size_t i)
{
	return t->schema ? t->schema->columns[i]->name : t->dataset->columns[i]->name;
}

/* -1: none that a schema could have. */
static int simple_of_column(const struct table *t, size_t i)
{
	static const CoreSimpleType SIMPLE[] = {
		CORE_SIMPLE_TYPE_INTEGER, CORE_SIMPLE_TYPE_FLOAT,    CORE_SIMPLE_TYPE_STRING,
		CORE_SIMPLE_TYPE_BOOLEAN, CORE_SIMPLE_TYPE_DATETIME, CORE_SIMPLE_TYPE_DURATION,
	};

	if (t->schema) {
		size_t type = (size_t)t->schema->columns[i]->type;
		return type < ARRAY_SIZE(SIMPLE) ? (int)SIMPLE[type] : -1;
	}
	const CoreLiteralType *type = t->dataset->columns[i]->literal_type;
	return type && type->type_case == CORE_LITERAL_TYPE_TYPE_SIMPLE ? (int)type->simple : -1;
}

static bool column_casts(const struct table *from, size_t i, const struct table *to, size_t j, int *steps)
{
	if (from->dataset && to->dataset)
		return casts_from(from->dataset->columns[i]->literal_type, to->dataset->columns[j]->literal_type,
				  steps);
	if (from->schema && to->schema)
		return from->schema->columns[i]->type == to->schema->columns[j]->type;
	int simple = simple_of_column(from, i);
	return simple >= 0 && simple == simple_of_column(to, j);
}

/* Of columns with one name the last counts. Place + 1, 0 if there is none. */
static size_t find_column(const struct table *t, const struct map *by_name, const char *name)
{
	if (by_name)
		return (size_t)map_get(by_name, str_of(name));
	for (size_t i = columns(t); i > 0; i--)
		if (strcmp(column_name(t, i - 1), name) == 0)
			return i;
	return 0;
}

/* NULL for a few: they are just walked. */
static struct map *index_columns(const struct table *t)
{
	enum { FEW = 32 };
	struct map *m = columns(t) > FEW ? map_new() : NULL;

	for (size_t i = 0; m && i < columns(t); i++)
		map_put(m, str_of(column_name(t, i)), (void *)(i + 1));
	return m;
}

/* Each wanted column is there, of a fitting type; without columns on either side everything fits. */
static bool columns_cast(const struct table *from, const struct table *to, int *steps)
{
	if (!columns(from) || !columns(to))
		return true;
	*steps -= (int)MIN(columns(from) + columns(to), (size_t)MAX_STEPS);
	if (*steps < 0)
		return false;
	auto_free(map_free) struct map *by_name = index_columns(from);
	for (size_t j = 0; j < columns(to); j++) {
		size_t i = find_column(from, by_name, column_name(to, j));
		if (!i || !column_casts(from, i - 1, to, j, steps))
			return false;
	}
	return true;
}

static bool is_parquet(const char *format)
{
	return !*format || strcasecmp(format, "parquet") == 0;
}

static bool casts_to_schema(const CoreLiteralType *from, const CoreLiteralType *to, int *steps)
{
	struct table f = table_of(from), t = table_of(to);

	if (!f.schema && !f.dataset)
		return false;
	return (f.schema || is_parquet(f.dataset->format)) && columns_cast(&f, &t, steps);
}

static bool casts_to_dataset(const CoreLiteralType *from, const CoreLiteralType *to, int *steps)
{
	struct table f = table_of(from), t = table_of(to);
	const char *format = t.dataset ? t.dataset->format : "";

	if (is_none(from))
		return true;
	if (!f.schema && !f.dataset)
		return from->type_case == CORE_LITERAL_TYPE_TYPE_STRUCTURED_DATASET_TYPE;
	if (f.schema)
		return is_parquet(format) && columns_cast(&f, &t, steps);
	bool fits = !*f.dataset->format || !*format || strcasecmp(f.dataset->format, format) == 0;
	return fits && columns_cast(&f, &t, steps);
}

/* ---- the other kinds of targets ---- */

static bool casts_to_union(const CoreLiteralType *from, const CoreUnionType *to, int *steps)
{
	size_t found = 0;

	if (from->type_case == CORE_LITERAL_TYPE_TYPE_UNION_TYPE) {
		for (size_t i = 0; i < from->union_type->n_variants; i++) {
			size_t j = 0;
			while (j < to->n_variants && !casts(from->union_type->variants[i], to->variants[j], steps))
				j++;
			if (j == to->n_variants)
				return false;
		}
		return true;
	}
	for (size_t j = 0; j < to->n_variants && found < 2; j++)
		found += casts(from, to->variants[j], steps);
	return found == 1;
}

static bool casts_to_blob(const CoreLiteralType *from, const CoreBlobType *to)
{
	if (from->type_case != CORE_LITERAL_TYPE_TYPE_BLOB)
		return false;
	return !*from->blob->format || !*to->format || strcmp(from->blob->format, to->format) == 0;
}

static bool is_enum(const CoreLiteralType *t)
{
	return t->type_case == CORE_LITERAL_TYPE_TYPE_ENUM_TYPE;
}

/* Enums are strings under another name. */
static bool casts_to_simple(const CoreLiteralType *from, const CoreLiteralType *to)
{
	if ((is_enum(from) && is_simple(to, CORE_SIMPLE_TYPE_STRING)) ||
	    (is_enum(to) && is_simple(from, CORE_SIMPLE_TYPE_STRING)))
		return true;
	if (*tag_of(from) && strcmp(tag_of(from), tag_of(to)) != 0)
		return false;
	if (is_simple(from, CORE_SIMPLE_TYPE_STRUCT) && is_simple(to, CORE_SIMPLE_TYPE_STRUCT))
		return !from->metadata || !to->metadata || json_schema_covers(from->metadata, to->metadata);
	return type_same(from, to);
}

static bool casts_from(const CoreLiteralType *from, const CoreLiteralType *to, int *steps)
{
	if (!from || !to || --*steps < 0)
		return false;
	switch (to->type_case) {
	case CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE:
		return from->type_case == CORE_LITERAL_TYPE_TYPE_COLLECTION_TYPE &&
		       (is_none(from->collection_type) ||
			casts_from(from->collection_type, to->collection_type, steps));
	case CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE:
		return from->type_case == CORE_LITERAL_TYPE_TYPE_MAP_VALUE_TYPE &&
		       (is_none(from->map_value_type) || casts_from(from->map_value_type, to->map_value_type, steps));
	case CORE_LITERAL_TYPE_TYPE_BLOB: return casts_to_blob(from, to->blob);
	case CORE_LITERAL_TYPE_TYPE_SCHEMA: return casts_to_schema(from, to, steps);
	case CORE_LITERAL_TYPE_TYPE_UNION_TYPE: return casts_to_union(from, to->union_type, steps);
	case CORE_LITERAL_TYPE_TYPE_STRUCTURED_DATASET_TYPE: return casts_to_dataset(from, to, steps);
	default: return is_none(to) ? is_none(from) : casts_to_simple(from, to);
	}
}

static bool casts(const CoreLiteralType *from, const CoreLiteralType *to, int *steps)
{
	if (!from || !to)
		return false;
	if (from->type_case == CORE_LITERAL_TYPE_TYPE_UNION_TYPE && from->union_type->n_variants == 1 &&
	    casts_from(from->union_type->variants[0], to, steps))
		return true;
	return casts_from(from, to, steps);
}

bool type_castable_within(const CoreLiteralType *from, const CoreLiteralType *to, int *steps)
{
	int mine = MIN(*steps, MAX_STEPS), left = mine;
	bool ok = casts(from, to, &left);

	*steps -= mine - MAX(left, 0);
	return ok;
}

bool type_castable(const CoreLiteralType *from, const CoreLiteralType *to)
{
	int steps = MAX_STEPS;

	return type_castable_within(from, to, &steps);
}
