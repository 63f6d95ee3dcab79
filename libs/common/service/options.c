/* The command line. */
#include <getopt.h>
#include <glob.h>
#include <stdio.h>

#include "service/private.h"

static const struct option LONG[] = {
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"dump-config", no_argument, NULL, 'D'},
	{"docs", no_argument, NULL, 'M'},
	{"check", no_argument, NULL, 'C'},
	{0},
};

static void print_help(const struct service *s)
{
	printf("alula-%s: %s\n\n"
	       "usage: alula-%s [options] [command]\n\n"
	       "  --config FILE   YAML; may be repeated (later files win) and hold wildcards\n"
	       "  --check         say what is wrong with the configuration and exit\n"
	       "  --dump-config   print the configuration in force and exit\n"
	       "  --docs          print all keys as Markdown and exit\n"
	       "  --version       print the version and exit\n"
	       "  --help          print this and exit\n",
	       s->name, s->text, s->name);
	printf("\nCommands:\n  %-15s %s\n", "serve", "what it does without a command");
	for (const struct service_command *c = s->commands; c && c->name; c++)
		printf("  %-15s %s\n", c->name, c->text);
}

static bool add_files(const struct service *s, const char *pattern, struct options *o)
{
	glob_t g;
	if (glob(pattern, GLOB_NOMAGIC, NULL, &g) != 0) {
		fprintf(stderr, "alula-%s: --config %s: no such file\n", s->name, pattern);
		return false;
	}
	for (size_t i = 0; i < g.gl_pathc; i++)
		vec_push(&o->files, x_strdup(g.gl_pathv[i]));
	globfree(&g);
	return true;
}

static bool find_command(const struct service *s, char **argv, int argc, struct options *o)
{
	if (strcmp(argv[0], "serve") == 0 && argc == 1)
		return true;
	for (const struct service_command *c = s->commands; c && c->name; c++) {
		if (strcmp(c->name, argv[0]) == 0) {
			o->action = ACTION_COMMAND;
			o->argc = argc;
			o->argv = argv;
			return true;
		}
	}
	fprintf(stderr, "alula-%s: unknown command \"%s\"; see --help\n", s->name, argv[0]);
	return false;
}

static bool take_option(const struct service *s, int option, struct options *o)
{
	switch (option) {
	case 'c': return add_files(s, optarg, o);
	case 'D': o->action = ACTION_DUMP; return true;
	case 'M': o->action = ACTION_DOCS; return true;
	case 'C': o->action = ACTION_CHECK; return true;
	case 'h':
		print_help(s);
		o->action = ACTION_DONE;
		return true;
	case 'V':
		printf("alula-%s %s\n", s->name, ALULA_VERSION);
		o->action = ACTION_DONE;
		return true;
	default: fprintf(stderr, "alula-%s: see --help\n", s->name); return false;
	}
}

bool options_parse(const struct service *service, int argc, char **argv, struct options *ret)
{
	*ret = (struct options){0};
	optind = 0;
	for (;;) {
		int option = getopt_long(argc, argv, "+", LONG, NULL);
		if (option == -1)
			break;
		if (!take_option(service, option, ret))
			return false;
		if (ret->action == ACTION_DONE)
			return true;
	}
	return optind == argc || find_command(service, argv + optind, argc - optind, ret);
}

void options_clear(struct options *o)
{
	vec_each (char **, f, &o->files)
		free(*f);
	vec_free(&o->files);
}
