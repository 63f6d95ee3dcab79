# What must be on the machine.  VENV is shared by all stacks and build modes.

VENV   ?= var/venv
PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)

## deps: install missing Debian packages and the Python virtualenv (var/venv)
deps:
	@tools/deps $(VENV)

.PHONY: deps
