# Alula.  `make help` lists the targets; mk/ holds the rules by subject.

MODE ?= debug
B    ?= build/$(MODE)

CC          ?= gcc
PROTO_CFLAGS = -std=gnu17 -O2 -g -w
WARN_CFLAGS  = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
 -Wvla -Wformat=2 -Wno-format-nonliteral
BASE_CFLAGS  = -std=gnu17 -g -pthread -fno-omit-frame-pointer -D_GNU_SOURCE
MODE_CFLAGS.debug    = -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
MODE_CFLAGS.asan     = -O1 -fsanitize=address,undefined,float-cast-overflow \
 -fno-sanitize-recover=undefined,float-cast-overflow -DALULA_SANITIZE
MODE_CFLAGS.tsan     = -O1 -fsanitize=thread -DALULA_SANITIZE
MODE_CFLAGS.valgrind = -O1 -DALULA_SANITIZE
MODE_LDFLAGS.debug   = -Wl,-z,relro,-z,now
MODE_LDFLAGS.asan    = -fsanitize=address,undefined
MODE_LDFLAGS.tsan    = -fsanitize=thread
VERSION     := $(shell cat VERSION)
INCLUDES     = -I$(B)/proto -Ilibs/common
ALL_CFLAGS   = $(BASE_CFLAGS) $(WARN_CFLAGS) $(MODE_CFLAGS.$(MODE)) -DALULA_VERSION='"$(VERSION)"' $(INCLUDES) $(CFLAGS)
ALL_LDFLAGS  = -pthread -Wl,--as-needed $(MODE_LDFLAGS.$(MODE)) $(LDFLAGS)

.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

include mk/proto.mk
include mk/build.mk
include mk/deps.mk
include mk/fuzz.mk
include mk/test.mk
include mk/sim.mk
include mk/lint.mk
include mk/local.mk
include mk/bench.mk
include mk/demo.mk
include mk/install.mk

## all: build every daemon, tool and unit test
all: $(PROGRAMS) $(UNIT_TESTS) $(FUZZ_PROGRAMS)

## clean: remove what was built (var/ with its data stays)
clean:
	rm -rf build

## help: list the targets
help:
	@sed -n 's/^## //p' Makefile mk/*.mk | awk -F': ' '{ printf "  %-12s %s\n", $$1, $$2 }'

FORCE:
.PHONY: all clean help FORCE
