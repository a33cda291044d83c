/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The stores of a repeated --store, in order of priority. */
#ifndef CLI_STORES_H
#define CLI_STORES_H

#include "cli.h"

struct store_list {
	unsigned int nr;
	struct cairn_store *store[OPT_LIST_MAX];
};

/* Opens all of them read-only. Returns EXIT_DONE, or an exit status after telling why not. */
int store_list_open(const struct opt_list *paths, struct store_list *ret);
void store_list_close(struct store_list *l);

/* A descriptor of the object in the first store that has it; -ENOENT: none has. */
int store_list_open_object(const struct store_list *l, const char *object, struct cairn_error *err);

#define cleanup_stores __attribute__((__cleanup__(store_list_close)))

#endif
