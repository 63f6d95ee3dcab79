/* Files, environment, defaults and what is told of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "config/common_keys.h"

struct target {
	const char *name;
	int64_t port, max_nodes, grace_us, bytes;
	bool on;
	double rate;
	const char *note;
	struct config_strings domains;
	struct config_map path;
	struct database_config database;
};

#define AT(field) .offset = offsetof(struct target, field)
static const struct config_key KEYS[] = {
	{.path = "server.name", .type = CONFIG_STRING, AT(name), .default_value = "alula"},
	{.path = "server.grpc.port", .type = CONFIG_INT, AT(port), .default_value = "8089", .min = 1, .max = 65535},
	{.path = "max-workflow-nodes", .type = CONFIG_INT, AT(max_nodes), .default_value = "100"},
	{.path = "drain.grace",
	 .type = CONFIG_DURATION,
	 AT(grace_us),
	 .default_value = "30s",
	 .min = 1000,
	 .max = 3600 * USEC_PER_SEC},
	{.path = "limits.bytes", .type = CONFIG_SIZE, AT(bytes), .default_value = "4Mi", .max = INT64_MAX},
	{.path = "server.on", .type = CONFIG_BOOL, AT(on), .env = "SERVER_IS_ON"},
	{.path = "rate", .type = CONFIG_DOUBLE, AT(rate), .default_value = "0.5", .min = 0, .max = 1},
	{.path = "note", .type = CONFIG_STRING, AT(note)},
	{.path = "domains", .type = CONFIG_STRINGS, AT(domains), .default_value = "[development, \"pro,duction\"]"},
	{.path = "plugins.process.path", .type = CONFIG_MAP, AT(path), .default_value = "{\"*\": /bin}"},
	{0},
};
static const struct config_key SHARED[] = {DATABASE_KEYS(struct target, database), {0}};
static const struct config_key *const TABLES[] = {KEYS, SHARED, NULL};

struct fixture {
	char dir[64];
	char *files[4];
	size_t n;
	struct target t;
	struct config *config;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = x_calloc(1, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "/tmp/alula-config-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < f->n; i++) {
		unlink(f->files[i]);
		free(f->files[i]);
	}
	rmdir(f->dir);
	config_free(f->config);
	free(f);
	return 0;
}

static void put_bytes(struct fixture *f, const char *text, size_t n)
{
	f->files[f->n] = x_printf("%s/%zu.yaml", f->dir, f->n);
	FILE *out = fopen(f->files[f->n++], "w");
	assert_int_equal(fwrite(text, 1, n, out), n);
	fclose(out);
}

static void put(struct fixture *f, const char *text)
{
	put_bytes(f, text, strlen(text));
}

static enum code load(struct fixture *f)
{
	config_free(f->config);
	f->config = NULL;
	return config_load(TABLES, (const char *const *)f->files, f->n, &f->t, &f->config, &f->err);
}

static void must_load(struct fixture *f)
{
	if (load(f))
		fail_msg("%s", f->err.text);
}

/* The error's text, without the directory of the file. */
static void must_fail(struct fixture *f, const char *text)
{
	struct target before;
	memset(&f->t, 7, sizeof f->t);
	before = f->t;
	assert_int_equal(load(f), INVALID_ARGUMENT);
	assert_memory_equal(&before, &f->t, sizeof before);
	auto_mem char *expected = x_printf("%s/0.yaml%s", f->dir, text);
	assert_string_equal(f->err.text, expected);
}

static void defaults_hold_without_files(void **state)
{
	struct fixture *f = *state;
	must_load(f);
	assert_string_equal(f->t.name, "alula");
	assert_int_equal(f->t.port, 8089);
	assert_int_equal(f->t.grace_us, 30 * USEC_PER_SEC);
	assert_int_equal(f->t.bytes, 4 << 20);
	assert_false(f->t.on);
	assert_true(f->t.rate == 0.5);
	assert_string_equal(f->t.note, "");
	assert_int_equal(f->t.domains.n, 2);
	assert_string_equal(f->t.domains.at[1], "pro,duction");
	assert_int_equal(f->t.path.n, 1);
	assert_string_equal(f->t.path.at[0].key, "*");
	assert_string_equal(f->t.path.at[0].value, "/bin");
}

