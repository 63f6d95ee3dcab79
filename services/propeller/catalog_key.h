/* What cached outputs are kept under in datacatalog: dataset and tag, by the same hashes as flytepropeller's, and the
 * metadata that tell which attempt put them. Pure functions; what they return lives in the arena or borrows.
 * Source: flytepropeller pkg/controller/nodes/catalog/datacatalog/transformer.go, flyteplugins
 * pluginmachinery/catalog/hashing.go, flytestdlib/pbhash (v1.16.8); objecthash of JSON. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "flyteidl/core/identifier.h"
#include "flyteidl/core/interface.h"
#include "flyteidl/core/literals.h"
#include "flyteidl/datacatalog/datacatalog.h"

enum { OBJECT_HASH_BYTES = 32 };

/* Objecthash of JSON text: equal for equal objects, whatever the order of their keys. All numbers are doubles.
 * Errors: INVALID_ARGUMENT when it is no JSON. */
enum code object_hash(struct str json, uint8_t ret[OBJECT_HASH_BYTES], struct err *err);

/* Objecthash of the message's JSON, in URL-safe base64 without padding; in `a`. */
enum code catalog_message_hash(const void *message, struct arena *a, char **ret, struct err *err);

/* The dataset of a task: project, domain, "flyte_task-<name>", "<cache version>-<inputs' hash>-<outputs' hash>".
 * Errors: INVALID_ARGUMENT for a blank cache version. */
enum code catalog_dataset_id(const CoreIdentifier *task, const CoreTypedInterface *interface, const char *cache_version,
			     struct arena *a, DatacatalogDatasetID **ret, struct err *err);
/* "flyte_cached-<hash of the inputs>". Of a literal that has a hash of its own only that counts; inputs named in
 * `ignored` do not count at all. NULL inputs are none. */
enum code catalog_tag(const CoreLiteralMap *inputs, char *const *ignored, size_t n_ignored, struct arena *a,
		      const char **ret, struct err *err);

/* Metadata of a dataset and of an artifact that an attempt makes. */
DatacatalogMetadata *catalog_dataset_metadata(const CoreTaskExecutionIdentifier *attempt, struct arena *a);
DatacatalogMetadata *catalog_artifact_metadata(const CoreTaskExecutionIdentifier *attempt, struct arena *a);
/* And back: the attempt of `task` that made them; what they do not say is "unknown". Either may be NULL.
 * Errors: INVALID_ARGUMENT when the attempt's number is none. */
enum code catalog_source(const DatacatalogMetadata *dataset, const DatacatalogMetadata *artifact,
			 const CoreIdentifier *task, struct arena *a, CoreTaskExecutionIdentifier **ret,
			 struct err *err);
