"""Tasks, workflows, launch plans. Source: flyteadmin {task,workflow,launch_plan}_manager.go, validation/{task,workflow,launch_plan}
_validator.go, pkg/errors (v1.16.8)."""
from facts.fact import (BAD, DOMAIN, EXISTS, INTEGER, MISSING, PROJECT, STRING, Fact, integer, interface, literals, node, plan, plan_id,
                        promise, ref, task, task_id, text, workflow, workflow_id)

NO_PROJECT = "failed to validate that project [nobody] and domain [development] are registered, err: [project [nobody] not found]"


def container(requests=(), limits=(), image="i"):
    entries = lambda pairs: [{"name": n, "value": v} for n, v in pairs]
    return {"image": image, "command": ["c"], "resources": {"requests": entries(requests), "limits": entries(limits)}}


FACTS = []
for rpc, make, kind in (("CreateTask", task, "TASK"), ("CreateWorkflow", workflow, "WORKFLOW"), ("CreateLaunchPlan", plan, "LAUNCH_PLAN")):
    made = make()
    FACTS += [
        Fact(rpc, dict(made, id=ref("{u}", kind=kind, project="nobody")), BAD, NO_PROJECT),
        Fact(rpc, dict(made, id=ref("{u}", kind=kind, project="resting")), BAD, "project [resting] is not active",
             detail="flyteidl.admin.InactiveProject"),
        Fact(rpc, dict(made, id=ref("{u}", kind=kind, domain="nowhere")), BAD, "domain [nowhere] is unrecognized by system"),
        Fact(rpc, {"id": made["id"]}, BAD, "missing spec"),
    ]

