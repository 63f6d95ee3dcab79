# The local stack: Postgres, nats-server and the daemons under VAR, of the programs in $(B)/bin.
# ALULA_GRPC_PORT=8089 and ALULA_HTTP_PORT=8088 choose the ports that people use.

VAR  ?= var
STACK_ENV = VAR=$(VAR) ALULA_BIN=$(abspath $(B)/bin) VENV=$(abspath $(VENV)) \
            $(foreach v,ALULA_GRPC_PORT ALULA_HTTP_PORT ALULA_DATACATALOG_PORT ALULA_ADMINS ALULA_DATACATALOGS ALULA_PROPELLERS ALULA_CONNECTOR_ENDPOINT,$(if $($(v)),$(v)=$($(v))))
STACK = $(STACK_ENV) $(PYTHON) -B tools/stack

## up: start Postgres, NATS and the daemons under var/ and return when they serve
up: deps $(PROGRAMS)
	@$(STACK) up

## down: stop all that up started; the data stays
down:
	@$(STACK) down

## status: list what runs, with pids and ports
status:
	@$(STACK) status || true

## logs: the last lines of every log (NAME=admin for one, FOLLOW=1 to go on)
logs:
	@FOLLOW=$(FOLLOW) $(STACK) logs $(NAME)

.PHONY: up down status logs
