/* Secrets of tasks: where they come from and under which names tasks find them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "executors/attempt_dir.h"
#include "executors/secrets.h"

struct fixture {
	struct arena *a;
	char dir[64], out[80];
	struct secrets_source from;
	struct secrets got;
	struct err err;
};

static void put(struct fixture *f, const char *name, const char *value, size_t len)
{
	auto_mem char *path = x_printf("%s/%s", f->dir, name);

	attempt_dir_make_parents(path);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(value, 1, len, out), len);
	fclose(out);
}

static int setup(void **state)
{
	struct fixture *f = *state = x_calloc(1, sizeof *f);

	f->a = arena_new(0);
	snprintf(f->dir, sizeof f->dir, "/tmp/secrets-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->out, sizeof f->out, "%s/out", f->dir);
	f->from = (struct secrets_source){f->dir, "ALULA_TEST_SECRET_"};
	put(f, "db/password", "hunter2\n", 8);
	put(f, "db/v7/password", "newer", 5);
	put(f, "Big/Key", "a\0b", 3);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	attempt_dir_remove(f->dir);
	arena_free(f->a);
	free(f);
	return 0;
}

static CoreSecret *ask(struct fixture *f, const char *group, const char *version, const char *key,
		       CoreSecretMountType mount, const char *env_var)
{
	CoreSecret *s = arena_new_of(f->a, CoreSecret);

	*s = (CoreSecret)CORE_SECRET_INIT;
	s->group = (char *)group;
	s->group_version = (char *)version;
	s->key = (char *)key;
	s->mount_requirement = mount;
	s->env_var = (char *)env_var;
	return s;
}

static enum code get(struct fixture *f, CoreSecret **secrets, size_t n)
{
	CoreSecurityContext context = CORE_SECURITY_CONTEXT_INIT;

	context.secrets = secrets;
	context.n_secrets = n;
	return secrets_read(&f->from, &context, f->a, &f->got, &f->err);
}

static enum code get_one(struct fixture *f, const char *group, const char *key, CoreSecretMountType mount)
{
	CoreSecret *s = ask(f, group, "", key, mount, "");

	return get(f, &s, 1);
}

static const char *env_of(char **env, const char *key)
{
	size_t n = strlen(key);

	for (; *env; env++)
		if (strncmp(*env, key, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static void test_variables(void **state)
{
	struct fixture *f = *state;
	CoreSecret *s[] = {ask(f, "db", "", "password", CORE_SECRET_MOUNT_TYPE_ENV_VAR, "MY_PASSWORD"),
			   ask(f, "db", "v7", "password", CORE_SECRET_MOUNT_TYPE_ENV_VAR, "")};

	assert_int_equal(get(f, s, 2), OK);
	char **env = secrets_env(&f->got, "/x", f->a);
	assert_string_equal(env_of(env, "_FSEC_DB_PASSWORD"), "hunter2");
	assert_string_equal(env_of(env, "MY_PASSWORD"), "hunter2");
	assert_string_equal(env_of(env, "_FSEC_DB_V7_PASSWORD"), "newer");
	assert_string_equal(env_of(env, "FLYTE_SECRETS_ENV_PREFIX"), "_FSEC_");
	assert_null(env_of(env, "FLYTE_SECRETS_DEFAULT_DIR"));
	assert_int_equal(secrets_write(&f->got, f->out, NULL), OK);
	assert_int_equal(access(f->out, F_OK), -1);
}

static void check_file(const char *dir, const char *name, const char *want, size_t len)
{
	auto_mem char *path = x_printf("%s/%s", dir, name);
	char text[64];
	struct stat st;
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	assert_int_equal(fread(text, 1, sizeof text, in), len);
	fclose(in);
	assert_memory_equal(text, want, len);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
}

static void test_files(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	CoreSecret *s[] = {ask(f, "db", "v7", "password", CORE_SECRET_MOUNT_TYPE_FILE, "PASSWORD_FILE"),
			   ask(f, "Big", "", "Key", CORE_SECRET_MOUNT_TYPE_ANY, ""),
			   ask(f, "big", "", "Key", CORE_SECRET_MOUNT_TYPE_ANY, "")};

	put(f, "big/key", "small", 5);
	assert_int_equal(get(f, s, 3), OK);
	assert_int_equal(secrets_write(&f->got, f->out, &f->err), OK);
	assert_int_equal(stat(f->out, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	check_file(f->out, "db/password", "newer", 5);
	check_file(f->out, "db/v7/password", "newer", 5);
	check_file(f->out, "big/key", "a\0b", 3);
	char **env = secrets_env(&f->got, f->out, f->a);
	assert_string_equal(env_of(env, "FLYTE_SECRETS_DEFAULT_DIR"), f->out);
	assert_string_equal(env_of(env, "FLYTE_SECRETS_FILE_PREFIX"), "");
	assert_string_equal(env_of(env, "PASSWORD_FILE"), arena_printf(f->a, "%s/db/password", f->out));
	assert_null(env_of(env, "_FSEC_DB_PASSWORD"));
}

static void test_propeller_s_environment_wins(void **state)
{
	struct fixture *f = *state;

	setenv("ALULA_TEST_SECRET_DB_PASSWORD", "from outside", 1);
	assert_int_equal(get_one(f, "db", "password", CORE_SECRET_MOUNT_TYPE_ENV_VAR), OK);
	assert_string_equal(env_of(secrets_env(&f->got, "/x", f->a), "_FSEC_DB_PASSWORD"), "from outside");
	f->from.env_prefix = "";
	assert_int_equal(get_one(f, "db", "password", CORE_SECRET_MOUNT_TYPE_ENV_VAR), OK);
	assert_string_equal(env_of(secrets_env(&f->got, "/x", f->a), "_FSEC_DB_PASSWORD"), "hunter2");
	unsetenv("ALULA_TEST_SECRET_DB_PASSWORD");
}

static void test_missing_is_named(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get_one(f, "db", "passwort", CORE_SECRET_MOUNT_TYPE_ANY), NOT_FOUND);
	assert_non_null(strstr(f->err.text, "group [db], key [passwort]"));
	assert_int_equal(get_one(f, "db", "v7", CORE_SECRET_MOUNT_TYPE_ANY), INVALID_ARGUMENT);
	assert_non_null(strstr(f->err.text, "group [db], key [v7] is no file"));
	assert_int_equal(get_one(f, "", "password", CORE_SECRET_MOUNT_TYPE_ANY), INVALID_ARGUMENT);
	assert_int_equal(get_one(f, "Big", "Key", CORE_SECRET_MOUNT_TYPE_ENV_VAR), INVALID_ARGUMENT);
	assert_non_null(strstr(f->err.text, "NUL"));
}

static void test_names_lead_nowhere_else(void **state)
{
	static const char *const NAMES[] = {"..", ".", "../db", "/etc", "a/b", "a b", "a=b", "a\nb"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
		assert_int_equal(get_one(f, NAMES[i], "password", CORE_SECRET_MOUNT_TYPE_ANY), INVALID_ARGUMENT);
		assert_int_equal(get_one(f, "db", NAMES[i], CORE_SECRET_MOUNT_TYPE_ANY), INVALID_ARGUMENT);
		CoreSecret *s = ask(f, "db", NAMES[i], "password", CORE_SECRET_MOUNT_TYPE_ANY, "");
		assert_int_equal(get(f, &s, 1), INVALID_ARGUMENT);
		s = ask(f, "db", "", "password", CORE_SECRET_MOUNT_TYPE_ANY, NAMES[i]);
		assert_int_equal(get(f, &s, 1), INVALID_ARGUMENT);
	}
	assert_int_equal(get_one(f, "db", "password", (CoreSecretMountType)9), INVALID_ARGUMENT);
	assert_int_equal(get(f, NULL, 257), INVALID_ARGUMENT);
}

static void test_none(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(secrets_read(&f->from, NULL, f->a, &f->got, &f->err), OK);
	assert_null(secrets_env(&f->got, "/x", f->a)[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_variables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_propeller_s_environment_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_lead_nowhere_else, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
