"""Named entities, descriptions. Source: flyteadmin named_entity_manager.go, description_entity_manager.go, validation/
named_entity_validator.go, validation.go (v1.16.8)."""
from facts.fact import BAD, DOMAIN, MISSING, PROJECT, Fact, ref, task, task_id, without

NAME = {"project": PROJECT, "domain": DOMAIN, "name": "t.base"}
NOBODY = f'missing entity of type TASK with identifier project:"{PROJECT}" domain:"{DOMAIN}" name:"nobody"'
OWN = dict(NAME, name="{u}")
DESCRIBED = task()
DESCRIBED["spec"]["description"] = {"short_description": "short", "long_description": {"value": "long"},
                                    "source_code": {"link": "https://example.org"}}


def update(**more):
    return dict({"resource_type": "TASK", "id": OWN, "metadata": {"description": "d", "state": "NAMED_ENTITY_ARCHIVED"}}, **more)


FACTS = []
for rpc, request in (("GetNamedEntity", {"resource_type": "TASK", "id": NAME}), ("UpdateNamedEntity", update())):
    FACTS += [Fact(rpc, without(request, f"id.{part}"), BAD, f"missing {part}") for part in ("project", "domain", "name")]
    FACTS += [Fact(rpc, without(request, "resource_type"), BAD, "invalid value for resource_type", only="grpc"),
              Fact(rpc, without(request, "id"), BAD, "missing id")]
FACTS += [
    Fact("GetNamedEntity", {"resource_type": "TASK", "id": NAME}, gives={
        "resource_type": "TASK", "id": NAME, "metadata": {"description": "", "state": "NAMED_ENTITY_ACTIVE"}}),
    # flyteadmin says "entry not found" of all these.
    Fact("GetNamedEntity", {"resource_type": "TASK", "id": dict(NAME, name="nobody")}, MISSING, (NOBODY,)),
    Fact("GetNamedEntity", {"resource_type": "WORKFLOW", "id": NAME}, MISSING, ("missing entity of type WORKFLOW",)),
    Fact("GetNamedEntity", {"resource_type": "DATASET", "id": NAME}, BAD, "Cannot get NamedEntityMetadata for resource type: DATASET"),
    Fact("UpdateNamedEntity", without(update(), "metadata"), BAD, "missing metadata"),
    Fact("UpdateNamedEntity", update(resource_type="DATASET"), BAD, "Resource [DATASET] cannot have its state updated"),
    Fact("UpdateNamedEntity", update(id=dict(NAME, name="nobody")), MISSING, (NOBODY,)),
    Fact("UpdateNamedEntity", update(), given=[("CreateTask", task())], then=[
        ("GetNamedEntity", {"resource_type": "TASK", "id": OWN},
         {"metadata": {"description": "d", "state": "NAMED_ENTITY_ARCHIVED"}}),
        ("ListNamedEntities", {"resource_type": "TASK", "project": PROJECT, "domain": DOMAIN, "limit": 9, "filters": "eq(name,{u})"},
         {"entities": [{"metadata": {"state": "NAMED_ENTITY_ARCHIVED"}}]}),
        ("ListNamedEntities", {"resource_type": "TASK", "project": PROJECT, "domain": DOMAIN, "limit": 9,
                               "filters": "eq(name,{u})+eq(state,0)"}, {"entities": []})]),
    Fact("UpdateNamedEntity", update(metadata={"description": "back"}),
         given=[("CreateTask", task()), ("UpdateNamedEntity", update())], then=[
             ("GetNamedEntity", {"resource_type": "TASK", "id": OWN}, {"metadata": {"description": "back"}})]),
    # What is not said stays, but for the state.
    Fact("UpdateNamedEntity", update(metadata={"state": "NAMED_ENTITY_ACTIVE"}),
         given=[("CreateTask", task()), ("UpdateNamedEntity", update())], then=[
             ("GetNamedEntity", {"resource_type": "TASK", "id": OWN}, {"metadata": {"description": "d", "state": "NAMED_ENTITY_ACTIVE"}})]),
    Fact("ListNamedEntities", {"resource_type": "TASK", "domain": DOMAIN, "limit": 5}, BAD, "missing project"),
    Fact("ListNamedEntities", {"resource_type": "TASK", "project": PROJECT, "limit": 5}, BAD, "missing domain"),
    Fact("ListNamedEntities", {"project": PROJECT, "domain": DOMAIN, "limit": 5}, BAD, "invalid value for resource_type"),
    Fact("ListNamedEntities", {"resource_type": "DATASET", "project": PROJECT, "domain": DOMAIN, "limit": 5}, BAD,
         "Cannot list entity names for resource type: DATASET"),
    Fact("ListNamedEntities", {"resource_type": "LAUNCH_PLAN", "project": PROJECT, "domain": DOMAIN, "limit": 2,
                               "sort_by": {"key": "name", "direction": "ASCENDING"}},
         gives={"entities": [{"id": {"name": "l.active"}, "resource_type": "LAUNCH_PLAN"}, {"id": {"name": "l.base"}}], "token": bool}),
    Fact("ListNamedEntities", {"resource_type": "TASK", "project": PROJECT, "domain": DOMAIN, "limit": 9,
                               "filters": "eq(named_entity_metadata.description,nothing like it)"}, gives={"entities": []}),
    # Descriptions.
    Fact("CreateTask", DESCRIBED, then=[
        ("GetDescriptionEntity", {"id": task_id("{u}")}, {
            "id": {"name": "{u}", "resource_type": "TASK"}, "short_description": "short", "long_description": {"value": "long"},
            "source_code": {"link": "https://example.org"}}),
        ("GetTask", {"id": task_id("{u}")}, {"short_description": "short"}),
        ("ListDescriptionEntities", {"resource_type": "TASK", "id": OWN, "limit": 5},
         {"descriptionEntities": [{"short_description": "short"}], "token": ""})]),
    Fact("GetDescriptionEntity", {"id": task_id("nobody")}, MISSING, (NOBODY,)),
    Fact("GetDescriptionEntity", {"id": ref("t.base")}, BAD, "invalid value for resource_type", only="grpc"),
    *[Fact("GetDescriptionEntity", {"id": without(task_id(), part)}, BAD, f"missing {part}")
      for part in ("project", "domain", "name", "version")],
    *[Fact("ListDescriptionEntities", {"resource_type": "TASK", "id": without(NAME, part), "limit": 5}, BAD, f"missing {part}")
      for part in ("project", "domain", "name")],
    Fact("ListDescriptionEntities", {"resource_type": "TASK", "limit": 5}, BAD, "missing id"),
    Fact("ListDescriptionEntities", {"resource_type": "TASK", "id": NAME, "limit": 5}, gives={"descriptionEntities": [], "token": ""}),
]
