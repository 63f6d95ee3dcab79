# From proto/: protobuf-c's types, and with tools/protoc-gen-alula the short names, method tables and HTTP routes.
# protoc is quick (0.2 s for everything), so all files are made anew whenever one changes; what came out the same
# keeps its time stamp, so little is compiled again.

WKT        := $(addprefix google/protobuf/,any.proto descriptor.proto duration.proto struct.proto timestamp.proto wrappers.proto)
PROTOS     := $(shell cd proto && find . -name '*.proto' | sed 's|^\./||' | sort)
PROTO_STAMP = $(B)/proto/.made
PROTO_C     = $(addprefix $(B)/proto/,$(PROTOS:.proto=.pb-c.c) $(PROTOS:.proto=.alula.c) \
                $(WKT:.proto=.pb-c.c) $(WKT:.proto=.alula.c))
PROTO_O     = $(PROTO_C:.c=.o)
PROTO_LIB   = $(B)/lib/proto.a

PLUGIN      = $(B)/tools/protoc-gen-alula
PLUGIN_PB   = $(B)/tools/pb
PLUGIN_PROTOS = google/protobuf/compiler/plugin.proto google/protobuf/descriptor.proto google/api/http.proto
PLUGIN_SRC  = tools/protoc-gen-alula.c $(addprefix $(PLUGIN_PB)/,$(PLUGIN_PROTOS:.proto=.pb-c.c))

$(PLUGIN): tools/protoc-gen-alula.c proto/google/api/http.proto
	@mkdir -p $(PLUGIN_PB)
	@echo "  CC tools/protoc-gen-alula.c"
	@protoc-c -Iproto --c_out=$(PLUGIN_PB) $(PLUGIN_PROTOS)
	@$(CC) $(PROTO_CFLAGS) -Wall -Wextra -I$(PLUGIN_PB) -o $@ $(PLUGIN_SRC) -lprotobuf-c

$(PROTO_STAMP): $(PLUGIN) $(addprefix proto/,$(PROTOS))
	@rm -rf $(B)/proto.new && mkdir -p $(B)/proto.new $(B)/proto
	@echo "  PROTOC proto/"; protoc-c -Iproto --c_out=$(B)/proto.new $(PROTOS) $(WKT)
	@protoc -Iproto --plugin=protoc-gen-alula=$(PLUGIN) --alula_out=$(B)/proto.new $(PROTOS) $(WKT)
	@cd $(B)/proto.new && find . -type f | while read -r f; do \
	  cmp -s $$f ../proto/$$f || { mkdir -p ../proto/$${f%/*}; mv $$f ../proto/$$f; }; done
	@rm -rf $(B)/proto.new; touch $@

$(PROTO_C): $(PROTO_STAMP) ;

$(PROTO_O): %.o: %.c
	@$(CC) $(PROTO_CFLAGS) $(filter -fsanitize%,$(MODE_CFLAGS.$(MODE))) -I$(B)/proto -Ilibs/common -c -o $@ $<

$(PROTO_LIB): $(PROTO_O)
	@mkdir -p $(@D); rm -f $@; ar rcs $@ $^
