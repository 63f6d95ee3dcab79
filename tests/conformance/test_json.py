"""Our JSON against Google's, on every message type of flyteidl, and hostile inputs, all through json_pipe."""

import hashlib
import json
import math
import os
import pathlib
import random
import struct
import subprocess

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as F

HERE = pathlib.Path(__file__).resolve().parent
SEED = int(os.environ.get("JSON_SEED", "20261121"))
ROUNDS = int(os.environ.get("JSON_ROUNDS", "12"))
OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 0, 3, 8
PROTO_NAMES, DEFAULTS, NULLS, ENUM_NUMBERS = 1, 2, 4, 8


class Pipe:
    def __init__(self):
        binaries = pathlib.Path(os.environ.get("ALULA_BIN", HERE.parents[1] / "build/debug/bin"))
        program = os.environ.get("JSON_PIPE", binaries.parent / "tests/tools/json_pipe")
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, operation, type_name, body, flags=0):
        name = type_name.encode()
        request = struct.pack("<cBB", operation.encode(), flags, len(name)) + name + body
        self.process.stdin.write(struct.pack("<I", len(request)) + request)
        self.process.stdin.flush()
        head = self.process.stdout.read(5)
        assert len(head) == 5, f"json_pipe died on {operation} {type_name} {body[:200]!r}"
        length, code = struct.unpack("<IB", head)
        return code, self.process.stdout.read(length - 1)

    def ok(self, operation, type_name, body, flags=0):
        code, answer = self.call(operation, type_name, body, flags)
        assert code == OK, f"{type_name}: {answer.decode()} for {body[:500]!r}"
        return answer

    def refuses(self, operation, type_name, body, text, code=INVALID_ARGUMENT, flags=0):
        got, answer = self.call(operation, type_name, body, flags)
        assert (got, text in answer.decode()) == (code, True), (got, answer)


@pytest.fixture(scope="module")
def pipe():
    p = Pipe()
    yield p
    p.process.stdin.close()
    assert p.process.wait(timeout=30) == 0


def load_pool():
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString((HERE / "flyteidl.desc").read_bytes())
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool, [f.name for f in files.file if f.name.startswith("flyteidl/")]


POOL, FILES = load_pool()


def all_types():
    def nested(message):
        if not message.GetOptions().map_entry:
            yield message.full_name
        for inner in message.nested_types:
            yield from nested(inner)

    for name in FILES:
        for message in POOL.FindFileByName(name).message_types_by_name.values():
            yield from nested(message)


TYPES = sorted(all_types())
WELL_KNOWN = ["Timestamp", "Duration", "Struct", "Value", "ListValue"]


def new(type_name):
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(type_name))()


