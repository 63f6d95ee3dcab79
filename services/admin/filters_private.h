/* What filters.c and list.c share; the last two are for tests. */
#pragma once
#include "filters.h"

const char *list_cast(enum column_kind kind); /* the type that a parameter is cast to, to be compared with a column */
const struct list_column *list_find_column(const struct list_entity *e, struct str name); /* or NULL */
void list_and(struct list *l);                                                            /* " WHERE " or " AND " */
void list_param(struct list *l, struct db_param value); /* "$n", and remembers the value */
/* The part of list_run before the database: the page's beginning, order and limit, which is lowered to what we give. */
enum code list_page(struct list *l, uint32_t *limit, const char *token, struct err *err);
const char *list_token(struct list *l, struct str sort_value, int64_t id); /* for the page behind this row */
