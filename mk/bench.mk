# The bench: bench/*.c is one program, a driver over gRPC; tools/bench runs it against a stack of its own.

bench.modules = bus db json rpc
BENCH         = $(B)/bench/alula-bench
BENCH_ENGINE  = $(B)/tests/unit/propeller/test_engine_speed

$(B)/bench/%.o: OWN_CFLAGS = $(foreach m,bus db json rpc,$(cflags.$(m)))
$(BENCH): $(patsubst %.c,$(B)/%.o,$(wildcard bench/*.c)) \
    $(foreach m,$(call closure,$(bench.modules)),$(call module_lib,$(m))) $(PROTO_LIB)
	@echo "  LD $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  $(call pkg_libs,$(call module_pkgs,$(bench.modules)) libprotobuf-c) -lm

## bench: measure a stack of its own and print the table of docs/performance.md (about 3 minutes)
bench: deps $(PROGRAMS) $(BENCH) $(BENCH_ENGINE)
	@ALULA_BIN=$(abspath $(B)/bin) VENV=$(abspath $(VENV)) $(PYTHON) -B tools/bench $(BENCH) $(BENCH_ENGINE)

.PHONY: bench