static void every_type_is_read(void **state)
{
	struct fixture *f = *state;
	put(f, "Server:\n"
	       "  name: \"x: y\"\n"
	       "  GRPC: {PORT: '90'}\n"
	       "  on: True\n"
	       "max-workflow-nodes: -5\n"
	       "drain: {grace: {duration: 1h}}\n"
	       "limits: {bytes: 1.5Gi}\n"
	       "rate: 0.25\n"
	       "domains: a, b,c\n"
	       "plugins: {process: {path: [{FOO: a}, {foo: b}]}}\n");
	must_load(f);
	assert_string_equal(f->t.name, "x: y");
	assert_int_equal(f->t.port, 90);
	assert_true(f->t.on);
	assert_int_equal(f->t.max_nodes, -5);
	assert_int_equal(f->t.grace_us, 3600 * USEC_PER_SEC);
	assert_int_equal(f->t.bytes, INT64_C(3) << 29);
	assert_true(f->t.rate == 0.25);
	assert_int_equal(f->t.domains.n, 3);
	assert_string_equal(f->t.domains.at[2], "c");
	assert_int_equal(f->t.path.n, 2);
	assert_string_equal(f->t.path.at[0].value, "a");
	const char *const *warnings;
	assert_int_equal(config_warnings(f->config, &warnings), 0);
}

static void later_files_win_and_maps_merge(void **state)
{
	struct fixture *f = *state;
	put(f, "server: {name: one, grpc: {port: 1}}\ndomains: [a, b]\nplugins: {process: {path: {x: 1, y: 2}}}\n");
	put(f, "server: {name: two, on: yes}\ndomains: [c]\nplugins: {process: {path: {y: 3, z: 4}}}\nrate:\n");
	put(f, "");
	must_load(f);
	assert_string_equal(f->t.name, "two");
	assert_int_equal(f->t.port, 1);
	assert_true(f->t.on);
	assert_int_equal(f->t.domains.n, 1);
	assert_int_equal(f->t.path.n, 3);
	assert_string_equal(f->t.path.at[1].value, "3");
	assert_true(f->t.rate == 0.5);
}

static void anchors_and_merge_keys(void **state)
{
	struct fixture *f = *state;
	put(f, "base: &b {name: base, on: true}\nserver:\n  <<: *b\n  name: own\n");
	must_load(f);
	assert_string_equal(f->t.name, "own");
	assert_true(f->t.on);
}

static void environment_wins(void **state)
{
	struct fixture *f = *state;
	put(f, "server: {name: file, grpc: {port: 1}}\n");
	setenv("ALULA_SERVER_GRPC_PORT", "77", 1);
	setenv("ALULA_MAX_WORKFLOW_NODES", "9", 1);
	setenv("ALULA_DRAIN_GRACE", "", 1);
	setenv("ALULA_SERVER_NAME", "", 1);
	setenv("SERVER_IS_ON", "on", 1);
	setenv("ALULA_PLUGINS_PROCESS_PATH", "*=/a, py:3=/b=c", 1);
	must_load(f);
	assert_int_equal(f->t.port, 77);
	assert_int_equal(f->t.max_nodes, 9);
	assert_int_equal(f->t.grace_us, 30 * USEC_PER_SEC);
	assert_string_equal(f->t.name, "");
	assert_true(f->t.on);
	assert_int_equal(f->t.path.n, 2);
	assert_string_equal(f->t.path.at[1].key, "py:3");
	assert_string_equal(f->t.path.at[1].value, "/b=c");
	setenv("ALULA_SERVER_GRPC_PORT", "many", 1);
	assert_int_equal(load(f), INVALID_ARGUMENT);
	assert_string_equal(f->err.text, "environment ALULA_SERVER_GRPC_PORT (server.grpc.port): expected an integer, "
					 "from 1 to 65535, not \"many\"");
	static const char *const NAMES[] = {"ALULA_SERVER_GRPC_PORT", "ALULA_MAX_WORKFLOW_NODES",
					    "ALULA_DRAIN_GRACE",      "ALULA_SERVER_NAME",
					    "SERVER_IS_ON",           "ALULA_PLUGINS_PROCESS_PATH"};
	for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++)
		unsetenv(NAMES[i]);
}

