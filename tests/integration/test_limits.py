"""`registration`'s limits, and all errors of a workflow in one answer."""
import os
import re
import subprocess

import pytest
from flyteidl.admin import common_pb2, execution_pb2, matchable_resource_pb2 as matchable, workflow_pb2
from flyteidl.admin import project_domain_attributes_pb2 as attributes
from flyteidl.core import condition_pb2, identifier_pb2, literals_pb2, workflow_pb2 as core_workflow

from stack import BIN
from test_registry import (BAD, DOMAIN, INTEGER, PROJECT, STRING, Refused, create_task, identifier, plan_request, promise,
                           task_node, two_nodes, unique, workflow_request)

LIMITS = {"ALULA_REGISTRATION_MAXWORKFLOWNODES": "3", "ALULA_REGISTRATION_MAXLABELENTRIES": "2",
          "ALULA_REGISTRATION_MAXANNOTATIONENTRIES": "1", "ALULA_REGISTRATION_WORKFLOWSIZELIMIT": "4k"}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    from stack import Stack
    with Stack(env=LIMITS) as s:
        yield s.up()


def chain(admin, n, description=""):
    task = create_task(admin, unique("task"))
    nodes = [task_node(f"n{i}", task, promise("x", f"n{i - 1}" if i else "", "o0" if i else "x")) for i in range(n)]
    nodes[0].metadata.name = "n" + description
    return workflow_request(unique("wf"), nodes)


def test_workflow_nodes(limited):
    limited.admin.CreateWorkflow(chain(limited.admin, 3))
    request = chain(limited.admin, 4)
    with Refused(BAD, f"number of nodes in workflow [resource_type:WORKFLOW project:\"{PROJECT}\"", "] exceeds limit (4 > 3)"):
        limited.admin.CreateWorkflow(request)


def closure_bytes(admin, request):
    got = admin.GetWorkflow(common_pb2.ObjectGetRequest(id=request.id)).closure
    return workflow_pb2.WorkflowClosure(compiled_workflow=got.compiled_workflow).ByteSize()


def test_workflow_size(limited):
    """To the byte: the closure, as it is answered, takes 4000 of them and not one more."""
    probe = chain(limited.admin, 1)
    limited.admin.CreateWorkflow(probe)
    rest = 4000 - closure_bytes(limited.admin, probe)
    task = probe.spec.template.nodes[0].task_node.reference_id
    for more, fits in ((rest - 8, True), (rest + 8, False)):
        request = workflow_request(probe.id.name, [task_node("n0", task, promise("x"))], version=f"v{more}")
        request.spec.template.nodes[0].metadata.name = "n0" + "x" * (more - len(request.id.version) + 2)
        if fits:
            limited.admin.CreateWorkflow(request)
            assert 3980 < closure_bytes(limited.admin, request) <= 4000
            continue
        with Refused(BAD, "Workflow closure size exceeds max limit [4k]"):
            limited.admin.CreateWorkflow(request)


def pairs(n):
    return {f"k{i}": "v" for i in range(n)}


def test_labels_and_annotations(limited):
    admin = limited.admin
    request = two_nodes(admin, unique("wf"))
    admin.CreateWorkflow(request)
    of_plan = common_pb2.Labels(values=pairs(3))
    plain, labelled = plan_request(request.id), plan_request(request.id, unique("lp"), labels=of_plan)
    admin.CreateLaunchPlan(plain)
    admin.CreateLaunchPlan(labelled)

    def create(plan, **spec):
        inputs = literals_pb2.LiteralMap(literals={"x": literals_pb2.Literal(scalar=literals_pb2.Scalar(
            primitive=literals_pb2.Primitive(integer=1)))})
        return admin.CreateExecution(execution_pb2.ExecutionCreateRequest(
            project=PROJECT, domain=DOMAIN, inputs=inputs, spec=execution_pb2.ExecutionSpec(launch_plan=plan.id, **spec)))

    create(plain, labels=common_pb2.Labels(values=pairs(2)), annotations=common_pb2.Annotations(values=pairs(1)))
    with Refused(BAD, "labels has too many entries [3 > 2]"):
        create(plain, labels=common_pb2.Labels(values=pairs(3)))
    with Refused(BAD, "annotations has too many entries [2 > 1]"):
        create(plain, annotations=common_pb2.Annotations(values=pairs(2)))
    with Refused(BAD, "labels has too many entries [3 > 2]"):  # those of the launch plan, as well
        create(labelled)
    create(labelled, labels=common_pb2.Labels(values=pairs(1)))  # the request's replace them


