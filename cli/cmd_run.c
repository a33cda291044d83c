/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* cairn run: a command with an image as its root. */
#include <errno.h>
#include <stdio.h>

#include "cmd.h"
#include "run.h"

struct args {
	struct mount_wishes wishes;
	struct opt_list binds, environment;
	const char *upper, *directory;
	bool tmp, read_only, verbose;
};

static const struct opt opts[] = {
	MOUNT_WISH_OPTS(struct args, wishes),
	OPT_BOOL(struct args, tmp, 0, "tmp", 1, "changes are thrown away at the end (default)"),
	OPT_DIR(struct args, upper, 0, "upper", "DIR", "changes are kept in this directory"),
	OPT_BOOL(struct args, read_only, 0, "read-only", 1, "there can be no changes"),
	OPT_TEXTS(struct args, binds, 'b', "bind", "FROM[:TO[:ro]]",
		  "show a file or directory of this machine inside"),
	OPT_TEXTS(struct args, environment, 'e', "env", "NAME[=VALUE]",
		  "set a variable, or pass it on"),
	OPT_TEXT(struct args, directory, 'C', "cwd", "DIR", "where the command starts; default: /"),
	OPT_BOOL(struct args, verbose, 'v', "verbose", 1, "tell how it was mounted"),
	OPT_END,
};

/* --- environment ----------------------------------------------------------------------------- */

#define ENVIRONMENT_FIXED 4
#define ENVIRONMENT_MAX   (ENVIRONMENT_FIXED + OPT_LIST_MAX + 1)

/* Replaces what has the same name. */
static void set_variable(char **environment, unsigned int *nr, char *text)
{
	const size_t len = strcspn(text, "=") + 1;

	for (unsigned int i = 0; i < *nr; i++) {
		if (strncmp(environment[i], text, len) == 0) {
			environment[i] = text;
			return;
		}
	}
	environment[(*nr)++] = text;
}

/* "NAME=VALUE" of this process's environment; NULL: it has none. */
static char *find_variable(const char *name)
{
	const size_t len = strlen(name);

	for (char **e = environ; *e; e++)
		if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
			return *e;
	return NULL;
}

static void make_environment(const struct opt_list *wanted, char **environment)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char home[] = "HOME=/root", container[] = "container=cairn";
	char *term = find_variable("TERM");
	unsigned int nr = 0;

	set_variable(environment, &nr, path);
	set_variable(environment, &nr, home);
	set_variable(environment, &nr, container);
	if (term)
		set_variable(environment, &nr, term);
	for (unsigned int i = 0; i < wanted->nr; i++) {
		char *text = (char *)wanted->text[i];

		if (!strchr(text, '='))
			text = find_variable(text);
		if (text)
			set_variable(environment, &nr, text);
	}
	environment[nr] = NULL;
}

/* --- binds ----------------------------------------------------------------------------------- */

static int parse_bind(char *text, struct run_bind *b)
{
	char *to = strchr(text, ':'), *mode = NULL;

	if (to) {
		*to++ = '\0';
		mode = strchr(to, ':');
	}
	if (mode) {
		*mode++ = '\0';
		if (strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0)
			return talk_usage("--bind: ro or rw, not '%s'", mode);
		b->read_only = strcmp(mode, "ro") == 0;
	}
	b->from = realpath(text, NULL);
	if (!b->from)
		return talk_error(-errno, NULL, text);
	b->to = to && *to ? to : b->from;
	if (b->to[0] != '/')
		return talk_usage("--bind: '%s' is no absolute path", b->to);
	return EXIT_DONE;
}

static int parse(struct args *a, struct run *r)
{
	int status = EXIT_DONE;

	if (a->tmp + a->read_only + !!a->upper > 1)
		return talk_usage("only one of --tmp, --upper and --read-only");
	if (a->wishes.lists.nr && (r->request->mount.options.upperdir || r->request->mount.idmap))
		return talk_usage(
			"upperdir and idmap are for 'cairn mount': here there is --upper");
	if (r->request->mount.basedirs.nr)
		return talk_usage("basedir is for 'cairn mount': here there is --store");
	for (unsigned int i = 0; i < a->binds.nr && status == EXIT_DONE; i++) {
		status = parse_bind((char *)a->binds.text[i], &r->binds[i]);
		r->nr_binds = i + 1;
	}
	r->upper = a->upper;
	r->read_only = a->read_only;
	r->directory = a->directory;
	r->verbose = a->verbose;
	return status;
}

static void release(struct run *r)
{
	for (unsigned int i = 0; i < r->nr_binds; i++)
		free(r->binds[i].from);
}

#define cleanup_run __attribute__((__cleanup__(release)))

static int run(const struct command *self, int argc, char **argv)
{
	static char shell[] = "/bin/sh";
	char *default_command[] = {shell, NULL};
	char *environment[ENVIRONMENT_MAX];
	struct args a = {0};
	struct mount_request request cleanup_request = MOUNT_REQUEST_INIT;
	struct run r cleanup_run = {.request = &request, .proc = -1, .environment = environment};
	int nr = opt_parse(self, argc, argv, &a);

	if (nr < 0 || mount_request_open(&request, &a.wishes, argv[1]) != EXIT_DONE ||
	    parse(&a, &r) != EXIT_DONE)
		return RUN_FAILED;
	argv[nr + 1] = NULL;
	r.image = argv[1];
	r.command = nr > 1 ? argv + 2 : default_command;
	make_environment(&a.environment, environment);

	if (run_enter_namespaces(&r) != 0 || run_mount_root(&r) != 0)
		return RUN_FAILED;
	return run_processes(&r);
}

const struct command cmd_run = {
	.name = "run",
	.operands = "IMAGE [--] [COMMAND [ARGUMENT]...]",
	.summary = "run a command with an image as its root",
	.notes =
		"Options end at IMAGE. The exit status is that of the command; 125 is a failure of ours.",
	.more = mount_options_help,
	.opts = opts,
	.min = 1,
	.max = OPERANDS_ANY,
	.first = OPERAND_FILE,
	.others = OPERAND_NONE,
	.options_end = 1,
	.run = run,
};
