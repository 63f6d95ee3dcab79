"""Projects, domains, version. Source: flyteadmin project_manager.go, validation/project_validator.go (v1.16.8)."""
from facts.fact import BAD, EXISTS, MISSING, PROJECT, Fact


def register(**more):
    return {"project": dict({"id": "{u}", "name": "A project"}, **more)}


LABEL = ("name part must consist of alphanumeric characters, '-', '_' or '.'",)
DNS = ("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",)

FACTS = [
    Fact("RegisterProject", {}, BAD, "missing project"),
    Fact("RegisterProject", register(name=""), BAD, "missing project_name"),
    Fact("RegisterProject", register(id=""), BAD, "missing project_id"),
    Fact("RegisterProject", register(id="", name=""), BAD, "missing project_name"),
    Fact("RegisterProject", register(id="Upper"), BAD, ("invalid project id [Upper]: [", *DNS)),
    Fact("RegisterProject", register(id="-dash"), BAD, ("invalid project id [-dash]: [", *DNS)),
    Fact("RegisterProject", register(id="d" * 64), BAD, ("must be no more than 63 characters",)),
    Fact("RegisterProject", register(name="n" * 65), BAD, "project_name cannot exceed 64 characters"),
    Fact("RegisterProject", register(description="d" * 301), BAD, "project_description cannot exceed 300 characters"),
    Fact("RegisterProject", register(domains=[{"id": "development"}]), BAD,
         "Domains are currently only set system wide. Please retry without domains included in your request."),
    Fact("RegisterProject", register(labels={"values": {f"k{i}": "v" for i in range(17)}}), BAD,
         "labels map cannot exceed 16 entries"),
    Fact("RegisterProject", register(labels={"values": {"#": "v"}}), BAD, ("invalid label key [#]: [", *LABEL)),
    Fact("RegisterProject", register(labels={"values": {"k": "#"}}), BAD, ("invalid label value [#]: [",)),
    # Labels are looked at before the id, the id before the lengths.
    Fact("RegisterProject", register(id="Upper", labels={"values": {"#": "v"}}), BAD, ("invalid label key",)),
    Fact("RegisterProject", register(id="Upper", name="n" * 65), BAD, ("invalid project id",)),
    Fact("RegisterProject", register(description="d" * 300, name="n" * 64, labels={"values": {"a.b/c": ""}}),
         then=[("GetProject", {"id": "{u}"}, {"id": "{u}", "name": "n" * 64, "description": "d" * 300, "state": "ACTIVE",
                                              "labels": {"values": {"a.b/c": ""}}})]),
    Fact("RegisterProject", register(), EXISTS, ("value with matching already exists (",), given=[("RegisterProject", register())]),
    Fact("GetProject", {"id": PROJECT}, gives={"id": PROJECT, "name": "Facts", "domains": [
        {"id": "development"}, {"id": "staging"}, {"id": "production"}]}),
    Fact("GetProject", {}, BAD, "missing project_id"),
    Fact("GetProject", {"id": "nobody"}, MISSING, "project [nobody] not found"),
    Fact("UpdateProject", {"id": "nobody", "name": "x"}, MISSING, "project [nobody] not found"),
    Fact("UpdateProject", {"id": "{u}", "name": "n" * 65}, BAD, "project_name cannot exceed 64 characters",
         given=[("RegisterProject", register())]),
    Fact("UpdateProject", {"id": "{u}", "domains": [{"id": "x"}]}, BAD, ("Domains are currently only set system wide",),
         given=[("RegisterProject", register())]),
    Fact("UpdateProject", {"id": "{u}", "name": "Other", "state": "ARCHIVED"}, given=[("RegisterProject", register())],
         then=[("GetProject", {"id": "{u}"}, {"name": "Other", "state": "ARCHIVED"})]),
    # What is not said stays, but for the state.
    Fact("UpdateProject", {"id": "{u}", "description": "more"}, given=[("RegisterProject", register())],
         then=[("GetProject", {"id": "{u}"}, {"name": "A project", "description": "more", "state": "ACTIVE"})]),
    Fact("ListProjects", {"filters": "eq(identifier,facts)"}, gives={"projects": [{"id": PROJECT}], "token": ""}),
    Fact("ListProjects", {"filters": "eq(project.name,Facts)"}, gives={"projects": [{"id": PROJECT}]}),
    Fact("ListProjects", {"filters": "value_in(identifier,facts;flytesnacks)"},
         gives={"projects": [{"id": "facts"}, {"id": "flytesnacks"}]}),
    Fact("ListProjects", {"filters": "value_in(identifier,facts;flytesnacks)",
                          "sort_by": {"key": "identifier", "direction": "DESCENDING"}},
         gives={"projects": [{"id": "flytesnacks"}, {"id": "facts"}]}),
    Fact("ListProjects", {"limit": 1, "filters": "value_in(identifier,facts;flytesnacks)"},
         gives={"projects": [{"id": "facts"}], "token": bool}),
    # Archived ones are left out only of the list without filters.
    Fact("ListProjects", {"limit": 1000}, gives={"projects": lambda ps: "resting" not in [p["id"] for p in ps]}),
    Fact("ListProjects", {"filters": "eq(identifier,resting)"}, gives={"projects": [{"id": "resting"}]}),
    Fact("ListProjects", {"filters": "eq(identifier,resting)+eq(state,1)"}, gives={"projects": [{"id": "resting"}]}),
    Fact("ListProjects", {"token": "x"}, BAD, ("invalid pagination token x for ListProjects",)),
    Fact("ListProjects", {"sort_by": {"key": "nope"}}, BAD, "invalid sort key 'nope'"),
    Fact("ListProjects", {"filters": "eq(nope,x)"}, BAD, "'p.nope' is invalid filter"),
    Fact("ListProjects", {"filters": "eq(task.name,x)"}, BAD, "'t' entity is not allowed in filters"),
    Fact("GetDomains", {}, gives={"domains": [{"id": "development", "name": "development"}, {"id": "staging", "name": "staging"},
                                              {"id": "production", "name": "production"}]}),
    Fact("GetVersion", {}, gives={"control_plane_version": {"Version": bool}}),
]
