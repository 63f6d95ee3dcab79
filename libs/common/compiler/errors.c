#include "compiler/errors.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/buf.h"

void compile_error(struct compile_errors *e, const char *code, const char *node, const char *fmt, ...)
{
	auto_buf struct buf b = {0};
	va_list ap;

	if (e->errors.n == COMPILE_ERRORS_MAX) {
		e->dropped++;
		return;
	}
	buf_printf(&b, "Code: %s, Node Id: %s, Description: ", code, node);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	vec_push(&e->errors, (struct compile_error){code, buf_take(&b, NULL)});
}

static int by_code_and_text(const void *x, const void *y)
{
	const struct compile_error *a = x, *b = y;
	int order = strcmp(a->code, b->code);
	return order ? order : strcmp(a->text, b->text);
}

static bool is_repeated(const struct compile_errors *e, size_t i)
{
	return i && strcmp(e->errors.at[i].text, e->errors.at[i - 1].text) == 0;
}

enum code compile_errors_finish(struct compile_errors *e, const char *prefix, struct err *err)
{
	auto_buf struct buf list = {0};
	size_t n = 0;

	if (!compile_errors_count(e))
		return OK;
	qsort(e->errors.at, e->errors.n, sizeof *e->errors.at, by_code_and_text);
	for (size_t i = 0; i < e->errors.n; i++)
		if (!is_repeated(e, i))
			buf_printf(&list, "\tError %zu: %s\n", n++, e->errors.at[i].text);
	err_set(err, INVALID_ARGUMENT, "%sCollected Errors: %zu\n%s", prefix, n + e->dropped, buf_text(&list));
	compile_errors_free(e);
	return INVALID_ARGUMENT;
}

void compile_errors_free(struct compile_errors *e)
{
	vec_each (struct compile_error *, p, &e->errors)
		free(p->text);
	vec_free(&e->errors);
	e->dropped = 0;
}
