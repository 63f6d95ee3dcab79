# A real flytekit workflow through the local stack.  EXAMPLE=words runs examples/words.py; DEMO_ARGS are its inputs.

EXAMPLE   ?= wages
DEMO_ARGS ?=

## demo: run a workflow of examples/ through the local stack, print its outputs (EXAMPLE=words)
demo: deps $(PROGRAMS)
	@$(STACK_ENV) $(abspath $(VENV))/bin/python -B tools/demo $(EXAMPLE) $(DEMO_ARGS)

.PHONY: demo
