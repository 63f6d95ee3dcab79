"""proto/ against flyteidl 1.16.8: every name, number, label, type, oneof, enum value, service, method and http rule, both ways.

Facts are compared as text lines ("flyteidl.core.Literal.hash = 4 optional string"), so that a difference names itself."""

import pathlib
import shutil
import subprocess

import pytest
from google.protobuf import descriptor_pb2

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parents[1] / "proto"
HTTP_OPTION = 72295728
FIELD = descriptor_pb2.FieldDescriptorProto


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def wire_fields(data):
    """(number, value) of each field of a packed message: bytes or a number."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 2:
            length, at = read_varint(data, at)
            yield key >> 3, data[at:at + length]
            at += length
        else:
            assert key & 7 == 0, "options of methods have only numbers and messages"
            value, at = read_varint(data, at)
            yield key >> 3, value


def http_rules(rule):
    """google.api.HttpRule: the rule and its additional bindings, in order."""
    verbs = {2: "get", 3: "put", 4: "post", 5: "delete", 6: "patch"}
    parts, more = {}, []
    for number, value in wire_fields(rule):
        if number == 11:
            more += http_rules(value)
        else:
            parts[number] = value.decode() if number != 8 else str(value)
    verb, path = next((verbs[n], v) for n, v in parts.items() if n in verbs)
    return [f"{verb} {path} body={parts.get(7, '')} response_body={parts.get(12, '')}"] + more


def method_facts(service, method):
    yield (f"{service}.{method.name}: {'stream ' * method.client_streaming}{method.input_type} returns "
           f"{'stream ' * method.server_streaming}{method.output_type}{' deprecated' * method.options.deprecated}")
    for number, value in wire_fields(method.options.SerializeToString()):
        if number == HTTP_OPTION:
            for i, rule in enumerate(http_rules(value)):
                yield f"{service}.{method.name} http {i}: {rule}"


def field_facts(message, m, field):
    kind = field.type_name or FIELD.Type.Name(field.type)[5:].lower()
    oneof = f" in {m.oneof_decl[field.oneof_index].name}" if field.HasField("oneof_index") else ""
    packed = f" packed={field.options.packed}" if field.options.HasField("packed") else ""
    json_name = field.json_name if field.json_name and field.json_name != camel(field.name) else ""
    yield (f"{message}.{field.name} = {field.number} {FIELD.Label.Name(field.label)[6:].lower()} {kind}{oneof}{packed}"
           f"{' optional' * field.proto3_optional}{' deprecated' * field.options.deprecated} {json_name} {field.default_value}").rstrip()


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def enum_facts(scope, enum):
    yield f"enum {scope}.{enum.name}"
    for value in enum.value:
        yield f"{scope}.{enum.name}.{value.name} = {value.number}{' deprecated' * value.options.deprecated}"


def message_facts(scope, m):
    name = f"{scope}.{m.name}"
    yield f"message {name}{' map entry' * m.options.map_entry}"
    for oneof in m.oneof_decl:
        yield f"oneof {name}.{oneof.name}"
    for field in m.field:
        yield from field_facts(name, m, field)
    for r in m.reserved_range:
        yield f"{name} reserves {r.start} to {r.end}"
    for r in m.reserved_name:
        yield f"{name} reserves {r}"
    for enum in m.enum_type:
        yield from enum_facts(name, enum)
    for inner in m.nested_type:
        yield from message_facts(name, inner)


def facts(file):
    yield f"file {file.name} package {file.package} {file.syntax}"
    for message in file.message_type:
        yield from message_facts(file.package, message)
    for enum in file.enum_type:
        yield from enum_facts(file.package, enum)
    for service in file.service:
        yield f"service {file.package}.{service.name}"
        for method in service.method:
            yield from method_facts(f"{file.package}.{service.name}", method)


def all_facts(files):
    lines = [line for f in files if f.name.startswith("flyteidl/") for line in facts(f)]
    assert len(lines) == len(set(lines))
    return set(lines)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    assert shutil.which("protoc"), "protoc is missing (make deps)"
    out = tmp_path_factory.mktemp("desc") / "ours.desc"
    files = sorted(str(p.relative_to(PROTO)) for p in (PROTO / "flyteidl").rglob("*.proto"))
    subprocess.run(["protoc", f"-I{PROTO}", "--include_imports", f"--descriptor_set_out={out}", *files], check=True)
    return all_facts(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


def flyteidl():
    return descriptor_pb2.FileDescriptorSet.FromString((HERE / "flyteidl.desc").read_bytes()).file


def assert_same(ours, theirs):
    assert sorted(theirs - ours) == [], "facts of flyteidl that proto/ lacks"
    assert sorted(ours - theirs) == [], "facts of proto/ that flyteidl does not have"


def test_same_as_flyteidl(ours):
    theirs = all_facts(flyteidl())
    assert len(theirs) > 2400
    assert sum(" http " in line for line in theirs) == 77  # bindings: 73 rules, 4 of them with another one
    assert_same(ours, theirs)


def test_same_as_the_python_package(ours):
    """The package that flytekit brings; its files' options are those of its own protoc, which the facts leave out."""
    pytest.importorskip("flyteidl")
    import importlib

    files = []
    for file in flyteidl():
        if not file.name.startswith("flyteidl/"):
            continue
        module = importlib.import_module(file.name[:-len(".proto")].replace("/", ".").replace("-", "_") + "_pb2")
        mine = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(mine)
        files.append(mine)
    assert_same(ours, all_facts(files))


@pytest.mark.parametrize("change, fact", [
    (lambda f: f.message_type[0].field[0].__setattr__("number", 4242), "= 4242 "),
    (lambda f: f.message_type[0].field[0].__setattr__("name", "renamed"), ".renamed = "),
    (lambda f: f.message_type[0].field.add(name="extra", number=77, label=1, type=9), ".extra = 77 optional string"),
    (lambda f: f.enum_type.add(name="Extra").value.add(name="ZERO", number=0), "Extra.ZERO = 0"),
    (lambda f: f.message_type.__delitem__(0), None),
])
def test_sees_a_difference(change, fact):
    """The comparison itself: each kind of change shows."""
    before, files = all_facts(flyteidl()), list(flyteidl())
    changed = next(f for f in files if f.name == "flyteidl/core/literals.proto")
    change(changed)
    after = all_facts(files)
    assert after != before
    assert fact is None or any(fact in line for line in after - before)
