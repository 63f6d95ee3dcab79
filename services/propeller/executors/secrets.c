#include "executors/secrets.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { MAX_SECRETS = 256, MAX_VALUE_BYTES = 1 << 20 };

#define ENV_PREFIX "_FSEC_"

/* ---- names ---- */

/* Part of a path and of a variable's name. */
static bool is_name(const char *s)
{
	static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *s && !s[strspn(s, PLAIN)] && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static bool is_variable(const char *s)
{
	for (const char *p = s; *p; p++)
		if (!isalpha((unsigned char)*p) && *p != '_' && (p == s || !isdigit((unsigned char)*p)))
			return false;
	return *s;
}

static enum code check(const CoreSecret *s, struct err *err)
{
	if (!*s->group || !*s->key)
		return err_set(err, INVALID_ARGUMENT,
			       "a secret must have both group and key: group [%s], key [%s], which the task asks for",
			       s->group, s->key);
	if (!is_name(s->group) || !is_name(s->key) || (*s->group_version && !is_name(s->group_version)))
		return err_set(err, INVALID_ARGUMENT,
			       "secret group [%s], key [%s], version [%s]: expected names of letters, digits, '.', '_' "
			       "and '-'",
			       s->group, s->key, s->group_version);
	if (*s->env_var && !is_variable(s->env_var))
		return err_set(err, INVALID_ARGUMENT, "secret group [%s], key [%s]: [%s] cannot name a variable",
			       s->group, s->key, s->env_var);
	if (s->mount_requirement > CORE_SECRET_MOUNT_TYPE_FILE)
		return err_set(err, INVALID_ARGUMENT,
			       "unrecognized mount requirement [%d] for secret group [%s], key [%s]",
			       (int)s->mount_requirement, s->group, s->key);
	return OK;
}

/* "<prefix>GROUP_KEY", with a version "<prefix>GROUP_VERSION_KEY". */
static char *variable(struct arena *a, const char *prefix, const CoreSecret *s, const char *version)
{
	char *name = arena_printf(a, "%s%s%s%s_%s", prefix, s->group, *version ? "_" : "", version, s->key);

	for (char *p = name + strlen(prefix); *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return name;
}

/* "group/key" in small letters, with a version "group/version/key". */
static char *file_name(struct arena *a, const CoreSecret *s, const char *version)
{
	char *name = arena_printf(a, "%s%s%s/%s", s->group, *version ? "/" : "", version, s->key);

	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return name;
}

/* ---- reading ---- */

static bool from_environment(const struct secrets_source *from, const CoreSecret *s, struct arena *a, struct str *ret)
{
	const char *value = NULL;

	if (*from->env_prefix && *s->group_version)
		value = getenv(variable(a, from->env_prefix, s, s->group_version));
	if (*from->env_prefix && !value)
		value = getenv(variable(a, from->env_prefix, s, ""));
	if (!value)
		return false;
	*ret = str_of(arena_strdup(a, value));
	return true;
}

/* NOT_FOUND without a text: the caller knows which secret it is. */
static enum code read_value(const char *path, struct arena *a, struct str *ret, struct err *err)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t len = 0;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return NOT_FOUND;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_set(err, PERMISSION_DENIED, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_VALUE_BYTES)
		return err_set(err, INVALID_ARGUMENT, "is no file of at most %d bytes", MAX_VALUE_BYTES);
	char *data = arena_alloc(a, (size_t)st.st_size + 1);
	for (ssize_t n; len < (size_t)st.st_size && (n = read(fd, data + len, (size_t)st.st_size - len)) > 0;)
		len += (size_t)n;
	data[len] = '\0';
	*ret = (struct str){data, len};
	return OK;
}

static enum code from_file(const struct secrets_source *from, const CoreSecret *s, struct arena *a, struct str *ret,
			   struct err *err)
{
	const char *names[] = {
		*s->group_version ? arena_printf(a, "%s/%s/%s", s->group, s->group_version, s->key) : NULL,
		*s->group_version ? file_name(a, s, s->group_version) : NULL,
		arena_printf(a, "%s/%s", s->group, s->key),
		file_name(a, s, ""),
	};
	enum code c = NOT_FOUND;

	for (size_t i = 0; c == NOT_FOUND && i < ARRAY_SIZE(names); i++)
		if (names[i])
			c = read_value(arena_printf(a, "%s/%s", from->dir, names[i]), a, ret, err);
	return c;
}

static enum code read_one(const struct secrets_source *from, struct secret *s, struct arena *a, struct err *err)
{
	const CoreSecret *asked = s->asked;
	enum code c = check(asked, err);

	if (c)
		return c;
	s->as_file = asked->mount_requirement != CORE_SECRET_MOUNT_TYPE_ENV_VAR;
	if (!from_environment(from, asked, a, &s->value))
		c = from_file(from, asked, a, &s->value, err);
	if (c == NOT_FOUND)
		return err_set(err, NOT_FOUND,
			       "secret group [%s], key [%s] is not there: expected the variable %s of propeller or the "
			       "file %s/%s in secrets.secrets-prefix",
			       asked->group, asked->key, variable(a, from->env_prefix, asked, ""), asked->group,
			       asked->key);
	if (c)
		return err_prefix(err, c, "secret group [%s], key [%s] ", asked->group, asked->key);
	if (!s->as_file && memchr(s->value.ptr, '\0', s->value.len))
		return err_set(err, INVALID_ARGUMENT,
			       "secret group [%s], key [%s] has NUL bytes: it can only be a file", asked->group,
			       asked->key);
	return OK;
}

enum code secrets_read(const struct secrets_source *from, const CoreSecurityContext *context, struct arena *a,
		       struct secrets *ret, struct err *err)
{
	size_t n = context ? context->n_secrets : 0;
	enum code c = OK;

	*ret = (struct secrets){0};
	if (n > MAX_SECRETS)
		return err_set(err, INVALID_ARGUMENT, "the task asks for %zu secrets, more than %d", n, MAX_SECRETS);
	ret->at = arena_array(a, struct secret, n);
	for (size_t i = 0; !c && i < n; i++) {
		ret->at[i].asked = context->secrets[i];
		c = read_one(from, &ret->at[i], a, err);
		ret->files |= ret->at[i].as_file;
		ret->n++;
	}
	return c;
}

/* ---- files ---- */

static enum code write_value(const char *dir, const char *name, struct str value, struct err *err)
{
	auto_mem char *path = x_printf("%s/%s", dir, name);

	for (char *p = strchr(path + strlen(dir) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return err_set(err, INTERNAL, "cannot make %s: %s", path, strerror(errno));
		*p = '/';
	}
	/* Asked for twice: once is enough. */
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (fd < 0 && errno == EEXIST)
		return OK;
	if (fd < 0 || write(fd, value.ptr, value.len) != (ssize_t)value.len)
		return err_set(err, INTERNAL, "cannot write %s: %s", path, strerror(errno));
	return OK;
}

enum code secrets_write(const struct secrets *s, const char *dir, struct err *err)
{
	auto_free(arena_free) struct arena *a = arena_new(1024);
	enum code c = OK;

	if (!s->files)
		return OK;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set(err, INTERNAL, "cannot make %s: %s", dir, strerror(errno));
	for (size_t i = 0; !c && i < s->n; i++) {
		const CoreSecret *asked = s->at[i].asked;
		if (!s->at[i].as_file)
			continue;
		c = write_value(dir, file_name(a, asked, ""), s->at[i].value, err);
		if (!c && *asked->group_version)
			c = write_value(dir, file_name(a, asked, asked->group_version), s->at[i].value, err);
	}
	return c;
}

/* ---- variables ---- */

struct variables {
	struct arena *a;
	char **at;
	size_t n;
};

/* The first of a name counts, as in a pod. */
static void add(struct variables *v, const char *key, struct str value)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < v->n; i++)
		if (strncmp(v->at[i], key, len) == 0 && v->at[i][len] == '=')
			return;
	v->at[v->n++] = arena_printf(v->a, "%s=%.*s", key, STR_ARG(value));
}

