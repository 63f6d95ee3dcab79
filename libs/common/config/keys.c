/* The tables as one sorted list; what the files say that no table knows. */
#include <ctype.h>
#include <strings.h>

#include "private.h"

static int compare_paths(const void *a, const void *b)
{
	const struct config_key *const *x = a, *const *y = b;
	/* A section's own keys before its subsections, so that the printed tree never returns to a section. */
	const char *p = (*x)->path, *q = (*y)->path;
	while (*p && *p == *q) {
		p++;
		q++;
	}
	bool p_last = !strchr(p, '.'), q_last = !strchr(q, '.');
	if (p_last != q_last)
		return p_last ? -1 : 1;
	return strcmp(p, q);
}

const struct config_key **config_keys(const struct config_key *const *tables, size_t *ret_n)
{
	VEC(const struct config_key *) keys = {0};
	for (const struct config_key *const *t = tables; *t; t++)
		for (const struct config_key *k = *t; k->path; k++)
			vec_push(&keys, k);
	vec_reserve(&keys, 1);
	qsort(keys.at, keys.n, sizeof *keys.at, compare_paths);
	*ret_n = keys.n;
	return keys.at;
}

void config_env_name(const struct config_key *k, struct buf *b)
{
	buf_adds(b, "ALULA_");
	for (const char *p = k->path; *p; p++)
		buf_addc(b, *p == '.' || *p == '-' ? '_' : (char)toupper((unsigned char)*p));
}

/* Text as keys are compared for a suggestion: `maxNodes`, `max-nodes` and `max_nodes` look alike. */
static void fold(const char *s, char *ret, size_t n)
{
	size_t used = 0;
	for (; *s && used + 1 < n; s++)
		if (*s != '-' && *s != '_')
			ret[used++] = (char)tolower((unsigned char)*s);
	ret[used] = 0;
}

/* Levenshtein's distance. */
static size_t distance(const char *a, const char *b)
{
	size_t row[128], n = strlen(b);
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t changed = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

static const char *last_segment(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot ? dot + 1 : path;
}

/* The known key that `path` was probably meant to be, into `ret`: one of nearly the same path, or one that has the same
 * name in another section. */
static bool nearest(const char *path, const struct config_key **keys, size_t n, struct buf *ret)
{
	char folded[128], other[128];
	fold(path, folded, sizeof folded);
	size_t best = MIN(3, strlen(folded) / 4 + 1) + 1;
	for (size_t i = 0; i < n; i++) {
		const char *end = keys[i]->path;
		do {
			end += strcspn(end + (*end == '.'), ".") + (*end == '.');
			auto_mem char *part = x_strndup(keys[i]->path, (size_t)(end - keys[i]->path));
			fold(part, other, sizeof other);
			size_t d = distance(folded, other);
			if (d < best) {
				best = d;
				buf_reset(ret);
				buf_adds(ret, part);
			}
		} while (*end);
	}
	for (size_t i = 0; i < n && !ret->len; i++)
		if (strcasecmp(last_segment(path), last_segment(keys[i]->path)) == 0)
			buf_adds(ret, keys[i]->path);
	return ret->len > 0;
}

enum standing { UNKNOWN_KEY, SECTION, KEY };

static enum standing standing_of(const char *path, const struct config_key **keys, size_t n)
{
	size_t len = strlen(path);
	enum standing found = UNKNOWN_KEY;
	for (size_t i = 0; i < n; i++) {
		if (strncasecmp(keys[i]->path, path, len) != 0)
			continue;
		if (!keys[i]->path[len])
			return KEY;
		if (keys[i]->path[len] == '.')
			found = SECTION;
	}
	return found;
}

static void warn_unknown(struct config *c, const struct node *at, const char *path, const struct config_key **keys,
			 size_t n)
{
	auto_buf struct buf near = {0};
	bool found = nearest(path, keys, n, &near);
	vec_push(&c->warnings, arena_printf(c->arena, "%s:%zu: unknown key %s%s%s%s", at->file, at->line, path,
					    found ? " (did you mean " : "", buf_text(&near), found ? "?)" : ""));
}

static void check_section(struct config *c, const struct node *section, const char *prefix,
			  const struct config_key **keys, size_t n, struct problems *p)
{
	for (const struct node *at = section->children; at; at = at->next) {
		const char *path = arena_printf(c->arena, "%s%s%s", prefix, *prefix ? "." : "", at->key);
		enum standing s = standing_of(path, keys, n);
		if (s == UNKNOWN_KEY)
			warn_unknown(c, at, path, keys, n);
		else if (s == SECTION && at->kind == NODE_MAP)
			check_section(c, at, path, keys, n, p);
		else if (s == SECTION && at->kind != NODE_NULL)
			problems_add(p, "%s:%zu: %s: expected a section with keys of its own", at->file, at->line,
				     path);
	}
}

void config_check_keys(struct config *c, const struct config_key **keys, size_t n, struct problems *p)
{
	for (size_t i = 0; i < c->n_files; i++)
		if (c->files[i])
			check_section(c, c->files[i], "", keys, n, p);
}
