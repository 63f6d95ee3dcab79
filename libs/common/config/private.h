/* The config module's own header: the tree that a YAML file becomes, and values as the table types them. */
#pragma once
#include "base/base.h"
#include "config/config.h"

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	const char *key;  /* in a map */
	const char *text; /* of a scalar */
	const char *file;
	size_t line; /* of the key in a map, else of the value; from 1 */
	struct node *children, *next;
};

/* What is wrong, one line each. */
struct problems {
	struct buf text;
	size_t n;
};
void problems_add(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct config {
	struct arena *arena;
	struct node **files; /* NULL for an empty one */
	size_t n_files;
	VEC(const char *) warnings;
};

union config_value {
	const char *string;
	int64_t number;
	bool boolean;
	double fraction;
	struct config_strings strings;
	struct config_map map;
};

/* yaml.c: NULL for a file without a document. What is wrong goes to `p`; NOT_FOUND when it cannot be read. */
enum code config_parse_file(struct arena *a, const char *file, struct problems *p, struct node **ret);
/* The same for a text; `name` stands for the file. */
void config_parse_text(struct arena *a, const char *name, struct str text, struct problems *p, struct node **ret);
/* Child by name, any case; the last of several. NULL if there is none or `n` is no map. */
struct node *node_child(struct node *n, struct str name);

/* value.c */
bool config_value_of_text(struct arena *a, const struct config_key *k, const char *text, union config_value *ret);
/* `nodes` (at least one) are the key's values in order of the files; only a map looks at more than the last. NULL, or
 * the node that is wrong. */
const struct node *config_value_of_nodes(struct arena *a, const struct config_key *k, struct node *const *nodes,
					 size_t n, union config_value *ret);
/* "an integer from 1 to 65535" */
void config_expected(const struct config_key *k, struct buf *b);
void config_value_store(const struct config_key *k, void *target, const union config_value *v);
/* As YAML, on one line. */
void config_value_print(const struct config_key *k, const void *target, struct buf *b);
const char *config_type_name(enum config_type type);

/* keys.c: all keys of all tables by path, malloc'd. */
const struct config_key **config_keys(const struct config_key *const *tables, size_t *ret_n);
/* "ALULA_SERVER_GRPC_PORT" */
void config_env_name(const struct config_key *k, struct buf *b);
/* Find what no table knows in the files: warnings, and problems where a section should stand. */
void config_check_keys(struct config *c, const struct config_key **keys, size_t n, struct problems *p);

/* quantity.c: Kubernetes' quantities, in bytes, rounded up. Source: apimachinery resource.Quantity. */
bool quantity_parse(struct str s, int64_t *ret);
void quantity_add(struct buf *b, int64_t bytes);
