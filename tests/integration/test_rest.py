"""REST as browsers and curl use it: forms of requests and answers, queries, documents, other origins. What the RPCs answer over REST
is in tests/conformance/test_facts.py."""
import json
import re

import pytest
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, task_pb2
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2
from google.api import annotations_pb2
from google.protobuf import json_format

from test_executions import DOMAIN, PROJECT, create_plan, create_task, unique

JSON = "application/json"
SCOPE = f"{PROJECT}/{DOMAIN}"
PAGE = "https://console.example.org"


# Forms.

def test_binary_both_ways(stack):
    name = unique("binary")
    request = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=name, name="Binary"))
    octets = {"Content-Type": "application/octet-stream"}
    r = stack.http("/api/v1/projects", "POST", data=request.SerializeToString(), headers=octets)
    assert (r.status_code, r.headers["Content-Type"]) == (200, "application/octet-stream")
    r = stack.http("/api/v1/projects", params={"filters": f"eq(identifier,{name})"}, headers={"Accept": "application/octet-stream"})
    assert [p.id for p in project_pb2.Projects.FromString(r.content).projects] == [name]
    r = stack.http("/api/v1/projects", "POST", data=request.SerializeToString(), headers=octets)
    assert r.status_code == 409 and r.headers["Content-Type"] == "application/octet-stream"
    assert r.content.startswith(b"\x08\x06\x12")  # google.rpc.Status: code 6, message
    r = stack.http("/api/v1/projects", "POST", data=b"\xff\xff", headers=octets)
    assert r.status_code == 400


def test_both_name_styles(stack):
    task = create_task(stack.admin)
    path = f"/api/v1/tasks/{SCOPE}/{task.name}/{task.version}"
    assert "compiled_task" in stack.http(path, headers={"Accept": JSON}).json()["closure"]
    assert "compiledTask" in stack.http(path).json()["closure"]
    for style in ({"resource_type": "TASK"}, {"resourceType": "TASK"}, {"resourceType": 1}):
        body = {"id": {"project": PROJECT, "domain": DOMAIN, "name": task.name, "version": task.version, **style}}
        r = stack.http("/api/v1/tasks", "POST", json=body)
        assert (r.status_code, r.json()["message"]) == (400, "missing spec"), style


def test_answers_are_what_grpc_gateway_makes_of_the_message(stack):
    """All fields, with their defaults, messages that are absent as null, oneofs only where set."""
    task = create_task(stack.admin)
    message = stack.admin.GetTask(common_pb2.ObjectGetRequest(id=task))
    found = stack.http(f"/api/v1/tasks/{SCOPE}/{task.name}/{task.version}", headers={"Accept": JSON}).json()
    assert json_format.ParseDict(found, task_pb2.Task()) == message
    assert found["short_description"] == "" and found["id"]["org"] == ""
    template = found["closure"]["compiled_task"]["template"]
    assert template["custom"] is None and template["config"] == {} and "container" not in template


# Queries.

def listed(stack, query):
    r = stack.http(f"/api/v1/tasks/{SCOPE}?{query}", headers={"Accept": JSON})
    return r.status_code, r.json()


def test_queries(stack):
    name = unique("queried")
    for version in ("v0", "v1", "v2"):
        t = create_task(stack.admin)  # a template to copy
        spec = task_pb2.TaskSpec(template=stack.admin.GetTask(common_pb2.ObjectGetRequest(id=t)).closure.compiled_task.template)
        t.name, t.version = name, version
        stack.admin.CreateTask(task_pb2.TaskCreateRequest(id=t, spec=spec))
    for query, versions in (
            ("limit=3&sort_by.key=version&sort_by.direction=ASCENDING", "v0 v1 v2"),
            ("limit=3&sort_by.key=version&sort_by.direction=DESCENDING", "v2 v1 v0"),
            ("limit=3&sortBy.key=version&sortBy.direction=1", "v0 v1 v2"),
            ("limit=3&sort_by.key=version&sort_by.direction=0", "v2 v1 v0"),
            ("limit=1&sort_by.key=version", "v2"),
            ("limit=3&sort_by.key=version&nobody=knows&this.too=1", "v2 v1 v0"),
            ("limit=3&sort_by.key=version&filters=value_in(version,v1%3Bv2)%2Bne(version,v2)", "v1")):
        found = stack.http(f"/api/v1/tasks/{SCOPE}/{name}?{query}").json()
        assert " ".join(t["id"]["version"] for t in found["tasks"]) == versions, query
    for query, words in (("limit=many", "limit"), ("limit=-1", "limit"), ("limit=1&limit=2", "too many values"),
                         ("limit=1&sort_by.direction=7&sort_by.key=name", "sort_by.direction"),
                         ("limit=1&sort_by.direction=UPWARDS", "sort_by.direction"), ("limit=1&sort_by=name", "sort_by"),
                         ("limit=1&token.x=1", "not a message")):
        status, answer = listed(stack, query)
        assert status == 400 and words in answer["message"], (query, answer)


