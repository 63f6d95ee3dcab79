/* Artifacts: rows made into what the API shows. */
#pragma once
#include "data.h"
#include "dataset.h"

/* Columns for artifacts_from_rows. */
#define ARTIFACT_COLUMNS "a.key, a.id, a.stored, a.created_at, d.project, d.domain, d.name, d.version, d.uuid::text"
#define ARTIFACT_FROM    " FROM artifacts a JOIN datasets d ON d.key = a.dataset "
enum { ARTIFACT_COLUMN_COUNT = 9 };

/* One artifact by id or by tag (the other is NULL); `lock` keeps others from changing it until the transaction ends.
 * Errors: NOT_FOUND in datacatalog's words. */
enum code artifact_find(struct request *rq, struct db *db, const DatacatalogDatasetID *dataset, const char *artifact_id,
			const char *tag, bool lock, struct db_rows **ret, struct err *err);
/* Every row, with data and tags, appended to the array. */
enum code artifacts_from_rows(struct request *rq, struct db *db, const struct db_rows *rows, DatacatalogArtifact ***ret,
			      size_t *ret_n, struct err *err);
enum code missing_artifact(struct request *rq, const DatacatalogDatasetID *dataset, const char *id, struct err *err);
