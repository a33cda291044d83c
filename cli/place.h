/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Where the store is when --store does not say: $CAIRN_STORE, else /var/lib/cairn for root and
 * $XDG_DATA_HOME/cairn (~/.local/share/cairn) for everybody else.
 */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "cli.h"

#define OPT_STORE(type, field, help) OPT_DIR(type, field, 's', "store", "DIR", help)
#define HELP_STORE                   "the store (default: CAIRN_STORE, else /var/lib/cairn or one of the user)"

/* The path of the store: @given, or the default. NULL: there is no home to look in; it is told. */
const char *store_place(const char *given);

/* Opens it with enum cairn_store_flags. Returns EXIT_DONE, or an exit status after telling why not. */
int store_place_open(const char *given, unsigned int flags, struct cairn_store **ret);

#endif
