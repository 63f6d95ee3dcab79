/* Checks of requests, in datacatalog's words; the error is INVALID_ARGUMENT.
 * Source: datacatalog/pkg/manager/impl/validators (v1.16.8). */
#pragma once
#include "datacatalog.h"

enum code check_text(const char *value, const char *field, struct err *err);
enum code check_dataset_id(const DatacatalogDatasetID *id, struct err *err);
enum code check_data(DatacatalogArtifactData *const *data, size_t n, struct err *err);
enum code check_artifact(const DatacatalogArtifact *artifact, struct err *err);
enum code check_tag(const DatacatalogTag *tag, struct err *err);
enum code check_unique_keys(char *const *keys, size_t n, struct arena *a, struct err *err);
/* An artifact's partitions have the dataset's keys. */
enum code check_partitions(const DatacatalogDataset *dataset, const DatacatalogArtifact *artifact, struct arena *a,
			   struct err *err);
/* Of an artifact by id or by tag; exactly one of the two is not NULL, or none if the request has none. */
enum code check_handle(const DatacatalogDatasetID *dataset, const char *artifact_id, const char *tag, struct err *err);
