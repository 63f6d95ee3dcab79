/* ListDatasets and ListArtifacts: filters become SQL by tables, a token is an offset, as datacatalog has it.
 * Source: datacatalog/pkg/repositories/transformers/filters.go, pagination.go (v1.16.8). */
#include "artifact.h"
#include "base/base.h"
#include "pb/pb.h"
#include "validation.h"

enum { DEFAULT_LIMIT = 50, MAX_FILTERS = 32 };

/* A statement in the making; filters are ANDed. */
struct list {
	struct request *rq;
	struct buf sql;
	struct db_param params[MAX_FILTERS * 2 + 1];
	size_t n_params;
	int64_t offset;
};

static void list_clear(struct list *l)
{
	buf_clear(&l->sql);
}
#define auto_list __attribute__((cleanup(list_clear)))

/* `sql` holds %d for each parameter's number. */
static enum code add_where(struct list *l, const char *sql, const char *field, const char *value, struct err *err)
{
	enum code c = check_text(value, field, err);

	if (c)
		return c;
	l->params[l->n_params++] = db_text(value);
	buf_adds(&l->sql, " AND ");
	for (; *sql; sql++)
		if (*sql == '?')
			buf_printf(&l->sql, "$%zu", l->n_params);
		else
			buf_addc(&l->sql, *sql);
	return OK;
}

static enum code no_such_entity(struct err *err)
{
	return err_set(err, INVALID_ARGUMENT, "no such entity ");
}

static enum code by_partition(struct list *l, const DatacatalogPartitionPropertyFilter *f, struct err *err)
{
	static const char START[] = "EXISTS (SELECT FROM partitions p WHERE p.artifact = a.key AND p.key = ?";
	const DatacatalogKeyValuePair *kv = f ? f->key_val : NULL;

	if (!kv)
		return no_such_entity(err);
	enum code c = add_where(l, START, "PartitionKey", kv->key, err);
	if (!c)
		c = add_where(l, "p.value = ?)", "PartitionValue", kv->value, err);
	return c;
}

static enum code by_tag(struct list *l, const DatacatalogTagPropertyFilter *f, struct err *err)
{
	static const char SQL[] = "EXISTS (SELECT FROM tags t WHERE t.artifact = a.key AND t.name = ?)";

	return f && f->property_case ? add_where(l, SQL, "TagName", f->tag_name, err) : no_such_entity(err);
}

static enum code by_artifact(struct list *l, const DatacatalogArtifactPropertyFilter *f, struct err *err)
{
	return f && f->property_case ? add_where(l, "a.id = ?", "artifactID", f->artifact_id, err)
				     : no_such_entity(err);
}

static enum code by_dataset(struct list *l, const DatacatalogDatasetPropertyFilter *f, struct err *err)
{
	switch (f ? f->property_case : DATACATALOG_DATASET_PROPERTY_FILTER_PROPERTY_NOT_SET) {
	case DATACATALOG_DATASET_PROPERTY_FILTER_PROPERTY_PROJECT:
		return add_where(l, "d.project = ?", "project", f->project, err);
	case DATACATALOG_DATASET_PROPERTY_FILTER_PROPERTY_NAME: return add_where(l, "d.name = ?", "name", f->name, err);
	case DATACATALOG_DATASET_PROPERTY_FILTER_PROPERTY_DOMAIN:
		return add_where(l, "d.domain = ?", "domain", f->domain, err);
	case DATACATALOG_DATASET_PROPERTY_FILTER_PROPERTY_VERSION:
		return add_where(l, "d.version = ?", "version", f->version, err);
	default: return no_such_entity(err);
	}
}

static enum code wrong_filter(const char *entity, const char *property, struct err *err)
{
	return err_set(err, INVALID_ARGUMENT, "%s cannot be filtered by %s properties", entity, property);
}

static enum code filter_datasets(struct list *l, const DatacatalogSinglePropertyFilter *f, struct err *err)
{
	switch (f->property_filter_case) {
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_TAG_FILTER: return wrong_filter("Dataset", "Tag", err);
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_PARTITION_FILTER:
		return wrong_filter("Dataset", "Partition", err);
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_ARTIFACT_FILTER:
		return wrong_filter("Dataset", "Artifact", err);
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_DATASET_FILTER:
		return by_dataset(l, f->dataset_filter, err);
	default: return no_such_entity(err);
	}
}

static enum code filter_artifacts(struct list *l, const DatacatalogSinglePropertyFilter *f, struct err *err)
{
	switch (f->property_filter_case) {
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_TAG_FILTER: return by_tag(l, f->tag_filter, err);
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_PARTITION_FILTER:
		return by_partition(l, f->partition_filter, err);
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_ARTIFACT_FILTER:
		return by_artifact(l, f->artifact_filter, err);
	case DATACATALOG_SINGLE_PROPERTY_FILTER_PROPERTY_FILTER_DATASET_FILTER:
		return wrong_filter("Artifact", "Dataset", err);
	default: return no_such_entity(err);
	}
}

typedef enum code (*filter_fn)(struct list *l, const DatacatalogSinglePropertyFilter *f, struct err *err);