def test_labels_of_attributes(limited):
    """Labels that a project and domain give count like an execution's own."""
    request = two_nodes(limited.admin, unique("wf"))
    limited.admin.CreateWorkflow(request)
    limited.admin.CreateLaunchPlan(plan_request(request.id))
    config = matchable.WorkflowExecutionConfig(annotations=common_pb2.Annotations(values=pairs(2)))
    limited.admin.UpdateProjectDomainAttributes(attributes.ProjectDomainAttributesUpdateRequest(
        attributes=attributes.ProjectDomainAttributes(project=PROJECT, domain="staging", matching_attributes=matchable.
                                                      MatchingAttributes(workflow_execution_config=config))))
    plan = identifier(identifier_pb2.LAUNCH_PLAN, request.id.name)
    inputs = literals_pb2.LiteralMap(literals={"x": literals_pb2.Literal(scalar=literals_pb2.Scalar(
        primitive=literals_pb2.Primitive(integer=1)))})
    with Refused(BAD, "annotations has too many entries [2 > 1]"):
        limited.admin.CreateExecution(execution_pb2.ExecutionCreateRequest(
            project=PROJECT, domain="staging", inputs=inputs, spec=execution_pb2.ExecutionSpec(launch_plan=plan)))


def test_no_limits_by_default(stack):
    """Nothing of it is bounded when nobody says so."""
    request = chain(stack.admin, 200, "x" * 100000)
    stack.admin.CreateWorkflow(request)


def test_bad_limit_in_the_configuration():
    env = dict(os.environ, ALULA_REGISTRATION_WORKFLOWSIZELIMIT="much", ALULA_STORAGE_CONTAINER="/tmp")
    out = subprocess.run([os.path.join(BIN, "alula-admin")], env=env, stdin=subprocess.DEVNULL, text=True, timeout=30,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert out.returncode != 0
    assert "registration.workflowSizeLimit: expected a quantity of bytes such as 500k or 10Mi" in out.stdout


# All errors at once.


def branch(id, node):
    condition = condition_pb2.BooleanExpression(comparison=condition_pb2.ComparisonExpression(
        left_value=condition_pb2.Operand(var="nowhere"), right_value=condition_pb2.Operand(var="x")))
    block = core_workflow.IfElseBlock(case=core_workflow.IfBlock(condition=condition, then_node=node))
    return core_workflow.Node(id=id, inputs=[promise("x")], branch_node=core_workflow.BranchNode(if_else=block))


def test_all_errors_in_one_answer(stack):
    """Of several nodes, of a branch, a sub-workflow, the failure node and the outputs: sorted by code and text, each once."""
    task = create_task(stack.admin, unique("task"))
    inner = identifier(identifier_pb2.WORKFLOW, "inner")
    use = core_workflow.Node(id="s0", inputs=[promise("x")],
                             workflow_node=core_workflow.WorkflowNode(sub_workflow_ref=inner))
    request = workflow_request(
        unique("wf"), [task_node("n0", task), task_node("n1", task, promise("x", "n0", "nothing")),
                       task_node("n2", task, promise("x"), promise("x")), branch("b", task_node("c", task, promise("x"))),
                       use, core_workflow.Node(id="g", gate_node=core_workflow.GateNode())],
        [promise("o1", "n2", "o0")], output_types={"o0": STRING, "o1": STRING})
    request.spec.template.failure_node.CopyFrom(task_node("f", task))
    sub = workflow_request("inner", [task_node("m0", task)], inputs={"x": INTEGER})
    sub.spec.template.id.CopyFrom(inner)
    request.spec.sub_workflows.append(sub.spec.template)

    with pytest.raises(Exception) as refused:
        stack.admin.CreateWorkflow(request)
    assert refused.value.code() == BAD
    text = refused.value.details()
    head, *lines = text.splitlines()
    assert head.endswith(f"with err: Collected Errors: {len(lines)}")
    assert [re.match(r"\tError (\d+): ", line).group(1) for line in lines] == [str(i) for i in range(len(lines))]
    errors = [re.match(r"\tError \d+: (Code: .*)", line).group(1) for line in lines]
    assert errors == sorted(set(errors))
    assert [re.match(r"Code: (\w+), Node Id: ([\w-]*), ", e).groups() for e in errors] == [
        ("BranchNodeHasNoDefault", "b"), ("MismatchingTypes", "end-node"), ("NoConditionFound", "g"),
        ("ParameterBoundMoreThanOnce", "n2"), ("ParameterNotBound", "end-node"), ("ParameterNotBound", "f"),
        ("ParameterNotBound", "m0"), ("ParameterNotBound", "n0"), ("ParameterNotBound", "n1"),
        ("VariableNameNotFound", "b"), ("VariableNameNotFound", "n0")]
    with pytest.raises(Exception) as again:
        stack.admin.CreateWorkflow(request)
    assert again.value.details() == text
