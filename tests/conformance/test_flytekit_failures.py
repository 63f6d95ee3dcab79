"""Tasks that fail, end without a word or leave garbage: what the real flytekit then reads, and that nothing else suffers."""
import os

import pytest
from flytekit import kwtypes
from flytekit.core.base_task import TaskMetadata
from flytekit.models.core.execution import TaskExecutionPhase

from flyte_client import alive, attempts, log_text, node_phase, nodes, phase, seconds
from stack import wait_for

USER, SYSTEM = 1, 2


def attempts_made(shared):
    return os.path.getsize(f"{shared}/attempts")


def phases(made):
    return [TaskExecutionPhase.enum_to_string(a.closure.phase) for a in made]


def test_a_failed_task_tells_its_traceback(client):
    execution = client.fail(client.register("failing", "division"))
    error = execution.closure.error
    assert "ZeroDivisionError: integer division or modulo by zero" in error.message
    assert "return n // 0" in error.message and "Trace:" in error.message
    assert error.kind == USER
    assert {n: node_phase(e) for n, e in nodes(execution).items()} == {"n0": "SUCCEEDED", "n1": "FAILED"}
    # Lists, which the client reads nodes from, have an error's first 100 characters.
    assert execution.node_executions["n1"].closure.error.message == error.message[:100]
    [attempt] = attempts(execution, "n1")
    assert "return n // 0" in attempt.closure.error.message
    assert attempt.closure.error.code == "USER:RuntimeError"
    assert "ZeroDivisionError" in execution.error.message


def test_a_recoverable_error_is_retried_until_it_works(client, shared):
    execution = client.succeed(client.register("failing", "third_time"), {"directory": shared})
    assert execution.outputs["o0"] == 3
    made = attempts(execution)
    assert [a.id.retry_attempt for a in made] == [0, 1, 2]
    assert phases(made) == ["FAILED", "FAILED", "SUCCEEDED"]
    assert "attempt 2 is too early" in made[1].closure.error.message
    assert len({a.closure.logs[0].uri for a in made}) == 3


def test_retries_end(client, shared):
    execution = client.fail(client.register("failing", "never"), {"directory": shared})
    assert "attempt 2 did not work" in execution.closure.error.message
    assert attempts_made(shared) == 2 and len(attempts(execution)) == 2


def test_other_errors_are_not_retried(client, shared):
    execution = client.fail(client.register("failing", "not_again"), {"directory": shared})
    assert "ValueError: attempt 1 is wrong for good" in execution.closure.error.message
    assert attempts_made(shared) == 1 and len(attempts(execution)) == 1


def test_a_task_that_exits_tells_its_code_and_last_words(client, shared):
    execution = client.fail(client.register("failing", "leave"), {"directory": shared})
    message = execution.closure.error.message
    assert "exit code (7)" in message and "about to leave" in message
    assert attempts_made(shared) == 1
    assert "about to leave" in log_text(attempts(execution)[0])


def test_a_long_message_keeps_its_start_and_end(client):
    execution = client.fail(client.register("failing", "long_message"))
    message = execution.closure.error.message
    assert "Trace:" in message[:200] and message.rstrip().endswith("the end'")


@pytest.mark.parametrize("program", ["no-such-program-anywhere", "/no/such/program", "/etc/passwd", "/etc"])
def test_a_program_that_cannot_run_is_named(client, program):
    _, task = client.register_shell("true", command=[program])
    error = client.fail(task, {}).closure.error
    assert error.code == "TaskProgramNotFound" and program in error.message


def test_a_task_without_outputs_where_some_are_declared(client):
    _, task = client.register_shell("echo nothing to give", outputs=kwtypes(o0=int))
    execution = client.fail(task, {})
    [attempt] = attempts(execution)
    assert attempt.closure.error.code == "OutputsNotFound"
    assert "output o0: the task has not written" in execution.closure.error.message
    assert log_text(attempt) == "nothing to give\n"


@pytest.mark.parametrize("garbage", ["garbage", r"\377\377\377\377", r"\012\377\377\377\377\017x"])
def test_garbage_for_outputs(client, garbage):
    _, task = client.register_shell(f"mkdir -p {{{{.outputPrefix}}}}; printf '{garbage}' > {{{{.outputPrefix}}}}/outputs.pb", outputs=kwtypes(o0=int))
    error = client.fail(task, {}).closure.error
    assert error.code == "OutputsUnreadable" and "outputs.pb is not a LiteralMap" in error.message


def test_outputs_that_lack_what_is_declared(client):
    _, task = client.register_shell("mkdir -p {{.outputPrefix}}; : > {{.outputPrefix}}/outputs.pb", outputs=kwtypes(o0=int))
    error = client.fail(task, {}).closure.error
    assert "o0" in error.message


def test_garbage_for_an_error(client):
    _, task = client.register_shell("mkdir -p {{.outputPrefix}}; printf garbage > {{.outputPrefix}}/error.pb", outputs=kwtypes(o0=int))
    error = client.fail(task, {}).closure.error
    assert "error.pb" in error.message


def test_a_killed_task_is_a_failure_of_the_system_and_run_again(client, shared):
    script = "echo x >> {{.inputs.directory}}/runs; test $(wc -l < {{.inputs.directory}}/runs) -gt 1 || kill -9 $$"
    _, task = client.register_shell(script, inputs=kwtypes(directory=str))
    execution = client.succeed(task, {"directory": shared})
    made = attempts(execution)
    assert phases(made) == ["FAILED", "SUCCEEDED"]
    assert made[0].closure.error.code == "Interrupted" and made[0].closure.error.kind == SYSTEM


def test_a_timeout_ends_an_attempt(client):
    _, task = client.register_shell("sleep 600", metadata=TaskMetadata(timeout=seconds(1)))
    execution = client.fail(task, {})
    assert "timeout" in execution.closure.error.message.lower()
    assert execution.closure.duration.total_seconds() < 30


def test_what_a_task_starts_ends_with_it(client, shared):
    script = "sleep 600 & echo $! > {{.inputs.directory}}/pid; exit 3"
    _, task = client.register_shell(script, inputs=kwtypes(directory=str))
    execution = client.fail(task, {"directory": shared})
    assert "exit code (3)" in execution.closure.error.message
    with open(f"{shared}/pid", encoding="utf-8") as f:
        pid = int(f.read())
    wait_for(lambda: not alive(pid), 30, "its end")


def test_after_all_this_the_daemons_are_up(client):
    assert phase(client.succeed(client.register_shell("true")[1], {})) == "SUCCEEDED"
    assert (client.stack.restarts("admin"), client.stack.restarts("propeller")) == (0, 0)
