"""Values: where they lie, parts of them, and what comes out at the other end."""
import datetime

import data as flows
import pytest
from flyteidl.admin.execution_pb2 import ExecutionCreateRequest, WorkflowExecutionGetDataRequest
from flyteidl.core import literals_pb2, types_pb2
from flytekit.types.structured import StructuredDataset

from suite import PROJECT, DOMAIN, SYSTEM, USER, case, fails, runs_fixture

runs = runs_fixture(flows)

UTC = datetime.timezone.utc
DAY = datetime.date(2024, 2, 28)
HOUR = datetime.timedelta(hours=1, microseconds=7)
AT = datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
SEEN = "4 {'k': 30} 3 %d [3, 4, 5] None"

CASES = {
    "attributes": case(flows.attributes, {"n": 3}, {"o0": 3, "o1": "r3", "o2": True, "o3": 30, "o4": 7,
                                                    "o5": SEEN % flows.PAD}),
    "small-attributes": case(flows.attributes, {"n": 3, "pad": 0}, {"o0": 3, "o1": "r3", "o2": True, "o3": 30, "o4": 7,
                                                                    "o5": SEEN % 0}),
    "old-attributes": case(flows.old_attributes, {"n": 3}, {"o0": "r3", "o1": True, "o2": SEEN % flows.PAD}),
    "small-old-attributes": case(flows.old_attributes, {"n": 3, "pad": 0}, {"o0": "r3", "o1": True, "o2": SEEN % 0}),
    "model": case(flows.model_attributes, {"n": 3}, {"o0": 3, "o1": 4,
                                                     "o2": f"3 {{'ys': [3, 4]}} {flows.PAD} [3, 4]"}),
    "of-collections": case(flows.of_collections, {"n": 3}, {"o0": 5, "o1": "r3", "o2": "short"}),
    "through-workflows": case(flows.through_workflows, {"n": 3}, {"o0": 5, "o1": 30}),
    "branch": case(flows.branch_on_attribute, {"n": 5}, {"o0": "large"}),
    "other-branch": case(flows.branch_on_attribute, {"n": 3}, {"o0": "r3"}),
    "map": case(flows.map_over_attribute, {"n": 3}, {"o0": [9, 16, 25]}),
    "bad-index": fails(flows.bad_index, {"n": 3}, "BindingResolutionFailure",
                       "failed at Node[n0]. PromiseAttributeResolveError: index [9] is out of range", kind=SYSTEM),
    "bad-key": fails(flows.bad_key, {"n": 3}, "BindingResolutionFailure",
                     "failed at Node[n0]. PromiseAttributeResolveError: key [zz] does not exist", kind=SYSTEM),
    "bad-key-at-hand": fails(flows.bad_key_at_hand, {"n": 3}, "BindingResolutionFailure",
                             "failed at Node[n0]. PromiseAttributeResolveError: key [zz] does not exist", kind=SYSTEM),
    "long-map": case(flows.long_map, {"n": 3}, {"o0": ["00000s", "00002s"], "o1": 3}),
    "large-children": case(flows.large_children, {"ns": [100_000, 10]}, {"o0": [100_005, 100_005, 15, 15]}),
    "union-none": case(flows.unions, {}, {"o0": "NoneType None green None"}),
    "union-text": case(flows.unions, {"v": "x", "c": flows.Color.RED, "d": {"a": None, "b": 2}},
                       {"o0": "str x red [('a', None), ('b', 2)]"}),
    "union-list": case(flows.unions, {"v": [1, 2], "d": {}}, {"o0": "list [1, 2] green {}"}),
    "optional": case(flows.optional_outputs, {"n": 2}, {"o0": [2, "2"], "o1": None}),
    "defaults": case(flows.defaults, {}, {
        "o0": 3, "o1": "ä\n", "o2": 0.5, "o3": True, "o4": [1, 2], "o5": datetime.timedelta(days=1, microseconds=5),
        "o6": datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC), "o7": None}),
    "dates": case(flows.dates, {"d": DAY, "t": HOUR, "at": AT},
                  {"o0": DAY + datetime.timedelta(days=1), "o1": -HOUR, "o2": AT + HOUR}),
    "named": case(flows.named_outputs, {"n": 2}, {"total": 3, "words": ["a", "a"], "color": flows.Color.RED}),
    "composed": case(flows.composed, {"n": 3}, {
        "o0": "[[3, 1], [], [3, 3]] [('c', 5), ('k', 30), ('n', 3)] [('names', ['r3', 'é']), ('none', [])]"}),
    "references": case(flows.references, {"n": 3}, {"o0": ["one 3", "many 1", "inside", "many 0", "many 1", "named"]}),
    "pickles": case(flows.pickles, {"n": 3}, {"o0": "3 {'n': [3]}"}),
    "deep": case(flows.deep, {}),
    "too-deep": fails(flows.too_deep, {}, "OutputsUnreadable", "nested too deeply", kind=USER),
}


@pytest.mark.parametrize("name", CASES)
def test_case(runs, name):
    runs.check(CASES, name)


def create(runs, workflow, literals):
    plan = runs.plan(workflow)
    request = ExecutionCreateRequest(project=PROJECT, domain=DOMAIN, inputs=literals_pb2.LiteralMap(literals=literals))
    request.spec.launch_plan.CopyFrom(plan.id.to_flyte_idl())
    id = runs.client.stack.admin.CreateExecution(request).id
    return runs.client.remote.fetch_execution(name=id.name)


def offloaded(runs, xs):
    """A literal that stands for a list of integers in the store."""
    whole = literals_pb2.Literal()
    for x in xs:
        whole.collection.literals.add().scalar.primitive.integer = x
    path = f"{runs.client.stack.store}/offloaded-{len(xs)}.pb"
    with open(path, "wb") as f:
        f.write(whole.SerializeToString())
    l = literals_pb2.Literal()
    l.offloaded_metadata.uri = path
    l.offloaded_metadata.size_bytes = whole.ByteSize()
    l.offloaded_metadata.inferred_type.collection_type.simple = types_pb2.INTEGER
    return l


def test_offloaded_inputs(runs):
    execution = create(runs, flows.offloaded, {"xs": offloaded(runs, [3, 4, 5])})
    runs.finish(case(flows.offloaded, outputs={"o0": 12, "o1": 4, "o2": [9, 16, 25], "o3": [3, 4, 5]}), execution)


def test_offloaded_input_of_another_type(runs):
    literal = offloaded(runs, [1])
    literal.offloaded_metadata.inferred_type.collection_type.simple = types_pb2.STRING
    with pytest.raises(Exception, match="xs"):
        create(runs, flows.offloaded, {"xs": literal})


def test_dataset_by_reference(runs):
    literal = literals_pb2.Literal()
    literal.scalar.structured_dataset.uri = "s3://bucket/somewhere"
    literal.scalar.structured_dataset.metadata.structured_dataset_type.format = "parquet"
    execution = create(runs, flows.datasets, {"v": literal})
    runs.wait(execution)
    request = WorkflowExecutionGetDataRequest(id=execution.id.to_flyte_idl())
    assert runs.client.stack.admin.GetExecutionData(request).full_outputs.literals["o0"].scalar == literal.scalar