static void all_errors_are_told(void **state)
{
	struct fixture *f = *state;
	put(f, "server:\n  grpc:\n    port: 70000\n  on: perhaps\nlimits: 5\ndrain:\n  grace: 30\n"
	       "domains:\n  - a\n  - [b]\n");
	auto_mem char *expected = x_printf(
		":5: limits: expected a section with keys of its own\n"
		"%s/0.yaml:10: domains: expected a list of texts\n"
		"%s/0.yaml:7: drain.grace: expected a duration with its unit, such as 500ms, 30s or 1h30m, from 1ms "
		"to 1h0m0s, not \"30\"\n"
		"%s/0.yaml:4: server.on: expected true or false, not \"perhaps\"\n"
		"%s/0.yaml:3: server.grpc.port: expected an integer, from 1 to 65535, not \"70000\"",
		f->dir, f->dir, f->dir, f->dir);
	memset(&f->t, 7, sizeof f->t);
	load(f);
	must_fail(f, expected);
}

static void broken_yaml_names_the_line(void **state)
{
	static const struct {
		const char *text, *error;
	} CASES[] = {
		{"server:\n\tname: x\n", ":2: a tab in the indentation; YAML wants blanks"},
		{"a: 1\n---\nb: 2\n", ":2: a second document; one file holds one"},
		{"a: 1\nb: 2\na: 3\n", ":3: a: stands in line 1 already"},
		{"- a\n- b\n", ":1: expected keys at the top, \"key: value\""},
		{"a: [1, 2\nb: 3\n", ":2: did not find expected ',' or ']' (while parsing a flow sequence of line 1)"},
		{"a: *nobody\n", ":1: found undefined alias"},
		{"a: &x [*x]\n", ":1: nested too deeply or too large (an alias of itself?)"},
		{"? [a]\n: b\n", ":1: a key must be a text"},
		{"a: \"x\\0y\"\n", ":1: a NUL character in a text"},
		{"a: 1\nb: \001\n", ":2: control characters are not allowed"},
	};
	struct fixture *f = *state;
	put(f, "");
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		FILE *out = fopen(f->files[0], "w");
		fputs(CASES[i].text, out);
		fclose(out);
		must_fail(f, CASES[i].error);
	}
}

static void a_bomb_of_aliases_is_refused(void **state)
{
	struct fixture *f = *state;
	auto_buf struct buf b = {0};
	buf_adds(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 20; i++) {
		buf_printf(&b, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			buf_printf(&b, "%s*a%d", j ? ", " : "", i - 1);
		buf_adds(&b, "]\n");
	}
	put(f, buf_text(&b));
	assert_int_equal(load(f), INVALID_ARGUMENT);
	assert_non_null(strstr(f->err.text, "nested too deeply or too large"));
}

static void a_missing_file_is_named(void **state)
{
	struct fixture *f = *state;
	put(f, "server: {on: perhaps}\n");
	unlink(f->files[0]);
	assert_int_equal(load(f), NOT_FOUND);
	auto_mem char *expected = x_printf("%s/0.yaml: No such file or directory", f->dir);
	assert_string_equal(f->err.text, expected);
}

static void unknown_keys_warn_with_a_suggestion(void **state)
{
	static const char *const EXPECTED[] = {
		"3: unknown key server.grpc.prot (did you mean server.grpc.port?)",
		"4: unknown key server.nothingLikeIt",
		"5: unknown key maxWorkflowNodes (did you mean max-workflow-nodes?)",
		"6: unknown key drian (did you mean drain?)",
		"7: unknown key database.postgres.grace (did you mean drain.grace?)",
	};
	struct fixture *f = *state;
	put(f, "server:\n  grpc:\n    prot: 1\n  nothingLikeIt: [1]\nmaxWorkflowNodes: 3\ndrian: {grace: 1s}\n"
	       "database: {postgres: {grace: 1}}\n");
	must_load(f);
	const char *const *warnings;
	size_t n = config_warnings(f->config, &warnings);
	assert_int_equal(n, 5);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(warnings[i] + strlen(f->files[0]) + 1, EXPECTED[i]);
}

static void sizes_are_kubernetes_quantities(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes; /* -1: refused */
	} CASES[] = {{"0", 0},      {"1024", 1024},    {"500Mi", 500 << 20},
		     {"1k", 1000},  {"10M", 10000000}, {"1e3", 1000},
		     {"2E3", 2000}, {"1.5Ki", 1536},   {"0.1", 1},
		     {"1500m", 2},  {".5Gi", 1 << 29}, {"7Ei", INT64_C(7) << 60},
		     {"8Ei", -1},   {"1KB", -1},       {"1 Gi", -1},
		     {"Gi", -1},    {"1..2", -1},      {"1e99", -1},
		     {"-1", -1},    {"0x10", -1},      {"9223372036854775807", -1}};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
		setenv("ALULA_LIMITS_BYTES", CASES[i].text, 1);
		enum code c = load(f);
		if ((c != OK) != (CASES[i].bytes < 0) || (!c && f->t.bytes != CASES[i].bytes))
			fail_msg("%s: %s %lld", CASES[i].text, code_name(c), (long long)f->t.bytes);
	}
	unsetenv("ALULA_LIMITS_BYTES");
}

