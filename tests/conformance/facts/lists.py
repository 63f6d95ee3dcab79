"""What all lists have in common. Source: flyteadmin pkg/manager/impl/util/filters.go, pkg/common/{filters,sorting}.go, the managers'
List functions and validation.go (v1.16.8)."""
from facts.fact import (BAD, DOMAIN, PROJECT, Fact, execution_id, node_id, task_execution_id)

SCOPE = {"id": {"project": PROJECT, "domain": DOMAIN}}
FLAT = {"project": PROJECT, "domain": DOMAIN}

# RPC -> request, the name that its token error has, the entity's code in filter errors, a column to sort and filter by.
LISTS = {
    "ListTasks": (SCOPE, "ListTasks", "t", "name"),
    "ListWorkflows": (SCOPE, "ListWorkflows", "w", "name"),
    "ListLaunchPlans": (SCOPE, "ListLaunchPlans", "l", "name"),
    "ListExecutions": (SCOPE, "ListExecutions", "e", "phase"),
    "ListNamedEntities": (dict(FLAT, resource_type="TASK"), "ListNamedEntities", "nen", "name"),
    "ListNodeExecutions": ({"workflow_execution_id": execution_id()}, "ListNodeExecutions", "ne", "phase"),
    "ListNodeExecutionsForTask": ({"task_execution_id": task_execution_id()}, "ListNodeExecutions", "ne", "phase"),
    "ListTaskExecutions": ({"node_execution_id": node_id()}, "ListTaskExecutions", "te", "phase"),
    "SignalService.ListSignals": ({"workflow_execution_id": execution_id()}, "ListSignals", "s", "signal_id"),
    "ListDescriptionEntities": (dict(resource_type="WORKFLOW", id={**FLAT, "name": "w.base"}), "ListWorkflows", "w", "name"),
}
# Lists without filters: RPC -> request and the name in the token error.
PLAIN = {
    "ListTaskIds": (FLAT, "for ListUniqueTaskIdentifiers"),
    "ListWorkflowIds": (FLAT, "for ListWorkflowIdentifiers"),
    "ListLaunchPlanIds": (FLAT, ""),
    "ListActiveLaunchPlans": (FLAT, "for ListActiveLaunchPlans"),
}


def asked(request, **more):
    return dict(request, **{"limit": 10, **more})


def rules(rpc, request, what, entity, column):
    # The filter functions are looked at before the sort key, and that before the token.
    yield Fact(rpc, asked(request, limit=0), BAD, "invalid value for limit")
    yield Fact(rpc, asked(request, token="x"), BAD, (f"invalid pagination token x for {what}",))
    yield Fact(rpc, asked(request, token="-1"), BAD, (f"invalid pagination token -1 for {what}",))
    yield Fact(rpc, asked(request, sort_by={"key": "nope"}), BAD, "invalid sort key 'nope'")
    yield Fact(rpc, asked(request, filters="nope"), BAD, "invalid value for filters")
    yield Fact(rpc, asked(request, filters=f"eq({column},{'RUNNING' if column == 'phase' else 'x'})+"), BAD, "invalid value for filters")
    yield Fact(rpc, asked(request, filters=f"eq({column})"), BAD, "invalid value for filters")
    yield Fact(rpc, asked(request, filters="eq(nope,x)"), BAD, f"'{entity}.nope' is invalid filter")
    yield Fact(rpc, asked(request, filters=f"equals({column},x)"), BAD, "unrecognized filter function: equals")
    yield Fact(rpc, asked(request, filters="eq(project.name,x)"), BAD, "'p' entity is not allowed in filters")
    yield Fact(rpc, asked(request, filters="eq(nope,x)", sort_by={"key": "nope"}, token="x"), BAD,
               f"'{entity}.nope' is invalid filter")
    yield Fact(rpc, asked(request, token="x", sort_by={"key": "nope"}), BAD, "invalid sort key 'nope'")
    yield Fact(rpc, asked(request, sort_by={"key": column, "direction": "ASCENDING"}))


def plain_rules(rpc, request, what):
    yield Fact(rpc, asked(request, token="x"), BAD, (f"invalid pagination token x {what}".strip(),))
    yield Fact(rpc, asked(request, sort_by={"key": "nope"}), BAD, "invalid sort key 'nope'")
    yield Fact(rpc, asked(request, sort_by={"key": "name", "direction": "ASCENDING"}))


FACTS = [f for rpc, (request, what, entity, column) in LISTS.items() for f in rules(rpc, request, what, entity, column)]
FACTS += [f for rpc, (request, what) in PLAIN.items() for f in plain_rules(rpc, request, what)]
FACTS += [Fact(rpc, asked(FLAT, limit=0), BAD, "invalid value for limit")
          for rpc in ("ListTaskIds", "ListWorkflowIds", "ListActiveLaunchPlans")]


