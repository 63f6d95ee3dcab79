/* What is left of a crash: one line, written with nothing but write(2). */
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <unistd.h>

#include "service/private.h"

enum { MAX_FRAMES = 48, ALTERNATE_STACK_BYTES = 64 * 1024 };

static char crash_service[64];
static uintptr_t crash_base;

struct line {
	char text[2048];
	size_t n;
};

static void add_text(struct line *l, const char *s)
{
	while (*s && l->n + 1 < sizeof l->text)
		l->text[l->n++] = *s++;
}

static void add_number(struct line *l, uintptr_t v, unsigned base)
{
	char digits[24];
	size_t i = sizeof digits;
	digits[--i] = 0;
	do {
		digits[--i] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	add_text(l, digits + i);
}

static void add_address(struct line *l, uintptr_t v)
{
	add_text(l, "\"0x");
	add_number(l, v, 16);
	add_text(l, "\"");
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
	void *frames[MAX_FRAMES];
	struct line l = {.n = 0};
	(void)context;
	add_text(&l, "{\"level\":\"error\",\"service\":\"");
	add_text(&l, crash_service);
	add_text(&l, "\",\"msg\":\"crashed\",\"signal\":");
	add_number(&l, (uintptr_t)sig, 10);
	add_text(&l, ",\"address\":");
	add_address(&l, sig == SIGABRT ? 0 : (uintptr_t)info->si_addr);
	add_text(&l, ",\"base\":");
	add_address(&l, crash_base);
	add_text(&l, ",\"backtrace\":[");
	int n = backtrace(frames, MAX_FRAMES);
	for (int i = 0; i < n; i++) {
		add_text(&l, i ? "," : "");
		add_address(&l, (uintptr_t)frames[i]);
	}
	add_text(&l, "]}\n");
	if (write(STDERR_FILENO, l.text, l.n) < 0) {
		/* nothing is left to tell it to */
	}
	/* SA_RESETHAND has put the default back. */
	raise(sig);
}

/* The program is the first object; its base makes the addresses meaningful to addr2line. */
static int find_base(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	crash_base = info->dlpi_addr;
	return 1;
}

void crash_install(const char *service)
{
#ifndef ALULA_SANITIZE
	static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	static char stack[ALTERNATE_STACK_BYTES];
	void *once[1];
	/* Its first call loads libgcc, which a crash could not. */
	backtrace(once, 1);
	dl_iterate_phdr(find_base, NULL);
	strncpy(crash_service, service, sizeof crash_service - 1);
	sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
	struct sigaction action = {.sa_sigaction = on_crash,
				   .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER | SA_ONSTACK)};
	for (size_t i = 0; i < ARRAY_SIZE(SIGNALS); i++)
		sigaction(SIGNALS[i], &action, NULL);
#else
	(void)service;
	(void)on_crash;
	(void)find_base;
#endif
}
