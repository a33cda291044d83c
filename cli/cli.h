/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the subcommands of cairn(1) share: their table, exit statuses, words of failure. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <cairn/cairn.h>

#include "opt.h"
#include "out.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* `diff`: the two differ */
	EXIT_USAGE = 2,
	EXIT_UNVERIFIED = 3, /* content does not verify; `check`: the image is not canonical */
	EXIT_UNSUPPORTED = 4,
};

/* What an operand is, for the completions. */
enum operand_kind { OPERAND_NONE = 0, OPERAND_FILE, OPERAND_DIR, OPERAND_COMMAND, OPERAND_SHELL };

#define OPERANDS_ANY 255

/* A command, or a group of them: then `run` is NULL, and its members follow it in the table, each with
 * the group's name and a space in front of its own ("store", "store init"). */
struct command {
	const char *name;
	const char *operands;        /* as the usage line shows them; "": none */
	const char *summary;         /* one line, lower case, no full stop */
	const char *notes;           /* lines after it, NULL: none */
	const char *more;            /* lines after the options, NULL: none */
	const struct opt *opts;      /* ends with OPT_END */
	unsigned char min, max;      /* number of operands; max may be OPERANDS_ANY */
	unsigned char first, others; /* enum operand_kind of the first and of the others */
	unsigned char options_end;   /* operands that end the options; 0: none does */
	int (*run)(const struct command *self, int argc, char **argv); /* gives an exit_status */
};

/* All of them in the order of the help, ending with NULL. */
extern const struct command *const commands[];

/* The command (or group) that is called @group @name; @group: NULL for one that is in none. NULL: there
 * is none. */
const struct command *command_find(const struct command *group, const char *name);

/* The name of @cmd as a member of @group (NULL: of none), without the group's; NULL: it is no member. */
const char *command_member(const struct command *group, const struct command *cmd);

/* Runs @cmd with its arguments @argv[1..@argc); of a group the member that argv[1] names. Returns its
 * exit status. */
int command_run(const struct command *cmd, int argc, char **argv);

/* The command that runs, for messages; NULL before it is known. */
extern const struct command *command_running;

/* "cairn: build: words" on standard error. */
void talk(const char *fmt, ...) __printf_like(1, 2);

/* Tells that the command line cannot be meant. Returns EXIT_USAGE. */
int talk_usage(const char *fmt, ...) __printf_like(1, 2);

/* Tells the failure of a library function that returned @code, with @name (may be NULL) in front of
 * its words. Returns the exit status that follows from its kind. */
int talk_error(int code, const struct cairn_error *err, const char *name);

/* The exit status that follows from a failure, without words. */
int exit_status_of(int code, const struct cairn_error *err);

#endif