def names(*expected, of="tasks"):
    return {of: [{"id": {"version": v}} for v in expected]}


def many(**more):
    return {"id": {"project": PROJECT, "domain": DOMAIN, "name": "t.many"}, "limit": 10,
            "sort_by": {"key": "version", "direction": "ASCENDING"}, **more}


# Every filter function, on the three versions of one task.
FACTS += [
    Fact("ListTasks", many(), gives=names("v0", "v1", "v2")),
    Fact("ListTasks", many(sort_by={"key": "version"}), gives=names("v2", "v1", "v0")),
    Fact("ListTasks", many(filters="eq(version,v1)"), gives=names("v1")),
    Fact("ListTasks", many(filters="eq(version, v1)"), gives=names("v1")),
    Fact("ListTasks", many(filters="eq(task.version,v1)"), gives=names("v1")),
    Fact("ListTasks", many(filters="ne(version,v1)"), gives=names("v0", "v2")),
    Fact("ListTasks", many(filters="gt(version,v1)"), gives=names("v2")),
    Fact("ListTasks", many(filters="gte(version,v1)"), gives=names("v1", "v2")),
    Fact("ListTasks", many(filters="lt(version,v1)"), gives=names("v0")),
    Fact("ListTasks", many(filters="lte(version,v1)"), gives=names("v0", "v1")),
    Fact("ListTasks", many(filters="contains(type,nd-2)"), gives=names("v2")),
    Fact("ListTasks", many(filters="not_like(type,%-2)"), gives=names("v0", "v1")),
    Fact("ListTasks", many(filters="value_in(version,v0;v2;v9)"), gives=names("v0", "v2")),
    Fact("ListTasks", many(filters="value_in(version,v0)"), gives=names("v0")),
    Fact("ListTasks", many(filters="value_not_in(version,v0;v2)"), gives=names("v1")),
    Fact("ListTasks", many(filters="gt(version,v0)+lt(version,v2)"), gives=names("v1")),
    Fact("ListTasks", many(filters="gt(created_at,2020-01-01T00:00:00Z)"), gives=names("v0", "v1", "v2")),
    Fact("ListTasks", many(filters="eq(version,v9)"), gives={"tasks": [], "token": ""}),
    # Pages: a full one has a token, though nothing may follow; digits are an offset.
    Fact("ListTasks", many(limit=2), gives={"token": bool, **names("v0", "v1")}),
    Fact("ListTasks", many(limit=3), gives={"token": bool, **names("v0", "v1", "v2")}),
    Fact("ListTasks", many(limit=4), gives={"token": "", **names("v0", "v1", "v2")}),
    Fact("ListTasks", many(limit=2, token="2"), gives={"token": "", **names("v2")}),
    Fact("ListTasks", many(limit=2, token="9"), gives={"token": "", "tasks": []}),
    # Other lists, by their own and by joined columns.
    Fact("ListLaunchPlans", {**SCOPE, "limit": 9, "filters": "eq(workflow.name,w.base)+eq(name,l.many)",
                             "sort_by": {"key": "version", "direction": "ASCENDING"}},
         gives=names("v0", "v1", "v2", of="launch_plans")),
    Fact("ListLaunchPlans", {**SCOPE, "limit": 9, "filters": "eq(state,1)"}, gives={"launch_plans": [{"id": {"name": "l.active"}}]}),
    Fact("ListTasks", many(filters="eq(workflow.name,x)"), BAD, "'w' entity is not allowed in filters"),
    Fact("ListWorkflows", asked(SCOPE, filters="eq(task.name,x)"), BAD, "'t' entity is not allowed in filters"),
    Fact("ListLaunchPlans", asked(SCOPE, filters="eq(execution.name,x)"), BAD, "'e' entity is not allowed in filters"),
    Fact("ListExecutions", asked(SCOPE, filters="eq(node_execution.phase,x)"), BAD, "'ne' entity is not allowed in filters"),
    Fact("ListTaskExecutions", asked({"node_execution_id": node_id()}, filters="eq(launch_plan.name,x)"), BAD,
         "'l' entity is not allowed in filters"),
    Fact("ListNodeExecutions", asked({"workflow_execution_id": execution_id()}, filters="eq(task.name,x)"), BAD,
         "'t' entity is not allowed in filters"),
    Fact("SignalService.ListSignals", asked({"workflow_execution_id": execution_id()}, filters="eq(execution.name,x)"), BAD,
         "'e' entity is not allowed in filters"),
    Fact("ListExecutions", asked(SCOPE, filters="gt(duration,fast)"), BAD, "Failed to parse duration [fast]"),
]
