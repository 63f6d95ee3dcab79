/* Methods whose handler takes many calls at once. */
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET_PROJECT "/flyteidl.service.AdminService/GetProject"

/* Fails with the code that the id starts with; says nothing about it when there is no more than the code. */
static void get_projects(struct api_one *const *ones, size_t n)
{
	struct world *w = ones[0]->rq->user;

	w->batches++;
	w->handled += n;
	for (size_t i = 0; i < n; i++) {
		struct api_one *one = ones[i];
		const AdminProjectGetRequest *in = one->in;
		AdminProject *ret = one->ret;
		int code = atoi(in->id);

		assert_int_equal(one->code, OK);
		strncat(w->seen, in->id, sizeof w->seen - strlen(w->seen) - 1);
		strncat(w->seen, ";", sizeof w->seen - strlen(w->seen) - 1);
		if (code)
			one->code = in->id[1] ? err_set(one->err, (enum code)code, "of %s", in->id) : (enum code)code;
		else
			ret->id = arena_printf(one->rq->arena, "%s for %s", in->id, one->rq->principal);
	}
}

static enum code get_version(struct request *rq, const void *in, void *ret, struct err *err)
{
	(void)rq, (void)in, (void)ret, (void)err;
	return OK;
}

/* Strangers are told so; others are who their peer is. */
static enum code authenticate(struct request *rq, struct err *err)
{
	if (strcmp(rq->peer, "stranger") == 0)
		return err_set(err, UNAUTHENTICATED, "who are you?");
	rq->principal = rq->peer;
	return OK;
}

static const struct api_together_binding projects[] = {{"GetProject", get_projects}, {0}};
static const struct api_binding versions[] = {{"GetVersion", get_version}, {0}};

static struct world *bound(bool with_auth)
{
	struct world *w = world_new(with_auth ? authenticate : NULL);

	api_bind_together(w->api, &ADMIN_SERVICE_TABLE, projects);
	api_bind(w->api, &ADMIN_SERVICE_TABLE, versions);
	return w;
}

struct asked {
	const char *id, *peer;
	bool late;
	enum code code;
	const char *text; /* the project's id, or the error's text */
};

static void call_all(struct world *w, const struct asked *asked, size_t n)
{
	const struct api_method *m = api_find(w->api, STR(GET_PROJECT));
	struct api_one ones[API_TOGETHER];
	struct request rqs[API_TOGETHER];
	struct err errs[API_TOGETHER];

	for (size_t i = 0; i < n; i++) {
		AdminProjectGetRequest *in = pb_new(w->arena, ADMIN_PROJECT_GET_REQUEST_DESC);
		in->id = arena_strdup(w->arena, asked[i].id);
		rqs[i] = (struct request){.arena = w->arena,
					  .peer = asked[i].peer ? asked[i].peer : "",
					  .authority = "",
					  .deadline_us = asked[i].late ? time_now_us() - 1 : INT64_MAX};
		ones[i] = (struct api_one){&rqs[i], in, pb_new(w->arena, ADMIN_PROJECT_DESC), &errs[i], OK};
	}
	api_call_together(w->api, m, ones, n);
	for (size_t i = 0; i < n; i++) {
		const AdminProject *out = ones[i].ret;
		assert_int_equal(ones[i].code, asked[i].code);
		assert_int_equal(errs[i].code, asked[i].code);
		assert_string_equal(asked[i].code ? errs[i].text : out->id, asked[i].text);
		assert_ptr_equal(rqs[i].method, api_method_table(m));
	}
}

static void each_has_its_own_end(void **state)
{
	static const struct asked asked[] = {
		{"a", "ann", .text = "a for ann"},
		{"b", "bob", true, DEADLINE_EXCEEDED,
		 GET_PROJECT ": the deadline had passed before the call was begun"},
		{"5 c", "cid", false, NOT_FOUND, "of 5 c"},
		{"d", "stranger", false, UNAUTHENTICATED, "who are you?"},
		{"5", "eve", false, NOT_FOUND, GET_PROJECT " failed (NOT_FOUND)"},
		{"2 f", "fay", false, INTERNAL, "of 2 f"},
		{"g", "gil", .text = "g for gil"},
	};
	struct world *w = bound(true);

	(void)state;
	call_all(w, asked, ARRAY_SIZE(asked));
	assert_string_equal(w->seen, "a;5 c;5;2 f;g;");
	assert_int_equal(w->batches, 1);
	assert_line(w, "\nflyte:admin:admin:get_project:success 2\n");
	assert_line(w, "\nflyte:admin:admin:get_project:errors 5\n");
	assert_line(w, "\nflyte:admin:admin:get_project:codes:NotFound 2\n");
	assert_line(w, "\nflyte:admin:admin:get_project:codes:DeadlineExceeded 1\n");
	assert_line(w, "\nflyte:admin:admin:get_project:codes:Unauthenticated 1\n");
	assert_line(w, "\nflyte:admin:admin:get_project:codes:Internal 1\n");
	assert_line(w, "\nflyte:admin:admin:get_project:duration_ms_count 7\n");
	world_free(w);
}