static enum code add_filters(struct list *l, const DatacatalogFilterExpression *filter, filter_fn fn, struct err *err)
{
	size_t n = filter ? filter->n_filters : 0;
	enum code c = OK;

	if (n > MAX_FILTERS)
		return err_set(err, INVALID_ARGUMENT, "%zu filters are more than %d", n, MAX_FILTERS);
	for (size_t i = 0; !c && i < n; i++)
		c = fn(l, filter->filters[i], err);
	return c;
}

static enum code parse_page(struct list *l, const DatacatalogPaginationOptions *page, struct err *err)
{
	struct str token = str_trim(str_of(page ? page->token : ""));
	uint64_t offset = 0;

	if (token.len && (!str_to_u64(token, &offset) || offset > INT32_MAX))
		return err_set(err, INVALID_ARGUMENT, "Invalid token value: %s", page->token);
	if (page && page->sortkey != DATACATALOG_PAGINATION_OPTIONS_SORT_KEY_CREATION_TIME)
		return err_set(err, INVALID_ARGUMENT, "Invalid sort key %d", (int)page->sortkey);
	if (page && page->sortorder != DATACATALOG_PAGINATION_OPTIONS_SORT_ORDER_ASCENDING &&
	    page->sortorder != DATACATALOG_PAGINATION_OPTIONS_SORT_ORDER_DESCENDING)
		return err_set(err, INVALID_ARGUMENT, "Invalid sort order %d", (int)page->sortorder);
	l->offset = (int64_t)offset;
	return OK;
}

/* The page, then run. `table` is the alias of what is listed. */
static enum code run(struct list *l, struct db *db, const char *table, const DatacatalogPaginationOptions *page,
		     struct db_rows **ret, struct err *err)
{
	bool ascending = page && page->sortorder == DATACATALOG_PAGINATION_OPTIONS_SORT_ORDER_ASCENDING;
	const char *order = ascending ? "ASC" : "DESC";
	int64_t limit = page && page->limit ? page->limit : DEFAULT_LIMIT;

	limit = MIN(limit, catalog_of(l->rq)->config->max_batch);
	buf_printf(&l->sql, " ORDER BY %s.created_at %s, %s.seq %s LIMIT %lld OFFSET %lld", table, order, table, order,
		   (long long)limit, (long long)l->offset);
	struct db_stmt stmt = {l->rq->method->name, buf_text(&l->sql)};
	return db_query_text(db, &stmt, l->n_params, l->params, ret, err);
}

static char *next_token(struct list *l, const struct db_rows *rows)
{
	return arena_printf(l->rq->arena, "%lld", (long long)l->offset + (long long)db_rows_count(rows));
}

static enum code catalog_list_datasets(struct request *rq, const DatacatalogListDatasetsRequest *in,
				       DatacatalogListDatasetsResponse *ret, struct err *err)
{
	auto_list struct list l = {.rq = rq};
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	enum code c = parse_page(&l, in->pagination, err);

	buf_adds(&l.sql, "SELECT " DATASET_COLUMNS " FROM datasets d WHERE true");
	if (!c)
		c = add_filters(&l, in->filter, filter_datasets, err);
	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = run(&l, db, "d", in->pagination, &rows, err);
	for (size_t i = 0; !c && i < db_rows_count(rows); i++) {
		DatacatalogDataset *d = pb_new(rq->arena, DATACATALOG_DATASET_DESC);
		*PB_ADD(rq->arena, ret->datasets, ret->n_datasets) = d;
		c = dataset_from_row(rq, rows, i, 0, d, err);
	}
	if (!c)
		ret->next_token = next_token(&l, rows);
	return c;
}
API_THUNK(catalog_list_datasets)

static enum code catalog_list_artifacts(struct request *rq, const DatacatalogListArtifactsRequest *in,
					DatacatalogListArtifactsResponse *ret, struct err *err)
{
	auto_list struct list l = {.rq = rq};
	auto_free(db_give) struct db *db = NULL;
	auto_free(db_rows_free) struct db_rows *rows = NULL;
	DatacatalogDataset dataset = DATACATALOG_DATASET_INIT;
	struct key key;
	enum code c = check_dataset_id(in->dataset, err);

	if (!c)
		c = parse_page(&l, in->pagination, err);
	if (c)
		return c;
	key = key_of_dataset(in->dataset);
	l.params[l.n_params++] = db_bytea(key_str(&key));
	buf_adds(&l.sql, "SELECT " ARTIFACT_COLUMNS ARTIFACT_FROM "WHERE a.dataset = $1");
	c = add_filters(&l, in->filter, filter_artifacts, err);
	if (!c)
		c = db_take(catalog_of(rq)->db, &db, err);
	if (!c)
		c = dataset_load(rq, db, in->dataset, &dataset, err);
	if (!c)
		c = run(&l, db, "a", in->pagination, &rows, err);
	if (!c)
		c = artifacts_from_rows(rq, db, rows, &ret->artifacts, &ret->n_artifacts, err);
	if (!c)
		ret->next_token = next_token(&l, rows);
	return c;
}
API_THUNK(catalog_list_artifacts)

const struct api_binding catalog_list_rpcs[] = {
	{"ListDatasets", catalog_list_datasets_api},
	{"ListArtifacts", catalog_list_artifacts_api},
	{0},
};
