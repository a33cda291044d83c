/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Options are data: a typed table a command, from which the parser, the -h text, the completions and
 * `cairn help --json` (which the manual pages are checked against) follow.
 *
 *	struct args { bool json; const char *output; };
 *	static const struct opt opts[] = {
 *		OPT_FILE(struct args, output, 'o', "output", "IMAGE", "where to write the image"),
 *		OPT_END,
 *	};
 *
 * Parsing is that of getopt_long(3) with permutation: options may follow operands, `--` ends them,
 * `--name=value` and `--name value`, `-xVALUE` and `-x VALUE`, short flags may be bundled. Names are
 * not abbreviated, so that a new option never changes the meaning of an old command line.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include "base/macro.h"

enum opt_kind {
	OPT_KIND_BOOL = 1, /* no argument; bool becomes @value */
	OPT_KIND_BITS,     /* no argument; @value is or-ed into an unsigned int */
	OPT_KIND_TEXT,     /* const char * */
	OPT_KIND_FILE,     /* const char *, the path of a file */
	OPT_KIND_DIR,      /* const char *, the path of a directory */
	OPT_KIND_COUNT,    /* unsigned int from 1 to @value */
	OPT_KIND_CHOICE,   /* unsigned int, place in @choices from 1 on; 0: not given */
	OPT_KIND_TEXTS,    /* struct opt_list, may be repeated */
	OPT_KIND_DIRS,     /* the same of paths of directories */
};

#define OPT_LIST_MAX 64 /* overlayfs takes 500 layers; nobody types that many */

struct opt_list {
	unsigned int nr;
	const char *text[OPT_LIST_MAX];
};

struct opt {
	const char *name;    /* long name; NULL ends the table */
	char short_name;     /* 0: none */
	unsigned char kind;  /* enum opt_kind */
	unsigned int value;  /* see enum opt_kind */
	size_t offset;       /* of the variable in the command's struct */
	const char *arg;     /* what the help calls the argument, NULL: there is none */
	const char *choices; /* words parted by '|' */
	const char *help;    /* one line, lower case, no full stop */
};

/* The offset of @field, which must have type @want (an error of the compiler otherwise). */
#define OPT_OFFSET(type, field, want)                                                              \
	(offsetof(type, field) +                                                                   \
	 0 * sizeof(struct {                                                                       \
		 int wrong_type                                                                    \
		     : __builtin_types_compatible_p(__typeof__(((type *)0)->field), want)          \
		       ? 1                                                                         \
		       : -1;                                                                       \
	 }))

#define OPT_BOOL(type, field, c, n, to, h)                                                         \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_BOOL, .value = (to),              \
		.offset = OPT_OFFSET(type, field, bool), .help = (h)                               \
	}
#define OPT_BITS(type, field, c, n, bits, h)                                                       \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_BITS, .value = (bits),            \
		.offset = OPT_OFFSET(type, field, unsigned int), .help = (h)                       \
	}
#define OPT_TEXT(type, field, c, n, a, h)                                                          \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_TEXT,                             \
		.offset = OPT_OFFSET(type, field, const char *), .arg = (a), .help = (h)           \
	}
#define OPT_FILE(type, field, c, n, a, h)                                                          \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_FILE,                             \
		.offset = OPT_OFFSET(type, field, const char *), .arg = (a), .help = (h)           \
	}
#define OPT_DIR(type, field, c, n, a, h)                                                           \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_DIR,                              \
		.offset = OPT_OFFSET(type, field, const char *), .arg = (a), .help = (h)           \
	}
#define OPT_COUNT(type, field, c, n, max, h)                                                       \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_COUNT, .value = (max),            \
		.offset = OPT_OFFSET(type, field, unsigned int), .arg = "N", .help = (h)           \
	}
#define OPT_CHOICE(type, field, c, n, a, words, h)                                                 \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_CHOICE,                           \
		.offset = OPT_OFFSET(type, field, unsigned int), .arg = (a), .choices = (words),   \
		.help = (h)                                                                        \
	}
#define OPT_TEXTS(type, field, c, n, a, h)                                                         \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_TEXTS,                            \
		.offset = OPT_OFFSET(type, field, struct opt_list), .arg = (a), .help = (h)        \
	}
#define OPT_DIRS(type, field, c, n, a, h)                                                          \
	{                                                                                          \
		.name = (n), .short_name = (c), .kind = OPT_KIND_DIRS,                             \
		.offset = OPT_OFFSET(type, field, struct opt_list), .arg = (a), .help = (h)        \
	}
#define OPT_JSON(type, field) OPT_BOOL(type, field, 0, "json", 1, "print JSON, one object a line")
#define OPT_END                                                                                    \
	{                                                                                          \
		.name = NULL                                                                       \
	}

struct command;

/* Reads the command line @argv[1..@argc) into @args, the struct that the command's table is about;
 * operands are moved to the front, to argv[1], argv[2] …; -h prints the help and ends the program.
 * Returns the number of operands, or -1 after telling what is wrong (exit status 2). */
int opt_parse(const struct command *cmd, int argc, char **argv, void *args);

/* Goes through the options of @cmd, the -h that all have last. @i counts from 0; NULL: no more.
 * A group has none. */
const struct opt *opt_at(const struct command *cmd, size_t i);

/* The help of one command, or of a group, on standard output. */
void opt_help(const struct command *cmd);

/* Aborts when the table of @cmd contradicts itself. */
void opt_audit(const struct command *cmd);

#endif
