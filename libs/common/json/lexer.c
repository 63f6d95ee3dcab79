#include "json/lexer.h"

#include <stdio.h>

bool lex_fail(struct lexer *l, const char *fmt, ...)
{
	va_list ap;

	if (l->wrong[0])
		return false;
	va_start(ap, fmt);
	vsnprintf(l->wrong, sizeof l->wrong, fmt, ap);
	va_end(ap);
	l->wrong_at = l->at;
	return false;
}

char lex_peek(struct lexer *l)
{
	while (l->at < l->end && (*l->at == ' ' || *l->at == '\n' || *l->at == '\r' || *l->at == '\t'))
		l->at++;
	return l->at < l->end && !l->wrong[0] ? *l->at : '\0';
}

static bool unexpected(struct lexer *l, const char *expected)
{
	if (l->at == l->end)
		return lex_fail(l, "the text ends where %s is expected", expected);
	return lex_fail(l, "%s is expected", expected);
}

bool lex_take(struct lexer *l, char c)
{
	if (lex_peek(l) != c)
		return unexpected(l, (char[]){'\'', c, '\'', '\0'});
	l->at++;
	return true;
}

bool lex_more(struct lexer *l, char close, bool *first)
{
	if (lex_peek(l) == close) {
		l->at++;
		return false;
	}
	if (!*first && !lex_take(l, ','))
		return false;
	*first = false;
	return !l->wrong[0];
}

static bool hex4(struct lexer *l, unsigned *ret)
{
	unsigned v = 0;

	if (l->end - l->at < 4)
		return unexpected(l, "four hexadecimal digits");
	for (int i = 0; i < 4; i++, l->at++) {
		const char *digits = "0123456789abcdef";
		const char *digit =
			*l->at ? strchr(digits, *l->at >= 'A' && *l->at <= 'F' ? *l->at + 32 : *l->at) : NULL;
		if (!digit)
			return unexpected(l, "a hexadecimal digit");
		v = v * 16 + (unsigned)(digit - digits);
	}
	*ret = v;
	return true;
}

static size_t put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* What follows "\u", with its second half if it is a surrogate. */
static bool unicode_escape(struct lexer *l, unsigned *ret)
{
	unsigned high, low;

	if (!hex4(l, &high))
		return false;
	*ret = high;
	if (high == 0)
		return lex_fail(l, "NUL is not accepted in texts");
	if (high < 0xd800 || high > 0xdfff)
		return true;
	if (high >= 0xdc00 || l->end - l->at < 2 || l->at[0] != '\\' || l->at[1] != 'u')
		return lex_fail(l, "a surrogate stands alone");
	l->at += 2;
	if (!hex4(l, &low))
		return false;
	if (low < 0xdc00 || low > 0xdfff)
		return lex_fail(l, "a surrogate stands alone");
	*ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

/* What follows a backslash, as UTF-8 at `to`; its length, or 0. It is never longer than the escape. */
static size_t escape(struct lexer *l, char *to)
{
	static const char from[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
	unsigned c;

	if (l->at == l->end)
		return unexpected(l, "an escape");
	if (*l->at == 'u') {
		l->at++;
		return unicode_escape(l, &c) ? put_utf8(to, c) : 0;
	}
	const char *p = *l->at ? strchr(from, *l->at) : NULL;
	if (!p)
		return lex_fail(l, "an unknown escape");
	*to = plain[p - from];
	l->at++;
	return 1;
}

static const char *plain_end(const char *p, const char *end)
{
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

static bool unescape(struct lexer *l, const char *from, struct str *ret)
{
	const char *close = from;
	char *to, *start;

	while (close < l->end && *close != '"')
		close += *close == '\\' ? 2 : 1;
	if (close > l->end)
		close = l->end;
	to = start = arena_alloc(l->arena, (size_t)(close - from) + 1);
	l->at = from;
	while (l->at < l->end && *l->at != '"') {
		const char *stop = plain_end(l->at, l->end);
		size_t n = (size_t)(stop - l->at);
		memcpy(to, l->at, n);
		to += n;
		l->at = stop;
		if (l->at == l->end || *l->at == '"')
			break;
		if (*l->at != '\\')
			return lex_fail(l, "a control character stands in a text");
		l->at++;
		if ((n = escape(l, to)) == 0)
			return false;
		to += n;
	}
	*ret = (struct str){start, (size_t)(to - start)};
	return true;
}

bool lex_string(struct lexer *l, struct str *ret)
{
	if (lex_peek(l) != '"')
		return unexpected(l, "a text");
	const char *from = ++l->at;
	l->at = plain_end(from, l->end);
	*ret = (struct str){from, (size_t)(l->at - from)};
	if (l->at < l->end && *l->at != '"' && !unescape(l, from, ret))
		return false;
	if (l->at == l->end)
		return unexpected(l, "the end of a text");
	l->at++;
	return utf8_valid(ret->ptr, ret->len) || lex_fail(l, "a text is not UTF-8");
}

bool lex_word(struct lexer *l, struct str *ret)
{
	const char *from;

	lex_peek(l);
	from = l->at;
	while (l->at < l->end && *l->at &&
	       (strchr("+-.", *l->at) || (*l->at >= '0' && *l->at <= '9') || (*l->at >= 'a' && *l->at <= 'z') ||
		(*l->at >= 'A' && *l->at <= 'Z')))
		l->at++;
	*ret = (struct str){from, (size_t)(l->at - from)};
	if (l->at == from)
		return unexpected(l, "a value");
	if (number_ok(*ret) || str_is(*ret, "true") || str_is(*ret, "false") || str_is(*ret, "null"))
		return true;
	l->at = from;
	return unexpected(l, "a value");
}

static bool skip_at(struct lexer *l, unsigned depth)
{
	char open = lex_peek(l);
	struct str s;
	bool first = true;

	if (open == '"')
		return lex_string(l, &s);
	if (open != '{' && open != '[')
		return lex_word(l, &s);
	if (depth == JSON_SKIP_DEPTH)
		return lex_fail(l, "it is nested too deeply");
	l->at++;
	while (lex_more(l, open == '{' ? '}' : ']', &first))
		if ((open == '{' && (!lex_string(l, &s) || !lex_take(l, ':'))) || !skip_at(l, depth + 1))
			return false;
	return !l->wrong[0];
}

bool lex_skip(struct lexer *l)
{
	return skip_at(l, 0);
}
