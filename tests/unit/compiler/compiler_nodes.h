/* Nodes of all kinds as short texts. */
#pragma once
#include "compiler_fixture.h"

#define ENTITY(type, name) "{resource_type: " type ", project: p, domain: d, name: " name ", version: v}"
#define PLAN(id, name, inputs)                                                                                         \
	"{id: " id ", workflow_node: {launchplan_ref: " ENTITY("LAUNCH_PLAN", name) "}, inputs: [" inputs "]}"
#define SUB(id, name, inputs)                                                                                          \
	"{id: " id ", workflow_node: {sub_workflow_ref: " ENTITY("WORKFLOW", name) "}, inputs: [" inputs "]}"
#define GATE(id, condition, inputs)   "{id: " id ", gate_node: {" condition "}, inputs: [" inputs "]}"
#define ARRAY(id, node, more, inputs) "{id: " id ", array_node: {node: " node more "}, inputs: [" inputs "]}"
#define BRANCH(id, cases, inputs)     "{id: " id ", branch_node: {if_else: {" cases "}}, inputs: [" inputs "]}"
#define COMPARE(left, right)          "{comparison: {operator: GT, left_value: {" left "}, right_value: {" right "}}}"
#define VAR(name)                     "var: " name
#define NUMBER                        "primitive: {integer: 10}"
#define ABOVE_TEN(name)               COMPARE(VAR(name), NUMBER)
#define CASE(condition, node)         "case: {condition: " condition ", then_node: " node "}"
#define IF(condition, node)           "{condition: " condition ", then_node: " node "}"
#define ELSE(node)                    ", else_node: " node
#define ERROR                         ", error: {failed_node_id: x, message: no}"
#define ADD_INPUT(id)                 ADD(id, INPUT("x"), ONE)
#define WITH_INPUT                    INPUTS("x: " INT)
#define OUTPUT(node)                                                                                                   \
	"interface: {inputs: {variables: {x: " INT "}}, outputs: {variables: {o0: " INT                                \
	"}}}, outputs: [" BIND("o0", PROMISE(node, "o0")) "], "
