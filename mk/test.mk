# Tests.  A sanitizer is a mode with a build tree of its own.
# PYTEST_ARGS='-k "a or b"' narrows the pytest suites; UNIT='json flyte' the unit tests.

SUITES          ?= unit sim integration conformance
UNIT            ?= $(sort $(foreach t,$(UNIT_SRCS),$(call unit_of,$(t)))) fuzz
export PYTEST_ARGS ?=
TEST_JOBS       ?= 2
VALGRIND_UNITS   = base pb json flyte compiler propeller
UNIT_PROGRAMS    = $(filter $(foreach u,$(UNIT),$(B)/tests/unit/$(u)/%),$(UNIT_TESTS)) $(if $(filter fuzz,$(UNIT)),$(FUZZ_PROGRAMS))
RUN_TESTS        = MODE=$(MODE) ALULA_BIN=$(abspath $(B)/bin) $(PYTHON) tools/run-tests --programs '$(UNIT_PROGRAMS)' --sim '$(SIM) --seeds $(SIM_SEEDS)' \
                   --python $(VENV)/bin/python --jobs $(TEST_JOBS) --pytest-args="$$PYTEST_ARGS"

export ASAN_OPTIONS  ?= detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS  ?= halt_on_error=0:second_deadlock_stack=1:suppressions=$(abspath tools/tsan.supp)
export LSAN_OPTIONS  ?= print_suppressions=0:suppressions=$(abspath tools/lsan.supp)

## test: unit, simulator, integration and conformance tests; ends with "N passed, N failed"
test: deps all
	@$(RUN_TESTS) $(SUITES)

## unit: unit tests only (UNIT='json flyte' for some)
unit: $(UNIT_PROGRAMS)
	@$(RUN_TESTS) unit

## integration: integration tests only, against private stacks (PYTEST_ARGS='-k name')
integration: deps all
	@$(RUN_TESTS) integration

## conformance: tests with the real flytekit only
conformance: deps all
	@$(RUN_TESTS) conformance

## asan: unit, simulator and integration tests under AddressSanitizer and UBSan
asan:
	@$(MAKE) --no-print-directory MODE=asan test SUITES='unit sim integration'

## tsan: unit and integration tests under ThreadSanitizer
tsan:
	@$(MAKE) --no-print-directory MODE=tsan test SUITES='unit integration'

## valgrind: unit tests of the pure modules under valgrind
valgrind:
	@$(MAKE) --no-print-directory MODE=valgrind UNIT='$(VALGRIND_UNITS)' valgrind-unit

valgrind-unit: $(UNIT_PROGRAMS)
	@$(RUN_TESTS) --valgrind --timeout 600 unit

.PHONY: test unit integration conformance asan tsan valgrind valgrind-unit
# Programs that tests talk to: tests/tools/<name>.c is $(B)/tests/tools/<name> and links the modules of <name>.modules.
# They can look every message type up: ALL_TYPES and N_ALL_TYPES.
json_pipe.modules = json
rpc_bench.modules = rpc

TEST_TOOLS = $(patsubst %.c,$(B)/%,$(wildcard tests/tools/*.c))

$(B)/tests/tools/all_types.c: $(PROTO_STAMP)
	@mkdir -p $(@D)
	@cd $(B)/proto && { \
	  find . -name '*.pb-c.h' | sort | sed 's|^\./\(.*\)|#include "\1"|'; \
	  echo 'const ProtobufCMessageDescriptor *const ALL_TYPES[] = {'; \
	  find . -name '*.pb-c.h' | sort | xargs sed -n 's/^extern const ProtobufCMessageDescriptor \(.*\);/\&\1,/p'; \
	  echo '}; const size_t N_ALL_TYPES = sizeof ALL_TYPES / sizeof *ALL_TYPES;'; } > $(abspath $@)

$(B)/tests/tools/all_types.o: $(B)/tests/tools/all_types.c
	@$(CC) $(PROTO_CFLAGS) -I$(B)/proto -c -o $@ $<

define tool_rules
$(B)/tests/tools/$(1): $(B)/tests/tools/$(1).o $(B)/tests/tools/all_types.o \
    $(foreach m,$(call closure,$($(1).modules)),$(call module_lib,$(m))) $(PROTO_LIB)
	@echo "  LD $$@"
	@$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
	  $$(call pkg_libs,$(call module_pkgs,$($(1).modules)) libprotobuf-c) -lm
endef
$(foreach t,$(patsubst tests/tools/%.c,%,$(wildcard tests/tools/*.c)),$(eval $(call tool_rules,$(t))))

all: $(TEST_TOOLS)
