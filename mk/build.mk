# Modules (libs/common/*), services (services/*) and their programs.
#
# A module says in libs/common/<module>/module.mk what it needs: `<module>.deps` other modules, `<module>.pkgs`
# pkg-config names, `<module>.test_deps` modules for its unit tests only.  A service says in services/<name>/service.mk
# which modules it links (`<name>.modules`).  A new directory with such a file is built without an edit here.

MODULES  := $(patsubst libs/common/%/module.mk,%,$(wildcard libs/common/*/module.mk))
SERVICES := $(patsubst services/%/service.mk,%,$(wildcard services/*/service.mk))
include $(wildcard libs/common/*/module.mk services/*/service.mk)

# Everything that a list of modules needs, itself included; worked out once a module.
closure = $(sort $(foreach m,$(1),$(closed.$(m))))
$(foreach m,$(MODULES),$(eval closed.$(m) = \
  $$(eval closed.$(m) := $$(sort $(m) $$(foreach d,$$($(m).deps),$$(closed.$$(d)))))$$(closed.$(m))))
# pkg-config is slow (0.5 s for grpc): it is asked only when something is built.
pkg_libs = $(if $(strip $(1)),$(shell pkg-config --libs $(1)))
module_pkgs = $(sort $(foreach m,$(call closure,$(1)),$($(m).pkgs)))

module_srcs  = $(wildcard libs/common/$(1)/*.c)
service_srcs = $(filter-out services/$(1)/main.c services/$(1)/shim/%,$(shell find services/$(1) -name '*.c' | sort))
module_lib   = $(B)/lib/$(1).a
service_lib  = $(B)/lib/service-$(1).a

PROGRAMS = $(foreach s,$(SERVICES),$(B)/bin/alula-$(s)) $(EXTRA_PROGRAMS)

$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' > $@

$(B)/%.o: %.c $(B)/flags | $(PROTO_STAMP)
	@mkdir -p $(@D)
	@echo "  CC $<"; $(CC) $(ALL_CFLAGS) $(OWN_CFLAGS) -MMD -MP -c -o $@ $<

define module_rules
cflags.$(1) = $$(eval cflags.$(1) := $$(if $$(strip $$($(1).pkgs)),$$(shell pkg-config --cflags $$($(1).pkgs))))$$(cflags.$(1))
$(call module_lib,$(1)): OWN_CFLAGS = $$(cflags.$(1))
$(call module_lib,$(1)): $(patsubst %.c,$(B)/%.o,$(call module_srcs,$(1)))
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
endef
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

# A service's SQL is compiled into it: file names and texts, in order.
define service_rules
$(B)/services/$(1)/migrations.c: $(wildcard services/$(1)/migrations/*.sql) tools/embed-sql
	@mkdir -p $$(@D); tools/embed-sql $(1)_migrations $$(filter %.sql,$$^) > $$@
$(B)/services/$(1)/migrations.o: $(B)/services/$(1)/migrations.c
	@$(CC) $$(ALL_CFLAGS) -c -o $$@ $$<
$(call service_lib,$(1)): OWN_CFLAGS = -Iservices/$(1)
$(B)/services/$(1)/main.o: OWN_CFLAGS = -Iservices/$(1)
$(call service_lib,$(1)): $(patsubst %.c,$(B)/%.o,$(call service_srcs,$(1))) \
    $(if $(wildcard services/$(1)/migrations/*.sql),$(B)/services/$(1)/migrations.o)
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
$(B)/bin/alula-$(1): $(B)/services/$(1)/main.o $(call service_lib,$(1)) \
    $(foreach m,$(call closure,$($(1).modules)),$(call module_lib,$(m))) $(PROTO_LIB)
	@mkdir -p $$(@D); echo "  LD $$@"
	@$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
	  $$(call pkg_libs,$(call module_pkgs,$($(1).modules)) libprotobuf-c) -lm
endef
$(foreach s,$(SERVICES),$(eval $(call service_rules,$(s))))

# Unit tests: tests/unit/<module or service>/test_*.c link that module or service and what it needs.
UNIT_SRCS  := $(wildcard tests/unit/*/test_*.c)
UNIT_TESTS  = $(patsubst %.c,$(B)/%,$(UNIT_SRCS))
unit_of     = $(word 3,$(subst /, ,$(1)))
unit_mods   = $(if $(filter $(call unit_of,$(1)),$(SERVICES)),$($(call unit_of,$(1)).modules),$(call unit_of,$(1)) $($(call unit_of,$(1)).test_deps))
define unit_rules
$(B)/$(1:.c=.o): OWN_CFLAGS = $(if $(filter $(call unit_of,$(1)),$(SERVICES)),-Iservices/$(call unit_of,$(1)))
$(B)/$(1:.c=): $(B)/$(1:.c=.o) $(if $(filter $(call unit_of,$(1)),$(SERVICES)),$(call service_lib,$(call unit_of,$(1)))) \
    $(foreach m,$(call closure,$(call unit_mods,$(1))),$(call module_lib,$(m))) $(PROTO_LIB)
	@echo "  LD $$@"
	@$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
	  $$(call pkg_libs,$(call module_pkgs,$(call unit_mods,$(1))) libprotobuf-c cmocka) -lm
endef
$(foreach t,$(UNIT_SRCS),$(eval $(call unit_rules,$(t))))

-include $(shell find $(B) -name '*.d' 2>/dev/null)