FACTS += [
    # Tasks.
    Fact("CreateTask", task(), then=[("GetTask", {"id": task_id("{u}")}, {
        "id": {"name": "{u}", "version": "v1", "resource_type": "TASK"}, "closure": {"compiled_task": {"template": {"type": "echo"}}}})]),
    Fact("CreateTask", {"id": task_id("{u}"), "spec": {}}, BAD, "missing spec"),
    Fact("CreateTask", task(type=""), BAD, "missing type"),
    Fact("CreateTask", task(metadata=None), BAD, "missing metadata"),
    Fact("CreateTask", task(metadata={"runtime": {}}), BAD, "missing runtime version"),
    Fact("CreateTask", task(metadata={})),
    Fact("CreateTask", task(interface=None), BAD, "missing typed interface"),
    Fact("CreateTask", task(type="", metadata=None, interface=None), BAD, "missing type"),
    Fact("CreateTask", task(container={"image": ""}), BAD, "missing image"),
    Fact("CreateTask", task(k8s_pod={}), BAD,
         "invalid TaskSpecification, pod tasks should specify their target as a K8sPod with a defined pod spec"),
    Fact("CreateTask", task(container=container([("CPU", "many")])), BAD, ("Parsing of CPU request failed for value many - reason",)),
    Fact("CreateTask", task(container=container([("CPU", "1"), ("CPU", "1")])), BAD,
         ("can't specify CPU limit for task [", "] multiple times")),
    Fact("CreateTask", task(container=container([("CPU", "2")], [("CPU", "1")])), BAD,
         "Requested CPU default [2] is greater than the limit [1]. Please fix your configuration"),
    Fact("CreateTask", task(container=container([("CPU", "1")], [("CPU", "200")])), BAD,
         ("Requested CPU limit [200] is greater than current limit set in the platform configuration [2].",)),
    Fact("CreateTask", task(container=container([("MEMORY", "2Gi")])), BAD,
         ("Requested MEMORY default [2Gi] is greater than current limit set in the platform configuration [1Gi].",)),
    Fact("CreateTask", task(container=container([("GPU", "500m")])), BAD, ("gpu for [", "] must be a whole number, got: 500m instead")),
    Fact("CreateTask", task(container=container([("GPU", "1")], [("GPU", "2")])), BAD,
         ("For extended resource 'gpu' the default value must equal the limit value for task [",)),
    Fact("CreateTask", task(container=container([("STORAGE", "1Gi")]))),
    Fact("CreateTask", task(), EXISTS, "task with identical structure already exists", given=[("CreateTask", task())]),
    Fact("CreateTask", task(type="other"), BAD,
         ("{u} task with different structure already exists. (Please register a new version of the task):\n", "/template/type"),
         given=[("CreateTask", task())]),
    Fact("CreateTask", task(version="v2", type="other"), given=[("CreateTask", task())]),
    Fact("ListTaskIds", {"project": PROJECT, "domain": DOMAIN, "limit": 2, "sort_by": {"key": "name", "direction": "ASCENDING"}},
         gives={"entities": [{"project": PROJECT, "domain": DOMAIN, "name": "t.base"}, {"name": "t.many"}]}),

    # Workflows.
    Fact("CreateWorkflow", workflow(), then=[("GetWorkflow", {"id": workflow_id("{u}")}, {
        "id": {"name": "{u}"}, "closure": {"compiled_workflow": {"primary": {"template": {"nodes": [
            {"id": "start-node"}, {"id": "end-node"}, {"id": "n0"}]}}}}})]),
    Fact("CreateWorkflow", {"id": workflow_id("{u}"), "spec": {}}, BAD, "missing spec"),
    Fact("CreateWorkflow", workflow(), EXISTS, "workflow with identical structure already exists",
         given=[("CreateWorkflow", workflow())], detail="flyteidl.admin.CreateWorkflowFailureReason"),
    Fact("CreateWorkflow", workflow(nodes=[node("n1")], outputs=[promise("x", "n1")]), BAD,
         ("{u} workflow with different structure already exists. (Please register a new version of the workflow):\n",),
         given=[("CreateWorkflow", workflow())], detail="flyteidl.admin.CreateWorkflowFailureReason"),
    Fact("CreateWorkflow", workflow(nodes=[node(task="nobody")]), BAD, ("missing entity of type TASK", "nobody")),
    Fact("CreateWorkflow", workflow(nodes=[]), BAD, ("failed to compile workflow",)),
    Fact("CreateWorkflow", workflow(nodes=[node(inputs=[])]), BAD, ("failed to compile workflow",)),
    Fact("ListWorkflows", {"id": {"project": PROJECT, "domain": DOMAIN, "name": "w.base"}, "limit": 5}, gives={"workflows": [
        {"closure": {"compiled_workflow": {"primary": {"template": {"nodes": [], "interface": interface()}}}}}]}),
    Fact("ListWorkflowIds", {"project": PROJECT, "domain": DOMAIN, "limit": 2, "sort_by": {"key": "name", "direction": "ASCENDING"}},
         gives={"entities": [lambda e: "name" in e, lambda e: "name" in e]}),

    # Launch plans: inputs.
    Fact("CreateLaunchPlan", plan(), then=[("GetLaunchPlan", {"id": plan_id("{u}")}, {
        "closure": {"state": "INACTIVE", "expected_inputs": {"parameters": {"x": {"required": True}}},
                    "expected_outputs": {"variables": {"x": {"type": INTEGER}}}}})]),
    Fact("CreateLaunchPlan", plan(fixed_inputs=literals(x=integer(1))), then=[("GetLaunchPlan", {"id": plan_id("{u}")}, {
        "closure": {"expected_inputs": {"parameters": {}}}, "spec": {"fixed_inputs": literals(x=integer(1))}})]),
    Fact("CreateLaunchPlan", plan(default_inputs={"parameters": {"x": {"var": {"type": INTEGER}, "default": integer(2)}}}),
         then=[("GetLaunchPlan", {"id": plan_id("{u}")},
                {"closure": {"expected_inputs": {"parameters": {"x": {"default": integer(2)}}}}})]),
    Fact("CreateLaunchPlan", plan(fixed_inputs=literals(y=integer(1))), BAD, "unexpected fixed_input y"),
    Fact("CreateLaunchPlan", plan(fixed_inputs=literals(x=text("a"))), BAD,
         ("invalid fixed_input wrong type x, expected simple:INTEGER, got simple:STRING instead",)),
    Fact("CreateLaunchPlan", plan(fixed_inputs=literals(x={})), BAD, "missing valid literal in fixed_inputs x"),
    Fact("CreateLaunchPlan", plan(default_inputs={"parameters": {"y": {"var": {"type": INTEGER}, "default": integer(2)}}}), BAD,
         "unexpected default_input y"),
    Fact("CreateLaunchPlan", plan(default_inputs={"parameters": {"x": {"var": {"type": STRING}, "default": text("a")}}}), BAD,
         "invalid default_input wrong type x, expected simple:STRING, got simple:INTEGER instead"),
    Fact("CreateLaunchPlan", plan(default_inputs={"parameters": {"x": {"default": integer(2)}}}), BAD,
         "The Variable component of the Parameter x in default_inputs either is missing, or has a missing Type"),
    Fact("CreateLaunchPlan", plan(default_inputs={"parameters": {"x": {"var": {"type": INTEGER}}}}), BAD,
         "Invalid variable x in default_inputs - variable has neither default, nor is required. One must be specified"),
    Fact("CreateLaunchPlan", plan(default_inputs={"parameters": {"x": {"var": {"type": INTEGER}, "default": text("a")}}}), BAD,
         "Type mismatch for Parameter x in default_inputs has type simple:INTEGER, expected simple:STRING"),
    Fact("CreateLaunchPlan", plan(default_inputs={"parameters": {"x": {"var": {"type": INTEGER}, "artifact_query": {"uri": "u"}}}}), BAD,
         "artifact mode not enabled but query found default_inputs x"),
    # ... the workflow, labels, who is told, schedules.
    Fact("CreateLaunchPlan", plan(workflow="nobody"), MISSING, ("missing entity of type WORKFLOW",)),
    Fact("CreateLaunchPlan", {"id": plan_id("{u}"), "spec": {}}, BAD, "missing id"),
    Fact("CreateLaunchPlan", plan(labels={"values": {"#": "v"}}), BAD, ("invalid label key [#]",)),
    Fact("CreateLaunchPlan", plan(entity_metadata={"notifications": [{"phases": ["FAILED"], "email": {}}]}), BAD, "missing recipients"),
    Fact("CreateLaunchPlan", plan(entity_metadata={"notifications": [{"phases": ["FAILED"]}]}), BAD,
         "invalid value for notification type"),
    Fact("CreateLaunchPlan", plan(entity_metadata={"notifications": [
        {"phases": ["RUNNING"], "slack": {"recipients_email": ["a@example.org"]}}]}), BAD, "invalid value for phase"),
    Fact("CreateLaunchPlan", plan(entity_metadata={"schedule": {"cron_schedule": {"schedule": "* * * * *"}}}), BAD,
         "Cannot create a launch plan with a schedule if there is an unbound required input. [x] is required"),
    Fact("CreateLaunchPlan", plan(entity_metadata={"schedule": {"cron_schedule": {"schedule": "* * * * *"},
                                                                "kickoff_time_input_arg": "when"}},
                                  fixed_inputs=literals(x=integer(1))), BAD,
         "Cannot create a schedule with a KickoffTimeInputArg that does not point to a free input. [when] is not free or does not "
         "exist."),
    Fact("CreateLaunchPlan", plan(entity_metadata={"schedule": {"cron_schedule": {"schedule": "* * * * *"},
                                                                "kickoff_time_input_arg": "x"}}), BAD,
         "KickoffTimeInputArg must reference a datetime input. [x] is a [simple:INTEGER]"),
    *[Fact("CreateLaunchPlan", plan(entity_metadata={"schedule": {"cron_schedule": {"schedule": cron}}},
                                    fixed_inputs=literals(x=integer(1)))) for cron in ("@daily", "@every 90m", "0 8-18/2 * jan,3 mon-fri", "")],
    *[Fact("CreateLaunchPlan", plan(entity_metadata={"schedule": {"cron_schedule": {"schedule": cron}}},
                                    fixed_inputs=literals(x=integer(1))), BAD, f"Invalid cron expression: {words}")
      for cron, words in (("now and then", "expected exactly 5 fields, found 3: [now and then]"),
                          ("@sometimes", "unrecognized descriptor: @sometimes"),
                          ("60 * * * *", "end of range (60) above maximum (59): 60"))],
    Fact("CreateLaunchPlan", plan(entity_metadata={"schedule": {"cron_expression": "x * * * *"}}, fixed_inputs=literals(x=integer(1))), BAD,
         'Invalid cron expression: failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    Fact("CreateLaunchPlan", plan(), EXISTS, "launch plan with identical structure already exists", given=[("CreateLaunchPlan", plan())]),
    Fact("CreateLaunchPlan", plan(max_parallelism=3), BAD,
         ("{u} launch plan with different structure already exists. (Please register a new version of the launch plan):\n",),
         given=[("CreateLaunchPlan", plan())]),
    # ... which is active.
    Fact("GetActiveLaunchPlan", {"id": {"project": PROJECT, "domain": DOMAIN, "name": "l.active"}},
         gives={"id": {"name": "l.active"}, "closure": {"state": "ACTIVE"}}),
    Fact("GetActiveLaunchPlan", {"id": {"project": PROJECT, "domain": DOMAIN, "name": "l.base"}}, MISSING,
         f"No active launch plan could be found: {PROJECT}:{DOMAIN}:l.base"),
    Fact("ListActiveLaunchPlans", {"project": PROJECT, "domain": DOMAIN, "limit": 5}, gives={"launch_plans": [
        {"id": {"name": "l.active"}}]}),
    Fact("UpdateLaunchPlan", {"id": plan_id("{u}", "v2"), "state": "ACTIVE"},
         given=[("CreateLaunchPlan", plan()), ("CreateLaunchPlan", plan(version="v2")),
                ("UpdateLaunchPlan", {"id": plan_id("{u}"), "state": "ACTIVE"})],
         then=[("GetLaunchPlan", {"id": plan_id("{u}")}, {"closure": {"state": "INACTIVE"}}),
               ("GetLaunchPlan", {"id": plan_id("{u}", "v2")}, {"closure": {"state": "ACTIVE"}}),
               # The list of active ones stays as it was.
               ("UpdateLaunchPlan", {"id": plan_id("{u}", "v2"), "state": "INACTIVE"}, {})]),
    Fact("UpdateLaunchPlan", {"id": plan_id("l.base"), "state": 7}, BAD, (
        "Unrecognized launch plan state 7 for update for launch plan [",)),
    Fact("ListLaunchPlanIds", {"project": PROJECT, "domain": DOMAIN, "limit": 1000},
         gives={"entities": lambda es: {"l.active", "l.base", "l.many"} <= {e["name"] for e in es}, "token": ""}),
]
