# The simulator (tests/sim): the engine and what it includes, nothing that does I/O.

SEEDS          ?= 10000
SEED           ?= 1
SIM             = $(B)/tests/sim/sim
SIM_ARGS       ?=
SIM_SEEDS.asan  = 2000
SIM_SEEDS      ?= $(or $(SIM_SEEDS.$(MODE)),10000)

sim.modules = $(filter base pb json flyte compiler,$(propeller.modules))
SIM_ENGINE  = $(patsubst %.c,$(B)/%.o,$(wildcard services/propeller/engine/*.c))

$(SIM_ENGINE): OWN_CFLAGS = -Iservices/propeller
$(B)/tests/sim/%.o: OWN_CFLAGS = -Iservices/propeller -Itests/unit/propeller
$(SIM): $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/*.c)) $(SIM_ENGINE) \
    $(foreach m,$(call closure,$(sim.modules)),$(call module_lib,$(m))) $(PROTO_LIB)
	@echo "  LD $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  $(call pkg_libs,$(call module_pkgs,$(sim.modules)) libprotobuf-c) -lm

all: $(SIM)

## sim: random workflows under the simulator (SEEDS=100000, SEED=first)
sim: $(SIM)
	@$(SIM) --seeds $(SEEDS) --first $(SEED) $(SIM_ARGS)

.PHONY: sim