def test_durations_and_bytes_in_a_query(stack):
    path = "/api/v1/dataproxy/artifact_urn"
    for expires, status in (("60s", 200), ("0.5s", 200), ("3601s", 400), ("soon", 400)):
        r = stack.http(path, params={"native_url": f"{stack.store}/x", "expires_in": expires})
        assert r.status_code == status, (expires, r.text)


# Plain paths.

def test_health_and_nobody_to_log_in_with(stack):
    assert stack.http("/healthcheck").status_code == 200
    for path in ("/me", "/config/v1/flyte_client", "/.well-known/oauth-authorization-server"):
        r = stack.http(path, headers={"Accept": JSON})
        assert (r.status_code, r.json()["code"]) == (501, 12), path
        assert r.json()["message"].startswith("unknown service flyteidl.service."), path


SERVICES = {m.DESCRIPTOR.name.rpartition("/")[2].partition(".")[0]: s
            for m in (admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2) for s in m.DESCRIPTOR.services_by_name.values()}


def operations(service):
    """(path, verb) -> operation id, from the descriptor."""
    for method in service.methods:
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for i, r in enumerate([rule, *rule.additional_bindings]):
            verb = r.WhichOneof("pattern")
            if verb:
                path = re.sub(r"=[^}]*", "", getattr(r, verb))
                yield (path, verb), f"{service.name}_{method.name}{i + 1 if i else ''}"


def references(x):
    if isinstance(x, dict):
        for k, v in x.items():
            yield from [v] if k == "$ref" else references(v)
    elif isinstance(x, list):
        for v in x:
            yield from references(v)


@pytest.mark.parametrize("name", SERVICES)
def test_documents(stack, name):
    r = stack.http(f"/api/v1/openapi/{name}.swagger.json")
    assert (r.status_code, r.headers["Content-Type"]) == (200, JSON)
    d = json.loads(r.text)
    assert (d["swagger"], d["info"]["title"]) == ("2.0", f"flyteidl/service/{name}.proto")
    found = {(p, v): o["operationId"] for p, verbs in d["paths"].items() for v, o in verbs.items()}
    assert found == dict(operations(SERVICES[name]))
    assert {x.rpartition("/")[2] for x in references(d)} <= set(d["definitions"])
    for path, verbs in d["paths"].items():
        for operation in verbs.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"\{([^}]*)\}", path))


