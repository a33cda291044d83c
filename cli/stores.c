/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The stores of a repeated --store. */
#include "stores.h"

#include <errno.h>

int store_list_open(const struct opt_list *paths, struct store_list *ret)
{
	for (unsigned int i = 0; i < paths->nr; i++) {
		struct cairn_error err = {0};
		int r = cairn_store_open(paths->text[i], CAIRN_STORE_READ_ONLY, &ret->store[i],
					 &err);

		if (r < 0)
			return talk_error(r, &err, NULL);
		ret->nr++;
	}
	return EXIT_DONE;
}

void store_list_close(struct store_list *l)
{
	while (l->nr)
		cairn_store_close(l->store[--l->nr]);
}

int store_list_open_object(const struct store_list *l, const char *object, struct cairn_error *err)
{
	int fd = -ENOENT;

	for (unsigned int i = 0; i < l->nr && fd == -ENOENT; i++)
		fd = cairn_store_open_object(l->store[i], object, err);
	return fd;
}