static void add_secret(struct variables *v, const struct secret *s, const char *dir)
{
	const CoreSecret *asked = s->asked;
	struct str value = s->value;

	if (s->as_file) {
		value = str_of(arena_printf(v->a, "%s/%s", dir, file_name(v->a, asked, "")));
	} else {
		/* Files end with a newline where people write them. */
		value.len -= str_ends(value, "\n");
		if (*asked->group_version)
			add(v, variable(v->a, ENV_PREFIX, asked, asked->group_version), value);
		add(v, variable(v->a, ENV_PREFIX, asked, ""), value);
	}
	if (*asked->env_var)
		add(v, asked->env_var, value);
}

char **secrets_env(const struct secrets *s, const char *dir, struct arena *a)
{
	struct variables v = {a, arena_array(a, char *, s->n * 3 + 4), 0};
	bool variables = false;

	for (size_t i = 0; i < s->n; i++) {
		add_secret(&v, &s->at[i], dir);
		variables |= !s->at[i].as_file;
	}
	if (variables)
		add(&v, "FLYTE_SECRETS_ENV_PREFIX", STR(ENV_PREFIX));
	if (s->files) {
		add(&v, "FLYTE_SECRETS_DEFAULT_DIR", str_of(dir));
		add(&v, "FLYTE_SECRETS_FILE_PREFIX", STR(""));
	}
	return v.at;
}