def test_the_document_of_admin(stack):
    d = stack.http("/api/v1/openapi").json()
    assert d == stack.http("/api/v1/openapi/admin").json()
    get = d["paths"]["/api/v1/tasks/{id.project}/{id.domain}/{id.name}/{id.version}"]["get"]
    assert [(p["name"], p["in"]) for p in get["parameters"]] == [
        *[(f"id.{x}", "path") for x in ("project", "domain", "name", "version")], ("id.resource_type", "query"), ("id.org", "query")]
    assert get["parameters"][4]["enum"] == ["UNSPECIFIED", "TASK", "WORKFLOW", "LAUNCH_PLAN", "DATASET"]
    assert get["responses"]["200"]["schema"] == {"$ref": "#/definitions/adminTask"}
    post = d["paths"]["/api/v1/tasks"]["post"]
    assert post["parameters"] == [{"name": "body", "in": "body", "required": True,
                                   "schema": {"$ref": "#/definitions/adminTaskCreateRequest"}}]
    literal = d["definitions"]["coreLiteral"]["properties"]
    assert literal["metadata"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert literal["scalar"] == {"$ref": "#/definitions/coreScalar"}
    assert d["definitions"]["corePrimitive"]["properties"] == {
        "integer": {"type": "string", "format": "int64"}, "float_value": {"type": "number", "format": "double"},
        "string_value": {"type": "string"}, "boolean": {"type": "boolean"}, "datetime": {"type": "string", "format": "date-time"},
        "duration": {"type": "string"}}
    for path in ("/api/v1/openapi/nobody", "/api/v1/openapi/"):
        assert stack.http(path).status_code == 404


# Other origins.

def preflight(stack, method="GET", headers=None, origin=PAGE, path="/api/v1/projects"):
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return stack.http(path, "OPTIONS", headers={k: v for k, v in asked.items() if v is not None})


def test_any_origin_by_default(stack):
    r = stack.http("/api/v1/projects", headers={"Origin": PAGE})
    assert r.status_code == 200
    assert r.headers["Access-Control-Allow-Origin"] == "*" and r.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in stack.http("/api/v1/projects").headers
    r = stack.http("/api/v1/projects/nobody", headers={"Origin": PAGE})
    assert r.status_code == 404 and r.headers["Access-Control-Allow-Origin"] == "*"


def test_preflights(stack):
    r = preflight(stack, "PUT", "content-type, flyte-authorization,accept")
    assert (r.status_code, r.text) == (200, "")
    assert r.headers["Access-Control-Allow-Methods"] == "PUT"
    assert r.headers["Access-Control-Allow-Headers"] == "Content-Type,Flyte-Authorization"
    assert r.headers["Access-Control-Allow-Origin"] == "*"
    r = preflight(stack, "POST", None)
    assert r.status_code == 200 and "Access-Control-Allow-Methods" not in r.headers and "Access-Control-Allow-Headers" not in r.headers
    assert preflight(stack, "GET", "x-other").status_code == 403
    assert preflight(stack, "TRACE").status_code == 405
    assert preflight(stack, None).status_code == 400
    r = preflight(stack, origin=None)
    assert r.status_code == 200 and "Access-Control-Allow-Origin" not in r.headers
    assert preflight(stack, path="/nowhere").status_code == 200


def test_only_some_origins(new_stack):
    stack = new_stack(env={"ALULA_SERVER_SECURITY_ALLOWEDORIGINS": f"{PAGE},https://other.example.org",
                           "ALULA_SERVER_SECURITY_ALLOWEDHEADERS": "X-Mine"})
    r = stack.http("/api/v1/projects", headers={"Origin": PAGE})
    assert (r.headers["Access-Control-Allow-Origin"], r.headers["Vary"]) == (PAGE, "Origin")
    r = stack.http("/api/v1/projects", headers={"Origin": "https://evil.example.org"})
    assert r.status_code == 200 and "Access-Control-Allow-Origin" not in r.headers
    assert preflight(stack, "PUT", "x-mine,content-type").headers["Access-Control-Allow-Headers"] == "X-Mine,Content-Type"
    assert preflight(stack, "PUT", "flyte-authorization").status_code == 403
    r = preflight(stack, "PUT", origin="https://evil.example.org")
    assert r.status_code == 200 and "Access-Control-Allow-Methods" not in r.headers


def test_no_other_origin(new_stack):
    stack = new_stack(env={"ALULA_SERVER_SECURITY_ALLOWCORS": "false"})
    assert "Access-Control-Allow-Origin" not in stack.http("/api/v1/projects", headers={"Origin": PAGE}).headers
    assert preflight(stack).status_code == 501


def test_an_execution_by_hand(stack):
    """As a person with curl does it."""
    plan = create_plan(stack.admin)
    body = {"project": PROJECT, "domain": DOMAIN, "name": unique("byhand"), "spec": {"launchPlan": {
        "resourceType": "LAUNCH_PLAN", "project": PROJECT, "domain": DOMAIN, "name": plan.name, "version": plan.version}},
        "inputs": {"literals": {"x": {"scalar": {"primitive": {"integer": 7}}}}}}
    r = stack.http("/api/v1/executions", "POST", data=json.dumps(body))
    assert r.status_code == 200, r.text
    id = r.json()["id"]
    r = stack.http(f"/api/v1/executions/{SCOPE}/{id['name']}")
    assert r.json()["spec"]["launchPlan"]["name"] == plan.name
    execution = json_format.ParseDict(r.json(), execution_pb2.Execution())
    assert execution.id.name == id["name"]
