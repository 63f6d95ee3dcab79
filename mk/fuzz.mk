# Fuzz targets (docs/fuzzing.md): tests/fuzz/<target>.c, each in two programs.  In MODE=fuzz clang links them with
# libFuzzer; in every other mode a small driver (tests/fuzz/lib/replay.c) feeds them their corpus, as a unit test.
# `<target>.fuzz` lists the modules that a target links, `<target>.fuzz_service` the service that it is a part of.

FUZZ_SECONDS ?= 300
FUZZ         ?= $(FUZZ_TARGETS)
FUZZ_CC      ?= $(if $(findstring ccache,$(CC)),ccache )clang-14
FUZZ_JOBS    ?= 2

pb.fuzz         = pb
json_read.fuzz  = json
json_write.fuzz = json
filters.fuzz    = base pb db
compiler.fuzz   = base pb json flyte compiler
rest.fuzz       = gateway
attribute.fuzz  = base pb json flyte
filters.fuzz_service   = admin
compiler.fuzz_service  = propeller
attribute.fuzz_service = propeller

FUZZ_TARGETS  := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ_PROGRAMS  = $(FUZZ_TARGETS:%=$(B)/tests/fuzz/%)
FUZZ_TYPES     = $(B)/tests/fuzz/lib/types.o

# gcc is who warns.  To clang a NULL pointer plus 0 is an overflow; loops over empty vectors do that, harmlessly.
MODE_CFLAGS.fuzz  = -O1 -fsanitize=address,undefined,float-cast-overflow,fuzzer-no-link -fno-sanitize=pointer-overflow \
 -fno-sanitize-recover=all -DALULA_SANITIZE -w
MODE_LDFLAGS.fuzz = -fsanitize=address,undefined,fuzzer

define fuzz_rules
$(B)/tests/fuzz/$(1).o: OWN_CFLAGS = -Itests/fuzz $(addprefix -Iservices/,$($(1).fuzz_service))
$(B)/tests/fuzz/$(1).replay.o: tests/fuzz/lib/replay.c $(B)/flags | $(PROTO_STAMP)
	@mkdir -p $$(@D); $$(CC) $$(ALL_CFLAGS) -Itests/fuzz -DCORPUS='"tests/fuzz/corpus/$(1)"' -MMD -MP -c -o $$@ $$<
$(B)/tests/fuzz/$(1): $(B)/tests/fuzz/$(1).o $(FUZZ_TYPES) $(if $(filter-out fuzz,$(MODE)),$(B)/tests/fuzz/$(1).replay.o) \
    $(foreach s,$($(1).fuzz_service),$(call service_lib,$(s))) \
    $(foreach m,$(call closure,$($(1).fuzz)),$(call module_lib,$(m))) $(PROTO_LIB)
	@echo "  LD $$@"
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
	  $$(call pkg_libs,$$(call module_pkgs,$($(1).fuzz)) libprotobuf-c) -lm
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rules,$(t))))
$(FUZZ_TYPES): OWN_CFLAGS = -Itests/fuzz

## fuzz: fuzz every target (FUZZ=json_read for one, FUZZ_SECONDS=300 each); fails if one finds something
fuzz: fuzz-deps
	@$(MAKE) --no-print-directory MODE=fuzz CC='$(FUZZ_CC)' fuzz-run

## fuzz-merge: keep of what fuzzing found the inputs that reach new code, in tests/fuzz/corpus
fuzz-merge: fuzz-deps
	@$(MAKE) --no-print-directory MODE=fuzz CC='$(FUZZ_CC)' fuzz-merge-run

## fuzz-seeds: first inputs for fuzzing, of the flows that the tests run
fuzz-seeds: deps
	@$(VENV)/bin/python tests/fuzz/seeds.py build/fuzz/fuzz

fuzz-run fuzz-merge-run: $(FUZZ:%=$(B)/tests/fuzz/%)
	@$(PYTHON) tools/fuzz $(if $(filter fuzz-merge-run,$@),--merge) --build $(B) --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) $(FUZZ)

fuzz-deps:
	@tools/deps $(VENV) fuzz

.PHONY: fuzz fuzz-seeds fuzz-merge fuzz-run fuzz-merge-run fuzz-deps
