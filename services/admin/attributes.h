/* Matchable attributes: settings that people make for a project, a domain of it, or a workflow there. What is more
 * specific counts alone; one row is not merged with another.
 * Source: flyteadmin pkg/repositories/gormimpl/resource_repo.go, pkg/manager/impl/resources (v1.16.8). */
#pragma once
#include "admin.h"
#include "flyteidl/admin/matchable_resource.h"

/* Empty texts: any. */
struct attributes_scope {
	const char *project, *domain, *workflow;
};

/* A setting and what it was made for; all in the request's arena. */
struct attributes_found {
	struct attributes_scope scope;
	AdminMatchingAttributes *attributes; /* NULL: there is none */
};

/* The most specific setting of this type that the scope has. No setting is no error. */
enum code attributes_find(struct request *rq, struct db *db, AdminMatchableResource type,
			  const struct attributes_scope *scope, struct attributes_found *ret, struct err *err);
/* The setting of exactly this scope. */
enum code attributes_exact(struct request *rq, struct db *db, AdminMatchableResource type,
			   const struct attributes_scope *scope, struct attributes_found *ret, struct err *err);
/* Set it. Plugin overrides are added to those that are there, by task type; all others are replaced.
 * Errors: INVALID_ARGUMENT "missing matching_attributes", "Unrecognized matching attributes type …". */
enum code attributes_set(struct request *rq, struct db *db, const struct attributes_scope *scope,
			 const AdminMatchingAttributes *attributes, struct err *err);
/* Nothing there is no error. */
enum code attributes_delete(struct db *db, AdminMatchableResource type, const struct attributes_scope *scope,
			    struct err *err);
