/* Datasets: what artifacts belong to; for cached tasks, a task with its cache version and interface. */
#pragma once
#include "datacatalog.h"
#include "keys.h"

/* Columns for dataset_from_row. */
#define DATASET_COLUMNS "d.project, d.domain, d.name, d.version, d.uuid::text, d.metadata, d.partition_keys"

/* A dataset of DATASET_COLUMNS from `col` on. */
enum code dataset_from_row(struct request *rq, const struct db_rows *rows, size_t row, int col, DatacatalogDataset *ret,
			   struct err *err);
/* Errors: NOT_FOUND in datacatalog's words; also when the id has another UUID. */
enum code dataset_load(struct request *rq, struct db *db, const DatacatalogDatasetID *id, DatacatalogDataset *ret,
		       struct err *err);
/* The metadata packed; that of none is empty. */
struct str pack_metadata(const DatacatalogMetadata *m, struct arena *a);
/* ALREADY_EXISTS, as a violation of the unique constraint reads there. */
enum code already_exists(const char *constraint, struct err *err);
