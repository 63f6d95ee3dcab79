DESTDIR ?=
PREFIX  ?= /usr/local
DOCS     = $(wildcard README.md ARCHITECTURE.md LICENSE docs/*.md)

## install: programs and documents below DESTDIR/PREFIX (alula-shim lies beside the daemons, who look for it there)
install: $(PROGRAMS)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/alula/config
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	$(if $(DOCS),install -m 644 $(DOCS) $(DESTDIR)$(PREFIX)/share/doc/alula)
	$(if $(wildcard docs/config/*.md),install -m 644 docs/config/*.md $(DESTDIR)$(PREFIX)/share/doc/alula/config)

.PHONY: install
