#include <errno.h>
#include <stdio.h>

#include "base/base.h"
#include "config/common_keys.h"

enum { MAX_PASSWORD_BYTES = 4096 };

static void add_parameter(struct buf *b, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(b, "%s%s='", b->len ? " " : "", name);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *value);
	}
	buf_addc(b, '\'');
}

static enum code read_password(const char *path, char *ret, struct err *err)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(ret, 1, MAX_PASSWORD_BYTES - 1, f) : 0;
	bool bad = !f || ferror(f);
	int why = errno;
	if (f)
		fclose(f);
	if (bad)
		return err_set(err, INVALID_ARGUMENT, "database.postgres.passwordPath: %s: %s", path, strerror(why));
	ret[n] = 0;
	ret[strcspn(ret, "\r\n")] = 0;
	return OK;
}

enum code database_dsn(const struct database_config *d, struct buf *ret, struct err *err)
{
	char from_file[MAX_PASSWORD_BYTES];
	const char *password = d->password;
	if (*d->dsn) {
		buf_adds(ret, d->dsn);
		return OK;
	}
	if (*d->password_path) {
		enum code c = read_password(d->password_path, from_file, err);
		if (c)
			return c;
		password = from_file;
	}
	char port[24];
	snprintf(port, sizeof port, "%lld", (long long)d->port);
	auto_buf struct buf b = {0};
	add_parameter(&b, "host", d->host);
	add_parameter(&b, "port", port);
	add_parameter(&b, "user", d->username);
	add_parameter(&b, "password", password);
	add_parameter(&b, "dbname", d->dbname);
	if (*d->options)
		buf_printf(&b, " %s", d->options);
	buf_add_str(ret, buf_str(&b));
	return OK;
}
