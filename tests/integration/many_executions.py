"""Many executions, for tests and measurements of lists: copies of one real execution with other names, times, phases and
owners, written by SQL; and what Postgres does for a list that goes through the API."""
import stack as stacks

FIRST = 10**15  # the key before the first copy
# Nine of ten are in the domain that is listed. There: workflow 0 ran for half of them, workflow 49 for one of 20,000; one
# of 5,000 is running, one of 20 failed, one of 10,000 with a code of its own; user0 started one of 40, user4 most; one
# of 1,000 is archived, one of 50 was scheduled. Nothing depends on anything else.
EXECUTIONS = """
CREATE FUNCTION pg_temp.draw(i integer, seed integer, n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
  'SELECT (hashint8extended(i, seed) & 1073741823)::integer % n';
INSERT INTO executions (key, project, domain, name, seq, phase, created_at, started_at, updated_at, duration, error_kind,
  error_code, state, state_changed_at, mode, principal, launch_entity, launch_plan_name, launch_plan_version,
  workflow_name, workflow_version, task_name, task_version, spec, closure)
SELECT 1000000000000000 + i, e.project, CASE WHEN i % 10 = 0 THEN 'production' ELSE e.domain END, 'x' || md5(i::text), 5,
  CASE WHEN failed THEN 6 WHEN pg_temp.draw(i, 2, 5000) = 0 THEN 2 ELSE 4 END, t,
  t + interval '1 ms' * pg_temp.draw(i, 3, 100), t + interval '1 s' * pg_temp.draw(i, 4, 3600),
  pg_temp.draw(i, 5, 3600) * 1000000::bigint, CASE WHEN failed THEN 'USER' END,
  CASE WHEN failed THEN CASE WHEN pg_temp.draw(i, 6, 500) = 0 THEN 'OOMKilled' ELSE 'USER:Unknown' END END,
  CASE WHEN pg_temp.draw(i, 7, 1000) = 0 THEN 1 ELSE 0 END, t, CASE WHEN pg_temp.draw(i, 8, 50) = 0 THEN 1 ELSE 0 END,
  'user' || least(pg_temp.draw(i, 9, 40), 4), e.launch_entity, w, 'v' || pg_temp.draw(i, 10, 30), w,
  'v' || pg_temp.draw(i, 10, 30), CASE WHEN pg_temp.draw(i, 11, 2000) = 0 THEN 'one.task' ELSE '' END, '', e.spec,
  e.closure
FROM (SELECT * FROM executions ORDER BY key LIMIT 1) e, generate_series(1, {n}) i,
  LATERAL (SELECT now() - interval '365 days' + interval '365 days' * i / {n} AS t,
           pg_temp.draw(i, 1, 20) = 0 AS failed, 'wf.' || CASE WHEN pg_temp.draw(i, 12, 20000) = 0 THEN 49
             WHEN pg_temp.draw(i, 13, 2) = 0 THEN 0 ELSE 1 + pg_temp.draw(i, 14, 47) END AS w) x
"""
TAGS = """
INSERT INTO execution_tags (key, value, execution)
SELECT 'team', 'team' || (i % 100), 1000000000000000 + i FROM generate_series(1, {n}, 10) i
"""
NODES = """
INSERT INTO node_executions (execution, node_id, seq, phase, created_at, started_at, updated_at, duration, input_uri,
  inputs, metadata, closure)
SELECT 1000000000000000 + i, 'n' || k, 3, CASE WHEN i % 20 = 3 AND k = {nodes} - 1 THEN 5 ELSE 3 END, now(), now(), now(),
  k * 1000, n.input_uri, n.inputs, n.metadata, n.closure
FROM (SELECT * FROM node_executions WHERE node_id = 'n0' ORDER BY id LIMIT 1) n, generate_series({a}, {b}) i,
  generate_series(0, {nodes} - 1) k
"""
TASKS = """
INSERT INTO task_executions (execution, node_id, retry_attempt, task_name, task_version, task_project, task_domain, seq,
  phase, phase_version, created_at, started_at, updated_at, duration, input_uri, inputs, closure)
SELECT 1000000000000000 + i, 'n' || k, 0, t.task_name, t.task_version, t.task_project, t.task_domain, 3, 3, 0, now(), now(),
  now(), k * 1000, t.input_uri, t.inputs, t.closure
FROM (SELECT * FROM task_executions ORDER BY id LIMIT 1) t, generate_series({a}, {b}) i, generate_series(0, {nodes} - 1) k
"""
NAMES = """
INSERT INTO named_entities (resource_type, project, domain, name)
SELECT 2, p.project, p.domain, 'wf.' || i FROM (SELECT project, domain FROM executions ORDER BY key LIMIT 1) p,
  generate_series(1, 10000) i ON CONFLICT DO NOTHING
"""