class Fill:
    """Random contents; values at the edges of their types come often."""

    TEXTS = ["", "x", "snake_case", 'quote " back \\ slash /', "tab\tnew\nline\r\b\f\x01\x1f\x7f", "äöü € 𝄞 \u2028", "null", "NaN", "1",
             "a" * 300, "<script>&</script>"]
    INTS = {32: [0, 1, -1, 2**31 - 1, -(2**31)], 64: [0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)]}
    REALS = [0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, 1e21, 123456789012345678.0, 1 / 3, math.inf, -math.inf, math.nan]
    # the largest float is left to test_largest_float: Google's Python refuses the text that it writes for it
    FLOATS = [0.0, 1.0, -1.5, 0.1, 3.4028232635611926e38, 1e-45, 16777217.0, 1 / 3, math.inf, -math.inf, math.nan]

    def __init__(self, seed):
        self.r = random.Random(seed)

    def scalar(self, field):
        r, kind = self.r, field.cpp_type
        if kind == F.CPPTYPE_STRING:
            if field.type == F.TYPE_BYTES:
                return r.randbytes(r.choice([0, 1, 2, 3, 60, 1000]))
            return r.choice(self.TEXTS) if r.random() < 0.7 else "".join(chr(r.choice([r.randint(1, 0xd7ff), r.randint(0xe000, 0x10ffff)]))
                                                                         for _ in range(r.randint(1, 20)))
        if kind == F.CPPTYPE_BOOL:
            return r.random() < 0.5
        if kind == F.CPPTYPE_ENUM:
            return r.choice(field.enum_type.values).number if r.random() < 0.9 else r.choice([77777, -1, 2**31 - 1])
        if kind == F.CPPTYPE_DOUBLE:
            return r.choice(self.REALS) if r.random() < 0.5 else r.uniform(-1, 1) * 10 ** r.randint(-300, 300)
        if kind == F.CPPTYPE_FLOAT:
            return r.choice(self.FLOATS) if r.random() < 0.5 else r.uniform(-1, 1) * 10 ** r.randint(-30, 30)
        bits = 32 if kind in (F.CPPTYPE_INT32, F.CPPTYPE_UINT32) else 64
        value = r.choice(self.INTS[bits]) if r.random() < 0.5 else r.randint(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return value % 2**bits if kind in (F.CPPTYPE_UINT32, F.CPPTYPE_UINT64) else value

    def special(self, m, depth):
        r, name = self.r, m.DESCRIPTOR.name
        nanos = r.choice([0, 1, 999999999, 1000, 5000000, 120000, r.randint(0, 999999999)])
        if name == "Timestamp":
            m.seconds, m.nanos = r.choice([0, -62135596800, 253402300799, r.randint(-62135596800, 253402300799)]), nanos
        elif name == "Duration":
            sign = r.choice([1, -1])
            m.seconds, m.nanos = sign * r.choice([0, 1, 315576000000, r.randint(0, 10**6)]), sign * nanos
        elif name == "Value":
            self.value(m, depth)
        elif name == "ListValue":
            for _ in range(r.randint(0, 3)):
                self.value(m.values.add(), depth + 1)
        elif name == "Struct":
            for _ in range(r.randint(0, 3)):
                self.value(m.fields[r.choice(self.TEXTS)], depth + 1)
        elif name == "Any":
            # without maps, whose order within the bytes is free
            inner = new(r.choice(["flyteidl.core.Primitive", "flyteidl.core.Identifier", "google.protobuf.Duration"]))
            self.message(inner, depth + 1)
            m.type_url, m.value = "type.googleapis.com/" + inner.DESCRIPTOR.full_name, inner.SerializeToString(deterministic=True)

    def value(self, m, depth):
        r = self.r
        kind = r.choice(["null", "number", "text", "bool"] + (["struct", "list"] if depth < 6 else []))
        if kind == "null":
            m.null_value = 0
        elif kind == "number":
            m.number_value = r.choice([x for x in self.REALS if math.isfinite(x)] + [r.uniform(-1e6, 1e6)])
        elif kind == "text":
            m.string_value = r.choice(self.TEXTS)
        elif kind == "bool":
            m.bool_value = r.random() < 0.5
        else:
            inner = m.struct_value if kind == "struct" else m.list_value
            inner.SetInParent()
            self.special(inner, depth + 1)

    def message(self, m, depth=0):
        if m.DESCRIPTOR.file.name in ("google/protobuf/struct.proto", "google/protobuf/timestamp.proto", "google/protobuf/duration.proto",
                                      "google/protobuf/any.proto"):
            m.SetInParent()
            return self.special(m, depth)
        likely = 0.7 if depth < 2 else 0.45 if depth < 5 else 0.1 if depth < 8 else 0.0
        for field in m.DESCRIPTOR.fields:
            if self.r.random() < likely:
                self.field(m, field, depth)

    def field(self, m, field, depth):
        if field.message_type and field.message_type.GetOptions().map_entry:
            entries, value = getattr(m, field.name), field.message_type.fields_by_name["value"]
            key = field.message_type.fields_by_name["key"]
            for _ in range(self.r.randint(0, 4)):
                if value.message_type:
                    self.message(entries[self.scalar(key)], depth + 1)
                else:
                    entries[self.scalar(key)] = self.scalar(value)
        elif field.is_repeated:
            for _ in range(self.r.randint(0, 4)):
                if field.message_type:
                    self.message(getattr(m, field.name).add(), depth + 1)
                else:
                    getattr(m, field.name).append(self.scalar(field))
        elif field.message_type:
            getattr(m, field.name).SetInParent()
            self.message(getattr(m, field.name), depth + 1)
        else:
            setattr(m, field.name, self.scalar(field))


def same(a, b):
    """Equality where NaN equals NaN, and numbers are compared as numbers."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) in (int, float) and type(b) in (int, float) and a == b or type(a) is type(b) and a == b


def canonical(m):
    return m.SerializeToString(deterministic=True)


def cases(type_name):
    for i in range(ROUNDS):
        seed = int.from_bytes(hashlib.sha256(f"{SEED} {type_name} {i}".encode()).digest()[:8], "big")
        m = new(type_name)
        Fill(seed).message(m)
        yield m


def test_covers_flyteidl():
    assert len(TYPES) > 250 and "flyteidl.core.LiteralMap" in TYPES


@pytest.mark.parametrize("type_name", TYPES + [f"google.protobuf.{t}" for t in WELL_KNOWN])
def test_agrees_with_google(pipe, type_name):
    for m in cases(type_name):
        packed = canonical(m)
        assert canonical(type(m).FromString(pipe.ok("u", type_name, packed))) == packed
        for proto_names in (False, True):
            for defaults in (False, True):
                want = json_format.MessageToJson(m, preserving_proto_field_name=proto_names, always_print_fields_with_no_presence=defaults,
                                                 descriptor_pool=POOL)
                got = pipe.ok("w", type_name, packed, PROTO_NAMES * proto_names | DEFAULTS * defaults)
                assert same(json.loads(got), json.loads(want)), (got.decode(), want)
                back = json_format.Parse(got, new(type_name), descriptor_pool=POOL)
                assert canonical(back) == packed
                ours = pipe.ok("r", type_name, want.encode())
                assert canonical(type(m).FromString(ours)) == packed
        numbers = json_format.MessageToJson(m, use_integers_for_enums=True, descriptor_pool=POOL)
        assert same(json.loads(pipe.ok("w", type_name, packed, ENUM_NUMBERS)), json.loads(numbers))
        assert canonical(type(m).FromString(pipe.ok("r", type_name, numbers.encode()))) == packed


def test_largest_float(pipe):
    m = new("flyteidl.core.ArrayNode")
    m.min_success_ratio = 3.4028234663852886e38
    text = pipe.ok("w", "flyteidl.core.ArrayNode", m.SerializeToString())
    assert text == b'{"minSuccessRatio":3.4028235e+38}'
    assert pipe.ok("r", "flyteidl.core.ArrayNode", text) == m.SerializeToString()


def test_nulls_like_protojson(pipe):
    got = json.loads(pipe.ok("w", "flyteidl.core.TaskNode", b"", PROTO_NAMES | DEFAULTS | NULLS))
    assert got == {"overrides": None}  # the reference is a oneof's
    assert pipe.ok("r", "flyteidl.core.TaskNode", b'{"overrides": null, "referenceId": null}') == b""


def test_map_keys_are_sorted(pipe):
    m = new("flyteidl.core.LiteralMap")
    for key in "zebra", "apple", "Mango", "ä":
        m.literals[key].hash = "h"
    assert list(json.loads(pipe.ok("w", "flyteidl.core.LiteralMap", m.SerializeToString()))["literals"]) == ["Mango", "apple", "zebra", "ä"]


def nested_binary(levels):
    body = b""
    for i in range(2 * levels):
        length, head = len(body), b""
        while length > 127:
            head, length = head + bytes([length & 127 | 128]), length >> 7
        body = bytes([0x12 if i % 2 else 0x0A]) + head + bytes([length]) + body
    return body


def nested_json(levels):
    return b'{"collection":{"literals":[' * levels + b"{}" + b"]}}" * levels


def test_depth(pipe):
    pipe.ok("u", "flyteidl.core.Literal", nested_binary(50))
    pipe.ok("r", "flyteidl.core.Literal", nested_json(50))
    for levels in (51, 5000):
        for operation in "uwd":
            pipe.refuses(operation, "flyteidl.core.Literal", nested_binary(levels), "nested too deeply")
        pipe.refuses("r", "flyteidl.core.Literal", nested_json(levels), "nested too deeply")
    for text in b"[" * 5000, b'{"a":' * 5000, b"[" * 5000 + b"]" * 5000:
        pipe.refuses("r", "google.protobuf.Value", text, "nested too deeply")
        pipe.refuses("r", "flyteidl.core.Literal", b'{"unknown":' + text, "nested too deeply", flags=1)


def test_cut_at_each_byte(pipe):
    m = new("flyteidl.admin.Execution")
    Fill(SEED).message(m)
    packed, text = canonical(m), pipe.ok("w", "flyteidl.admin.Execution", canonical(m))
    assert len(packed) > 300
    for i in range(min(len(packed), 3000)):
        code, answer = pipe.call("u", "flyteidl.admin.Execution", packed[:i])
        assert code in (OK, INVALID_ARGUMENT) and (code == OK or answer)
    for i in range(min(len(text), 3000)):
        try:
            text[:i].decode()
            json.loads(text[:i])
        except ValueError:
            assert pipe.call("r", "flyteidl.admin.Execution", text[:i])[0] == INVALID_ARGUMENT, text[:i]


def test_random_damage(pipe):
    r = random.Random(SEED)
    for type_name in ("flyteidl.admin.TaskSpec", "flyteidl.core.CompiledWorkflowClosure", "google.protobuf.Struct"):
        m = new(type_name)
        Fill(SEED + 1).message(m)
        for operation, good in (("u", canonical(m)), ("r", pipe.ok("w", type_name, canonical(m)))):
            for _ in range(1500):
                bad = bytearray(good)
                for _ in range(r.randint(1, 4)):
                    if bad:
                        bad[r.randrange(len(bad))] = r.randrange(256)
                code, _ = pipe.call(operation, type_name, bytes(bad))
                assert code in (OK, INVALID_ARGUMENT)


def test_what_we_take_google_takes(pipe):
    """Damaged binaries: what our unpacking lets through means the same to Google's."""
    r = random.Random(SEED)
    taken = 0
    for m in cases("flyteidl.core.TaskTemplate"):
        good = canonical(m)
        for _ in range(200):
            bad = bytearray(good)
            bad[r.randrange(len(bad))] = r.randrange(256)
            code, packed = pipe.call("u", "flyteidl.core.TaskTemplate", bytes(bad))
            if code == OK:
                taken += 1
                theirs = type(m).FromString(bytes(bad))
                ours = type(m).FromString(packed)
                # Google's Python keeps a map's entry that has unknown fields as unknown bytes, in their first order
                ours.DiscardUnknownFields()
                theirs.DiscardUnknownFields()
                assert canonical(ours) == canonical(theirs)
    assert taken > 50


@pytest.mark.parametrize("type_name, text, wrong", [
    ("flyteidl.core.Primitive", b'{"stringValue":"\xc3("}', "not UTF-8"),
    ("flyteidl.core.Primitive", b'{"stringValue":"\xed\xa0\x80"}', "not UTF-8"),
    ("flyteidl.core.Primitive", b'{"stringValue":"a\x00b"}', "control character"),
    ("flyteidl.core.Primitive", rb'{"stringValue":"a\u0000b"}', "NUL"),
    ("flyteidl.core.Primitive", rb'{"stringValue":"\ud800"}', "surrogate"),
    ("flyteidl.core.Primitive", rb'{"stringValue":"\udc00\ud800"}', "surrogate"),
    ("flyteidl.core.Primitive", rb'{"stringValue":"\x41"}', "unknown escape"),
    ("flyteidl.core.Primitive", b'{"stringValue":1}', "a text is expected"),
    ("flyteidl.core.Primitive", b'{"integer":1e400}', "range"),
    ("flyteidl.core.Primitive", b'{"integer":9223372036854775808}', "range"),
    ("flyteidl.core.Primitive", b'{"integer":"-9223372036854775809"}', "range"),
    ("flyteidl.core.Primitive", b'{"integer":1.5}', "range"),
    ("flyteidl.core.Primitive", b'{"integer":" 1"}', "an integer is expected"),
    ("flyteidl.core.Primitive", b'{"integer":01}', "a value is expected"),
    ("flyteidl.core.Primitive", b'{"integer":+1}', "a value is expected"),
    ("flyteidl.core.Primitive", b'{"integer":0x10}', "a value is expected"),
    ("flyteidl.core.Primitive", b'{"integer":' + b"9" * 100000 + b"}", "range"),
    ("flyteidl.core.Primitive", b'{"floatValue":1e999}', "range"),
    ("flyteidl.core.Primitive", b'{"floatValue":NaN}', "a value is expected"),
    ("flyteidl.core.Primitive", b'{"boolean":"true"}', "true or false"),
    ("flyteidl.core.Primitive", b'{"boolean":1}', "true or false"),
    ("flyteidl.core.Primitive", b'{"datetime":"2026-02-30T00:00:00Z"}', "a timestamp"),
    ("flyteidl.core.Primitive", b'{"datetime":"2026-02-03 00:00:00Z"}', "a timestamp"),
    ("flyteidl.core.Primitive", b'{"datetime":"0000-12-31T00:00:00Z"}', "a timestamp"),
    ("flyteidl.core.Primitive", b'{"duration":"1"}', "a duration"),
    ("flyteidl.core.Primitive", b'{"duration":"315576000001s"}', "a duration"),
    ("flyteidl.core.Primitive", b'{"integer":"1","boolean":true}', "oneof"),
    ("flyteidl.core.Primitive", b'{"integer":"1","integer":"2"}', "twice"),
    ("flyteidl.core.Primitive", b'{"stringValue":"a","string_value":"b"}', "twice"),
    ("flyteidl.core.Primitive", b'{"nonsense":1}', "has no such field"),
    ("flyteidl.core.Primitive", b'{"integer":1} x', "something follows"),
    ("flyteidl.core.Primitive", b'{"integer":1,}', "a text is expected"),
    ("flyteidl.core.Primitive", b"{,}", "a text is expected"),
    ("flyteidl.core.Primitive", b"", "the text ends"),
    ("flyteidl.core.Primitive", b"[]", "'{' is expected"),
    ("flyteidl.core.Primitive", b"null", "'{' is expected"),
    ("flyteidl.core.LiteralMap", b'{"literals":{"a":{},"a":{}}}', "comes twice"),
    ("flyteidl.core.LiteralMap", b'{"literals":{"a":null}}', "null"),
    ("flyteidl.core.LiteralCollection", b'{"literals":[null]}', "null"),
    ("flyteidl.core.Binary", b'{"value":"a*b="}', "base64"),
    ("flyteidl.core.Identifier", b'{"resourceType":"NONSENSE"}', "has no value \"NONSENSE\""),
    ("flyteidl.core.Identifier", b'{"resourceType":2147483648}', "range"),
    ("flyteidl.admin.LaunchPlanMetadata", b'{"launchConditions":{"@type":"x/no.Such"}}', "unknown"),
    ("flyteidl.admin.LaunchPlanMetadata", b'{"launchConditions":{"x":1}}', "@type"),
])
def test_refused(pipe, type_name, text, wrong):
    pipe.refuses("r", type_name, text, wrong)


@pytest.mark.parametrize("type_name, text, want", [
    ("flyteidl.core.Primitive", rb'{"stringValue":"\u00e4\ud834\udd1e\/\n"}', {"stringValue": "ä𝄞/\n"}),
    ("flyteidl.core.Primitive", b'{"integer":1e3}', {"integer": "1000"}),
    ("flyteidl.core.Primitive", b'{"integer":"-9223372036854775808"}', {"integer": "-9223372036854775808"}),
    ("flyteidl.core.Primitive", b'{"integer":9007199254740993}', {"integer": "9007199254740993"}),
    ("flyteidl.core.Primitive", b'{"integer":1844674407370955161e1}', None),
    ("flyteidl.core.Primitive", b'{"floatValue":"-Infinity"}', {"floatValue": "-Infinity"}),
    ("flyteidl.core.Primitive", b'{"floatValue":"2.5"}', {"floatValue": 2.5}),
    ("flyteidl.core.Primitive", b'{"datetime":"2026-11-21T09:03:00.25+02:00"}', {"datetime": "2026-11-21T07:03:00.250Z"}),
    ("flyteidl.core.Primitive", b'{"duration":"-0.5s"}', {"duration": "-0.500s"}),
    ("flyteidl.core.Binary", b'{"value":"-_-_"}', {"value": "+/+/"}),
    ("flyteidl.core.Binary", b'{"value":"YQ"}', {"value": "YQ=="}),
    ("flyteidl.core.Identifier", b'{"resource_type":"TASK"}', {"resourceType": "TASK"}),
    ("flyteidl.core.Identifier", b'{"resourceType":12345}', {"resourceType": 12345}),
    ("google.protobuf.Struct", b'{"a":null,"b":[null,{}]}', {"a": None, "b": [None, {}]}),
    ("flyteidl.core.Primitive", b' {\r\n\t"integer" : "1" } ', {"integer": "1"}),
])
def test_accepted(pipe, type_name, text, want):
    if want is None:
        return pipe.refuses("r", type_name, text, "range")
    assert json.loads(pipe.ok("w", type_name, pipe.ok("r", type_name, text))) == want
    json_format.Parse(text, new(type_name), descriptor_pool=POOL)


def test_ignored_when_asked(pipe):
    text = b'{"nonsense":{"a":[1,"x",{}]},"resourceType":"NONSENSE","name":"n"}'
    assert json.loads(pipe.ok("w", "flyteidl.core.Identifier", pipe.ok("r", "flyteidl.core.Identifier", text, 1))) == {"name": "n"}


def test_error_says_where(pipe):
    pipe.refuses("r", "flyteidl.core.LiteralMap", b'{"literals": {\n  "a": {"scalar": {"primitive": {"integer": "x"}}}}}',
                 "line 2, column 48, literals.a.scalar.primitive.integer: an integer is expected")


def test_times_out_of_range(pipe):
    for type_name, seconds, nanos in [("Timestamp", 253402300800, 0), ("Timestamp", 0, -1), ("Duration", 1, -1), ("Duration", 315576000001, 0)]:
        m = new("google.protobuf." + type_name)
        m.seconds, m.nanos = seconds, nanos
        pipe.refuses("w", "google.protobuf." + type_name, m.SerializeToString(), "out of range")


def test_digest_ignores_order(pipe):
    r = random.Random(SEED)
    for type_name in ("flyteidl.core.LiteralMap", "google.protobuf.Struct"):
        field = "literals" if "Literal" in type_name else "fields"
        for m in cases(type_name):
            entries = list(getattr(m, field).items())
            parts = []
            for key, value in entries:
                one = new(type_name)
                getattr(one, field)[key].CopyFrom(value)
                parts.append(one.SerializeToString())
            r.shuffle(parts)
            assert pipe.ok("d", type_name, b"".join(parts)) == pipe.ok("d", type_name, m.SerializeToString())


@pytest.mark.parametrize("type_name, path, value, want", [
    ("flyteidl.admin.ObjectGetRequest", "id.project", "p", {"id": {"project": "p"}}),
    ("flyteidl.admin.ObjectGetRequest", "id.resource_type", "WORKFLOW", {"id": {"resourceType": "WORKFLOW"}}),
    ("flyteidl.admin.ObjectGetRequest", "id.resourceType", "2", {"id": {"resourceType": "WORKFLOW"}}),
    ("flyteidl.admin.ResourceListRequest", "limit", "100", {"limit": 100}),
    ("flyteidl.admin.ResourceListRequest", "sort_by.direction", "ASCENDING", {"sortBy": {"direction": "ASCENDING"}}),
    ("flyteidl.admin.ResourceListRequest", "filters", "eq(a,b)+ü", {"filters": "eq(a,b)+ü"}),
    ("flyteidl.admin.GetVersionRequest", "x", "", None),
    ("flyteidl.admin.ResourceListRequest", "limit", "x", None),
    ("flyteidl.admin.ResourceListRequest", "limit.x", "1", None),
    ("flyteidl.admin.ResourceListRequest", "id", "1", None),
    ("flyteidl.admin.ResourceListRequest", "", "1", None),
    ("flyteidl.core.Primitive", "datetime", "2026-11-21T07:03:00Z", {"datetime": "2026-11-21T07:03:00Z"}),
    ("flyteidl.core.Primitive", "boolean", "1", {"boolean": True}),
    ("flyteidl.core.Binary", "value", "-_-_", {"value": "+/+/"}),
    ("flyteidl.core.Container", "args", "one", {"args": ["one"]}),
    ("flyteidl.core.LiteralMap", "literals", "one", None),
    ("flyteidl.service.CreateUploadLocationRequest", "expires_in", "60s", {"expiresIn": "60s"}),
])
def test_url_parameters(pipe, type_name, path, value, want):
    code, answer = pipe.call("p", type_name, f"{path}\n{value}".encode())
    if want is None:
        assert code == INVALID_ARGUMENT and path in answer.decode(), answer
    else:
        assert code == OK, answer
        assert json.loads(pipe.ok("w", type_name, answer)) == want


def test_memory_is_bounded(pipe):
    code, answer = pipe.call("w", "flyteidl.core.LiteralCollection", b"\x0a\x00" * (8 << 20))
    assert code == RESOURCE_EXHAUSTED and b"too much memory" in answer


def test_speed(pipe):
    """Prints figures (pytest -s); fails only when something is absurdly slow."""
    m = new("flyteidl.core.CompiledWorkflowClosure")
    r = random.Random(SEED)
    for i in range(200):
        task = m.tasks.add().template
        task.id.CopyFrom(type(task.id)(resource_type=1, project="flytesnacks", domain="development", name=f"module.task_{i}", version="v1"))
        task.type = "python-task"
        task.container.image = "registry.example/flytekit:py3.11-1.16"
        task.container.args.extend(["pyflyte-execute", "--inputs", "{{.input}}", "--output-prefix", "{{.outputPrefix}}"])
        for k in range(4):
            task.interface.inputs.variables[f"input_{k}"].type.simple = r.randint(1, 5)
    figures = pipe.ok("b", "flyteidl.core.CompiledWorkflowClosure", m.SerializeToString()).decode()
    print(figures)
    assert all(int(line.split()[1]) > 2 for line in figures.splitlines()), figures
