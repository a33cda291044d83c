/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the images of a store are called. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <cairn/names.h>
#include <stddef.h>

/* Zeroed: no names. Sorted by image; the names of one lie one behind the other. */
struct names {
	char **image; /* digest of each, in hexadecimal */
	char **name;
	size_t nr;
};

/* Reads all references to images. Returns 0 or a negative errno. */
int names_load(struct names *n, const struct cairn_store *store, struct cairn_error *err);
void names_fini(struct names *n);

/* The names of @image; *@ret_nr: how many there are. */
const char *const *names_of(const struct names *n, const char *image, size_t *ret_nr);

#endif
