/* Batched calls: what BatchPut shares with the others. */
#pragma once
#include "alula/catalog.h"
#include "datacatalog.h"

enum code check_batch(struct request *rq, size_t n, struct err *err);
enum code check_key(const AlulaCatalogKey *key, struct err *err);