static void a_dump_is_a_file_again(void **state)
{
	struct fixture *f = *state;
	put(f, "server: {name: \"tab\\tand \\\"quote\\\"\"}\ndrain: {grace: 90s}\nlimits: {bytes: 1000}\nrate: 0.1\n"
	       "database: {postgres: {password: hidden}}\nplugins: {process: {path: {\"a b\": c}}}\n");
	must_load(f);
	auto_buf struct buf first = {0}, second = {0};
	config_dump(TABLES, &f->t, &first);
	assert_null(strstr(buf_text(&first), "hidden"));
	assert_non_null(strstr(buf_text(&first), "    password: \"***\"\n"));
	put(f, buf_text(&first));
	must_load(f);
	assert_string_equal(f->t.name, "tab\tand \"quote\"");
	assert_int_equal(f->t.grace_us, 90 * USEC_PER_SEC);
	const char *const *warnings;
	assert_int_equal(config_warnings(f->config, &warnings), 0);
	config_dump(TABLES, &f->t, &second);
	assert_string_equal(buf_text(&first), buf_text(&second));
}

static void docs_have_a_row_a_key(void **state)
{
	(void)state;
	auto_buf struct buf b = {0};
	config_docs("test", TABLES, &b);
	assert_non_null(strstr(buf_text(&b), "| `server.grpc.port` | integer, from 1 to 65535 | `8089` | "
					     "`ALULA_SERVER_GRPC_PORT` |  |\n"));
	assert_non_null(strstr(buf_text(&b), "| `server.on` | boolean |  | `ALULA_SERVER_ON`, `SERVER_IS_ON` |  |\n"));
	assert_non_null(strstr(buf_text(&b), "| `drain.grace` | duration, from 1ms to 1h0m0s | `30s` |"));
}

static void dsn_is_put_together(void **state)
{
	struct fixture *f = *state;
	put(f, "database: {postgres: {host: /run/pg, username: o'neil, password: 'a\\b', options: sslmode=disable}}\n");
	must_load(f);
	auto_buf struct buf b = {0};
	assert_int_equal(database_dsn(&f->t.database, &b, &f->err), OK);
	assert_string_equal(buf_text(&b), "host='/run/pg' port='5432' user='o\\'neil' password='a\\\\b' "
					  "dbname='alula' sslmode=disable");
	put(f, "s3cret\n");
	f->t.database.password_path = f->files[1];
	buf_reset(&b);
	assert_int_equal(database_dsn(&f->t.database, &b, &f->err), OK);
	assert_non_null(strstr(buf_text(&b), " password='s3cret' "));
	f->t.database.password_path = "/nonexistent/password";
	assert_int_equal(database_dsn(&f->t.database, &b, &f->err), INVALID_ARGUMENT);
	f->t.database.dsn = "postgres://x";
	buf_reset(&b);
	assert_int_equal(database_dsn(&f->t.database, &b, &f->err), OK);
	assert_string_equal(buf_text(&b), "postgres://x");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_hold_without_files),
		TEST(every_type_is_read),
		TEST(later_files_win_and_maps_merge),
		TEST(anchors_and_merge_keys),
		TEST(environment_wins),
		TEST(all_errors_are_told),
		TEST(broken_yaml_names_the_line),
		TEST(a_bomb_of_aliases_is_refused),
		TEST(a_missing_file_is_named),
		TEST(unknown_keys_warn_with_a_suggestion),
		TEST(sizes_are_kubernetes_quantities),
		TEST(a_dump_is_a_file_again),
		TEST(docs_have_a_row_a_key),
		TEST(dsn_is_put_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
