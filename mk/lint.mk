# Checks that need no running daemon.  Each is a target of its own.

CLANG_FORMAT ?= $(firstword $(shell command -v clang-format-14) clang-format)
C_FILES      = $(sort $(shell find libs services tests bench tools -name '*.[ch]'))
HEADERS      = $(filter %.h,$(C_FILES))
# cppcheck 2.10 reads neither __VA_OPT__ (log_at) nor statement expressions (take).
CPPCHECK     = cppcheck -q -j2 --std=c11 --language=c --library=posix,gnu --enable=warning,performance,portability --inline-suppr \
               --error-exitcode=1 --suppressions-list=tools/cppcheck.supp --cppcheck-build-dir=$(B)/cppcheck \
               -D__x86_64__ -DALULA_VERSION='""' -Ulog_at -Utake -Ilibs/common

## lint: layout, cppcheck, headers alone, include rules, configuration documented, table of casts
lint: lint-format lint-includes lint-headers lint-cppcheck lint-config lint-types

lint-format:
	@printf '%s\n' $(C_FILES) | xargs -P 2 -n 40 $(CLANG_FORMAT) --dry-run -Werror

lint-includes:
	@$(PYTHON) tools/check-includes

lint-headers: $(PROTO_STAMP)
	@CC='$(CC)' CFLAGS='$(filter-out -DALULA_VERSION%,$(ALL_CFLAGS)) $(sort $(foreach m,$(MODULES),$(cflags.$(m))))' tools/check-headers $(HEADERS)

lint-cppcheck:
	@mkdir -p $(B)/cppcheck
	@$(CPPCHECK) $(addprefix -Iservices/,$(SERVICES)) $(filter libs/% services/% tools/%,$(filter %.c,$(C_FILES)))

lint-config: $(foreach s,$(SERVICES),$(B)/bin/alula-$(s))
	@tools/check-config $(B)/bin $(SERVICES)

# The table of casts is what the rules say.
lint-types:
	@$(PYTHON) tests/unit/flyte/castability.py --check

## format: lay out all C files with clang-format
format:
	@printf '%s\n' $(C_FILES) | xargs -P 2 -n 40 $(CLANG_FORMAT) -i

## docs: write docs/config/*.md from the daemons' own tables
docs: $(foreach s,$(SERVICES),$(B)/bin/alula-$(s))
	@mkdir -p docs/config
	@for s in $(SERVICES); do $(B)/bin/alula-$$s --docs > docs/config/$$s.md; done

.PHONY: lint lint-format lint-includes lint-headers lint-cppcheck lint-config lint-types format docs
