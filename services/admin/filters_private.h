/* What filters.c and list.c share. */
#pragma once
#include "filters.h"

const char *list_cast(enum column_kind kind); /* the type that a parameter is cast to, to be compared with a column */
const struct list_column *list_find_column(const struct list_entity *e, struct str name); /* or NULL */
void list_and(struct list *l);                                                            /* " WHERE " or " AND " */
void list_param(struct list *l, struct db_param value); /* "$n", and remembers the value */
