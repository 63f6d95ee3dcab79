#include "pb/method.h"

#include <string.h>

const struct pb_method *pb_find_method(const struct pb_service *s, const char *name)
{
	for (size_t i = 0; i < s->n_methods; i++)
		if (strcmp(s->methods[i].name, name) == 0)
			return &s->methods[i];
	return NULL;
}
