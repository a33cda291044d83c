/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public functions that bring images into a store. */
#include <errno.h>

#include "api/api-internal.h"
#include "transfer/transfer.h"

static const struct cairn_transfer_options defaults;

static int check_target(const struct cairn_store *to, const char *name, struct cairn_error *err)
{
	int r = name ? store_check_name(name, err) : 0;

	if (!r && to->bare)
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			      "%s: a bare directory of objects has no names", to->path);
	return r;
}

int cairn_store_copy(struct cairn_store *to, const struct cairn_store *from,
		     const struct cairn_digest *digest, const char *name,
		     const struct cairn_transfer_options *options,
		     struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct cairn_transfer_result result;
	int r = check_target(to, name, err);

	return r ? r
		 : transfer_from_store(to, from, digest, name, options ? options : &defaults,
				       ret ? ret : &result, err);
}

int cairn_store_fetch(struct cairn_store *to, const char *url, const char *remote, const char *name,
		      const struct cairn_transfer_options *options,
		      struct cairn_transfer_result *ret, struct cairn_error *err)
{
	const struct cairn_transfer_options *o = options ? options : &defaults;
	struct cairn_transfer_result result;
	int r = check_target(to, name, err);

	if (!r && !remote && !o->digest)
		r = error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			      "fetch: neither a name nor a digest");
	return r ? r : transfer_from_server(to, url, remote, name, o, ret ? ret : &result, err);
}

int cairn_store_export(struct cairn_store *store, uint64_t *ret_images, uint64_t *ret_containers,
		       struct cairn_error *err)
{
	uint64_t nr[2];
	int r = index_write(store, nr, err);

	if (!r && ret_images)
		*ret_images = nr[INDEX_IMAGE];
	if (!r && ret_containers)
		*ret_containers = nr[INDEX_CONTAINER];
	return r;
}
