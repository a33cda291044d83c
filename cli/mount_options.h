/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The -o list of `cairn mount`: words parted by commas, as data.
 *
 * A backslash makes the next character literal, so `\,` is a comma inside a value, `\:` a colon inside
 * one of the directories of basedir=, and `\\` a backslash.
 */
#ifndef CLI_MOUNT_OPTIONS_H
#define CLI_MOUNT_OPTIONS_H

#include "cli.h"

struct mount_args {
	struct cairn_mount_options options; /* without basedirs and idmap_fd */
	struct opt_list basedirs;           /* of basedir=, in order */
	const char *idmap;                  /* path, or the number of a process; NULL: none */
	struct cairn_digest digest;         /* alg 0: none given */
	bool verity_given;                  /* one of verity, noverity, tryverity */
};

/* Reads @list and changes it in place; the strings of @a point into it.
 * Returns EXIT_DONE or EXIT_USAGE after telling why not. */
int mount_options_parse(char *list, struct mount_args *a);

/* The help's lines about them, one an option. */
extern const char mount_options_help[];

#endif
