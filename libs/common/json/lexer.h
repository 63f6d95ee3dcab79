/* JSON text in pieces (RFC 8259), for read.c. After a failure everything else fails too. */
#pragma once
#include "json/private.h"

enum { JSON_ERROR_BYTES = 200, JSON_SKIP_DEPTH = 500 };

struct lexer {
	const char *start, *at, *end;
	const char *wrong_at;
	char wrong[JSON_ERROR_BYTES]; /* "" while all is well */
	struct arena *arena;
};

bool lex_fail(struct lexer *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The next character that is not blank, 0 at the end. It stays. */
char lex_peek(struct lexer *l);
/* Take the character c, or fail. */
bool lex_take(struct lexer *l, char c);
/* In an object or list: is there another element? *first is true before the first one. Takes commas and `close`. */
bool lex_more(struct lexer *l, char close, bool *first);
/* A string; without escapes it is borrowed from the text, else in the arena. No NUL, valid UTF-8. */
bool lex_string(struct lexer *l, struct str *ret);
/* A number, true, false or null, as its text. */
bool lex_word(struct lexer *l, struct str *ret);
/* Any value, unread. */
bool lex_skip(struct lexer *l);