def up_with_statistics():
    """A stack whose Postgres counts what statements take; one real execution is in it."""
    s = stacks.Stack().up()
    try:
        s.sql("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        s.stop("postgres")
        s.start("postgres")
        stacks.wait_for(lambda: s.healthy("admin") and s.healthy("propeller"), 60, "the stack again")
        s.sql("CREATE EXTENSION pg_stat_statements")
        s.sql("ALTER ROLE CURRENT_USER SET search_path = admin, public")
    except BaseException:
        s.down()
        raise
    return s


def one_real_execution(stack):
    from test_executions import create, create_plan, get, TERMINAL
    id = create(stack.admin, create_plan(stack.admin))
    stacks.wait_for(lambda: get(stack.admin, id).closure.phase in TERMINAL, what="the execution that is copied")


def fill(stack, n, nodes):
    """n executions of `nodes` nodes each, a tenth of the nodes with a task execution."""
    one_real_execution(stack)
    stack.sql(EXECUTIONS.format(n=n))
    stack.sql(TAGS.format(n=n))
    step = max(1, n // 20)
    for a in range(1, n + 1, step) if nodes else ():
        stack.sql(NODES.format(a=a, b=min(n, a + step - 1), nodes=nodes))
        stack.sql(TASKS.format(a=a, b=min(n, a + step - 1), nodes=max(1, nodes // 10)))
    stack.sql(NAMES)
    for table in ("executions", "node_executions", "task_executions", "execution_tags", "named_entities"):
        stack.sql(f"VACUUM ANALYZE {table}")


class Lists:
    """Calls a list, and asks Postgres what it took."""

    def __init__(self, stack):
        import psycopg
        self.connection = psycopg.connect(stack.dsn, autocommit=True)

    def pages(self, call, request, n=2):
        """The first pages: ms of the database for the worst one, blocks that it looked at, rows of all."""
        ms, blocks, rows = 0, 0, []
        for _ in range(n):
            self.connection.execute("SELECT pg_stat_statements_reset()")
            answer = call(request)
            took = self.connection.execute(
                "SELECT coalesce(max(total_exec_time), 0), coalesce(max(shared_blks_hit + shared_blks_read), 0) "
                "FROM pg_stat_statements WHERE query LIKE '%sort_value%'").fetchone()
            ms, blocks = max(ms, took[0]), max(blocks, took[1])
            rows += answer.ListFields()[0][1] if answer.ListFields() else []
            if not answer.token:
                break
            request.token = answer.token
        return ms, blocks, rows


def scope(**more):
    """A ListExecutions of the domain with the many."""
    from flyteidl.admin import common_pb2
    sort = more.pop("sort", None)
    if sort:
        ascending = sort.startswith("+")
        more["sort_by"] = common_pb2.Sort(key=sort.lstrip("+-"), direction=common_pb2.Sort.ASCENDING if ascending
                                          else common_pb2.Sort.DESCENDING)
    return common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project="flytesnacks", domain="development"), limit=100, **more)
