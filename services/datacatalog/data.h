/* Data of artifacts: each value is a packed literal in an object of its own, as datacatalog has it,
 * <root>/<project>/<domain>/<name>/<version>/<artifact>/<value's name>/data.pb. Small ones lie in the row as well, and
 * are read from there. Source: datacatalog/pkg/manager/impl/artifact_data_store.go (v1.16.8). */
#pragma once
#include "alula/catalog.h"
#include "datacatalog.h"

/* Objects to be written. */
struct writes {
	struct {
		const char *uri;
		struct str data;
	} * at;
	size_t n, cap;
};
void writes_clear(struct writes *w);
#define auto_writes __attribute__((cleanup(writes_clear)))

/* Start a row of an artifact. */
void stored_init(AlulaStoredArtifact *s, struct str metadata);
/* Add a value: its packed literal, borrowed. What has to be written is added to `w`. */
void stored_add(struct request *rq, AlulaStoredArtifact *s, const DatacatalogDatasetID *dataset, const char *artifact,
		const char *name, struct str literal, struct writes *w);
/* When all are added: keep the literals in the row if they are few bytes. */
void stored_finish(struct request *rq, AlulaStoredArtifact *s);
/* Write all, several at once, and wait. Errors: the first one's. */
enum code writes_run(struct request *rq, const struct writes *w, struct err *err);
/* Objects of `old` that `now` (NULL: nothing) has not. Errors are only logged: nobody refers to them any more. */
void stored_remove(struct request *rq, const AlulaStoredArtifact *old, const AlulaStoredArtifact *now);

/* The values as the API has them, read from row or store. *budget: bytes that may still be read. */
enum code stored_read(struct request *rq, const AlulaStoredArtifact *s, size_t *budget, DatacatalogArtifact *ret,
		      struct err *err);
