"""flytekit registers every kind of node, and reads the closures back."""
import kinds
import pytest
from flyteidl.admin.common_pb2 import ObjectGetRequest
from flytekit.exceptions.user import FlyteInvalidInputException


def closure_of(client, workflow, name=None):
    """Register with all that it needs; the closure as admin compiled it."""
    registered = client.register("kinds", name or workflow.name.rpartition(".")[2])
    return client.stack.admin.GetWorkflow(ObjectGetRequest(id=registered.id.to_flyte_idl())).closure.compiled_workflow


def connections(compiled):
    return ({k: list(v.ids) for k, v in compiled.connections.downstream.items()},
            {k: list(v.ids) for k, v in compiled.connections.upstream.items()})


def node(template, id):
    [found] = [n for n in template.nodes if n.id == id]
    return found


@pytest.mark.parametrize("workflow", kinds.WORKFLOWS, ids=lambda w: w.name)
def test_each_kind_registers_and_reads_back(client, workflow):
    closure = closure_of(client, workflow)
    template = closure.primary.template
    assert [n.id for n in template.nodes[:2]] == ["start-node", "end-node"]
    down, up = connections(closure.primary)
    for n in template.nodes[2:]:
        assert up[n.id] and down[n.id], n.id
    for a, ids in down.items():
        assert ids == sorted(ids)
        assert all(a in up[b] for b in ids)
    fetched = client.remote.fetch_workflow(template.id.project, template.id.domain, template.id.name,
                                           template.id.version)
    assert {n.id for n in fetched.flyte_nodes} >= {n.id for n in template.nodes[2:]}


def test_inner_nodes_of_branches_know_their_upstream_only(client):
    compiled = closure_of(client, kinds.nested_branches).primary
    down, up = connections(compiled)
    [outer] = [n.id for n in compiled.template.nodes if n.HasField("branch_node") and n.metadata.name == "outer"]
    inner = {i for i in up if i.startswith(outer + "-")}
    assert len(inner) == 6
    assert not inner & set(down)
    block = node(compiled.template, outer).branch_node.if_else
    assert block.case.then_node.id in inner
    deeper = block.other[0].then_node
    assert deeper.branch_node.if_else.else_node.id.startswith(deeper.id + "-")
    assert up[deeper.branch_node.if_else.case.then_node.id] == ["n1"]


def test_sub_workflows_are_compiled_once_each(client):
    closure = closure_of(client, kinds.outer)
    names = [w.template.id.name for w in closure.sub_workflows]
    assert sorted(names) == ["kinds.branches", "kinds.inner_most", "kinds.middle"]
    for w in closure.sub_workflows:
        down, _ = connections(w)
        assert down["start-node"]
        assert [n.id for n in w.template.nodes[:2]] == ["start-node", "end-node"]
    assert {t.template.id.name for t in closure.tasks} == {"kinds.add", "kinds.double", "kinds.say", "kinds.square"}


def test_launch_plans_take_what_is_left_to_give(client):
    closure = closure_of(client, kinds.plans)
    refs = [n.workflow_node.launchplan_ref.name for n in closure.primary.template.nodes if n.HasField("workflow_node")]
    assert refs == ["kinds.branches_plan", "kinds.branches_plan", "kinds.fixed_plan"]
    assert not closure.sub_workflows and not closure.launch_plans


def test_arrays_keep_what_they_say(client):
    template = closure_of(client, kinds.maps).primary.template
    doubled, some, added = [n.array_node for n in template.nodes if n.HasField("array_node")]
    assert doubled.parallelism == 3 and not doubled.bound_inputs
    assert some.min_success_ratio == 0.5
    assert list(added.bound_inputs) == ["b"]
    [plan] = [n.array_node for n in closure_of(client, kinds.array_of_plans).primary.template.nodes
              if n.HasField("array_node")]
    assert plan.is_original_sub_node_interface.value
    assert plan.node.workflow_node.launchplan_ref.name == "kinds.fixed_inner"


def test_failure_nodes_wait_for_the_inputs_only(client):
    compiled = closure_of(client, kinds.fragile_outer)
    failure = compiled.primary.template.failure_node
    down, up = connections(compiled.primary)
    assert up[failure.id] == ["start-node"] and failure.id not in down
    assert failure.workflow_node.sub_workflow_ref.name == "kinds.handle"
    bound = {b.var: b.binding for b in failure.inputs}
    assert bound["n"].promise.node_id == "start-node"
    assert bound["err"].scalar.union.value.scalar.HasField("none_type")  # the default; the engine puts the error there
    [handler] = [w for w in compiled.sub_workflows if w.template.id.name == "kinds.handle"]
    assert connections(handler)[0]["start-node"]


def test_registering_again_says_that_it_is_there(client):
    """The digest does not depend on what flytekit's order of maps was this time."""
    first = client.register("kinds", "outer", version="again")
    del client.registered["kinds", "outer", "again"]
    assert client.register("kinds", "outer", version="again").id == first.id


def test_a_launch_plan_that_is_not_there_is_named(client):
    with pytest.raises(FlyteInvalidInputException) as refused:
        client.register("kinds", "uses_missing_plan")
    details = refused.value.__cause__.details()
    assert "failed to compile workflow for [resource_type:WORKFLOW" in details
    assert "missing entity of type LAUNCH_PLAN with identifier" in details and 'name:"kinds.missing"' in details


def test_all_errors_come_at_once(client):
    with pytest.raises(FlyteInvalidInputException) as refused:
        client.register("kinds", "mistyped")
    details = refused.value.__cause__.details()
    assert "Collected Errors: 2" in details
    assert "Code: MismatchingTypes, Node Id: n1" in details and "Code: MismatchingTypes, Node Id: n2-n1" in details
