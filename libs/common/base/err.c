#include "base/err.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char ELLIPSIS[] = "…";

/* Copies `text` with invalid bytes replaced, cut between characters where it gets too long. */
static void store(char ret[ERR_TEXT_BYTES], const char *text)
{
	size_t left = strlen(text), n = 0, cut = 0;
	while (left) {
		size_t len = utf8_len(text, left);
		size_t step = len ? len : 1;
		if (n + step >= ERR_TEXT_BYTES) {
			memcpy(ret + cut, ELLIPSIS, sizeof ELLIPSIS);
			return;
		}
		memcpy(ret + n, len ? text : "?", step);
		n += step;
		if (n + sizeof ELLIPSIS <= ERR_TEXT_BYTES)
			cut = n;
		text += step;
		left -= step;
	}
	ret[n] = 0;
}

/* `fmt` applied, on the heap: an argument may well be err->text itself. */
static char *format(const char *fmt, va_list ap)
{
	char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		return x_strdup(fmt);
	return text;
}

enum code err_set(struct err *err, enum code code, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	auto_mem char *text = format(fmt, ap);
	va_end(ap);
	err->code = code;
	store(err->text, text);
	return code;
}

enum code err_prefix(struct err *err, enum code code, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	auto_mem char *prefix = format(fmt, ap);
	va_end(ap);
	auto_mem char *text = x_printf("%s%s", prefix, err->text);
	store(err->text, text);
	return err->code;
}

#define X(name, number) #name,
static const char *const NAMES[] = {ERR_CODES(X)};
#undef X

const char *code_name(enum code code)
{
	static _Thread_local char unknown[32];
	if ((size_t)code < ARRAY_SIZE(NAMES))
		return NAMES[code];
	snprintf(unknown, sizeof unknown, "CODE_%d", (int)code);
	return unknown;
}