static void none_left_is_no_call(void **state)
{
	static const struct asked asked[] = {
		{"a", "stranger", false, UNAUTHENTICATED, "who are you?"},
		{"b", "bob", true, DEADLINE_EXCEEDED,
		 GET_PROJECT ": the deadline had passed before the call was begun"},
	};
	struct world *w = bound(true);

	(void)state;
	call_all(w, asked, ARRAY_SIZE(asked));
	assert_int_equal(w->batches, 0);
	world_free(w);
}

static void as_many_as_may_be(void **state)
{
	struct asked asked[API_TOGETHER];
	struct world *w = bound(false);

	(void)state;
	for (size_t i = 0; i < API_TOGETHER; i++)
		asked[i] = (struct asked){"x", .text = "x for "};
	call_all(w, asked, API_TOGETHER);
	assert_int_equal(w->batches, 1);
	assert_int_equal(w->handled, API_TOGETHER);
	world_free(w);
}

/* By REST, say: where nothing gathers. */
static void one_alone(void **state)
{
	struct world *w = bound(false);
	const struct api_method *m = api_find(w->api, STR(GET_PROJECT));
	struct request rq = {.arena = w->arena, .peer = "", .authority = "", .deadline_us = INT64_MAX};
	AdminProjectGetRequest in = ADMIN_PROJECT_GET_REQUEST_INIT;
	AdminProject *out = pb_new(w->arena, ADMIN_PROJECT_DESC);
	struct err err;

	(void)state;
	assert_true(api_takes_together(m));
	in.id = (char *)"a";
	assert_int_equal(api_call(w->api, m, &rq, &in, out, &err), OK);
	assert_string_equal(out->id, "a for ");
	in.id = (char *)"5 b";
	assert_int_equal(api_call(w->api, m, &rq, &in, out, &err), NOT_FOUND);
	assert_string_equal(err.text, "of 5 b");
	assert_int_equal(api_call(w->api, m, &rq, &in, out, NULL), NOT_FOUND);
	rq.deadline_us = 1;
	assert_int_equal(api_call(w->api, m, &rq, &in, out, &err), DEADLINE_EXCEEDED);
	assert_int_equal(w->batches, 3);
	assert_int_equal(w->handled, 3);
	assert_line(w, "\nflyte:admin:admin:get_project:errors 3\n");
	assert_false(api_takes_together(api_find(w->api, STR("/flyteidl.service.AdminService/GetVersion"))));
	assert_false(api_takes_together(api_find(w->api, STR("/flyteidl.service.AdminService/GetTask"))));
	world_free(w);
}

static void bind_both_ways(struct world *w, bool together_last)
{
	static const struct api_binding alone[] = {{"GetProject", get_version}, {0}};
	static const struct api_together_binding together[] = {{"GetVersion", get_projects}, {0}};

	if (together_last)
		api_bind_together(w->api, &ADMIN_SERVICE_TABLE, together);
	else
		api_bind(w->api, &ADMIN_SERVICE_TABLE, alone);
}

static void is_bound_one_way(void **state)
{
	struct world *w = bound(false);

	(void)state;
	for (int together_last = 0; together_last < 2; together_last++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			setrlimit(RLIMIT_CORE, &(struct rlimit){0});
			signal(SIGABRT, SIG_DFL);
			if (freopen("/dev/null", "w", stderr))
				bind_both_ways(w, together_last);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_own_end), cmocka_unit_test(none_left_is_no_call),
		cmocka_unit_test(as_many_as_may_be),    cmocka_unit_test(one_alone),
		cmocka_unit_test(is_bound_one_way),
	};

	return cmocka_run_group_tests_name("api together", tests, NULL, NULL);
}
