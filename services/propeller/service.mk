propeller.modules = base pb json flyte compiler api rpc config service db bus store metrics loop

# One small static program an attempt, without our libraries and without sanitizers.
EXTRA_PROGRAMS += $(B)/bin/alula-shim
$(B)/bin/alula-shim: services/propeller/shim/shim.c
	@mkdir -p $(@D); echo "  CC $<"
	@$(CC) -std=gnu17 -D_GNU_SOURCE -Os -g -Wall -Wextra -Werror -static -o $@ $<
