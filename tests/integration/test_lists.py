"""Lists of many executions look at few rows, whatever they are filtered and sorted by, and pages leave nothing out."""
import pytest

import stack as stacks
from many_executions import EXECUTIONS as COPIES, fill, Lists, one_real_execution, scope, up_with_statistics

EXECUTIONS = 40000


@pytest.fixture(scope="module")
def many():
    s = up_with_statistics()
    try:
        fill(s, EXECUTIONS, 0)
        yield s
    finally:
        s.close()


@pytest.fixture(scope="module")
def lists(many):
    return Lists(many)


@pytest.fixture(scope="module")
def scan(many):
    """Blocks of the whole table."""
    blocks = many.sql("SELECT relpages FROM pg_class WHERE relname = 'executions'")[0][0]
    assert blocks > 3000, "the rows are too few to tell a scan from a look-up"
    return blocks


COMMON = ["", "eq(phase,SUCCEEDED)", "eq(user,user4)", "eq(workflow.name,wf.0)", "value_in(state,0;1)",
          "gte(created_at,2020-01-01T00:00:00Z)"]
RARE = ["eq(phase,RUNNING)", "value_in(phase,QUEUED;RUNNING)", "eq(state,1)", "eq(user,nobody)", "eq(workflow.name,wf.49)",
        "eq(workflow.name,wf.0)+eq(phase,RUNNING)", "eq(workflow.name,wf.3)+eq(workflow.version,v9)",
        "eq(launch_plan.name,wf.49)", "eq(task.name,one.task)", "eq(error_code,OOMKilled)", "lt(duration,2)",
        "gt(duration,3598)", "lte(started_at,2020-01-01T00:00:00Z)", "gte(updated_at,2100-01-01T00:00:00Z)",
        "eq(execution_tag.key,none)", "eq(name,none)"]
SORTS = ["created_at", "updated_at", "started_at", "duration", "name", "phase", "user"]


@pytest.mark.parametrize("filters", COMMON + RARE)
def test_pages_look_at_few_blocks(many, lists, scan, filters):
    for sort in (direction + key for key in SORTS for direction in "+-"):
        _, blocks, _ = lists.pages(many.admin.ListExecutions, scope(filters=filters, sort=sort))
        assert blocks < scan / 4, (filters, sort, blocks)


def test_a_filter_without_an_index_is_seen(many, lists, scan):
    """The measure itself: this one cannot but look at everything."""
    _, blocks, rows = lists.pages(many.admin.ListExecutions, scope(filters="contains(name,zzzz)", sort="-created_at"))
    assert blocks > scan / 2 and not rows


@pytest.mark.parametrize("sort, column", [
    ("-phase", "phase"), ("+user", "principal"), ("-duration", "coalesce(duration, 0)"), ("+updated_at", "updated_at"),
    ("-name", "name"), ("+created_at", "created_at"), ("-mode", "mode")])
def test_all_pages_are_the_whole_list_in_order(many, lists, sort, column):
    """Equal values are in the order of creation, and no page's end loses or repeats one."""
    way = "DESC" if sort.startswith("-") else "ASC"
    filters = "eq(workflow.name,wf.3)"
    expected = [name for name, in many.sql(
        "SELECT name FROM executions WHERE project = 'flytesnacks' AND domain = 'development' AND state = 0 AND "
        f"workflow_name = 'wf.3' ORDER BY {column} {way}, created_at {way}, key {way}")]
    _, _, rows = lists.pages(many.admin.ListExecutions, scope(filters=filters, sort=sort), n=100)
    assert len(expected) > 150
    assert [x.id.name for x in rows] == expected


def test_what_never_was_matches_no_filter(many, lists):
    """NULLs of the database: an execution without an error has none that differs from USER, as in Flyte."""
    _, _, rows = lists.pages(many.admin.ListExecutions, scope(filters="ne(error_kind,USER)", sort="-created_at"))
    assert not rows
    _, _, rows = lists.pages(many.admin.ListExecutions, scope(filters="ne(error_code,OOMKilled)", sort="-created_at"))
    assert rows and all(x.closure.phase == 6 for x in rows)


def test_a_new_database_knows_its_tables_soon():
    """Without statistics a page is sorted out of all rows. The stack's Postgres does not leave it at that for a minute."""
    s = up_with_statistics()
    try:
        one_real_execution(s)
        s.sql(COPIES.format(n=2000))
        lists = Lists(s)
        assert s.sql("SELECT setting::int FROM pg_settings WHERE name = 'autovacuum_naptime'")[0][0] <= 10
        blocks = s.sql("SELECT pg_relation_size('executions') / 8192")[0][0]
        stacks.wait_for(lambda: lists.pages(s.admin.ListExecutions, scope(sort="-created_at"), n=1)[1] < blocks / 2,
                        what="a page that is read from an index")
    finally:
        s.close()
