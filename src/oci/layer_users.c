/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Which images of a store have a layer: their manifests' streams name each diff_id. */
#include <errno.h>
#include <string.h>

#include "oci/layer_import.h"
#include "oci/push.h"
#include "store/splitstream.h"

struct users {
	const struct cairn_store *store;
	const char *const *diff_ids;
	size_t nr;
	layer_user_fn fn;
	void *arg;
	char tag[STORE_REF_MAX + 1]; /* of the manifest that is being read */
	struct cairn_error *err;
};

static int take_name(void *arg, const char *name, size_t len, const struct cairn_digest *id)
{
	struct users *u = (struct users *)arg;
	int r = 0;

	(void)id;
	for (size_t i = 0; i < u->nr && r == 0; i++) {
		if (strlen(u->diff_ids[i]) == len && !memcmp(u->diff_ids[i], name, len))
			r = u->fn(u->arg, i, u->tag);
	}
	return r;
}

static int take_tag(void *arg, const struct store_name *name)
{
	struct users *u = (struct users *)arg;
	struct splitstream *s cleanup(splitstream) = NULL;
	int fd cleanup_fd = -1, r;

	if (!store_tag_of(name, u->tag))
		return 0;
	fd = store_open_stream(u->store, name->target, NULL);
	if (fd < 0)
		return fd == -ENOENT ? 0 : error_errno(u->err, fd, "%s", name->target);
	r = splitstream_open(fd, u->store->alg, &s, u->err);
	return r < 0 ? r : splitstream_named(s, take_name, u, u->err);
}

int store_layer_users(const struct cairn_store *store, const char *const *diff_ids, size_t nr,
		      layer_user_fn fn, void *arg, struct cairn_error *err)
{
	struct users u = {
		.store = store, .diff_ids = diff_ids, .nr = nr, .fn = fn, .arg = arg, .err = err};
	char name[LAYER_NAME_MAX];
	struct cairn_digest id;
	int r = 0;

	for (size_t i = 0; i < nr && r == 0; i++) {
		layer_stream_name(diff_ids[i], name);
		if (store_entry(store, STORE_STREAMS, name, &id, NULL) == 0)
			r = fn(arg, i, NULL);
	}
	return r < 0 ? r : store_list_refs(store, STORE_STREAMS, take_tag, &u, err);
}
