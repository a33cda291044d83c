/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Keeping a blob. */
#include "oci/keep.h"

#include <errno.h>

#include "oci/push.h"
#include "store/splitstream.h"
#include "sys/io.h"

int blob_keeper_begin(struct blob_keeper *k, struct cairn_store *store, struct cairn_error *err)
{
	int r;

	*k = (struct blob_keeper){.store = store, .file = PENDING_INIT};
	r = verity_init(&k->verity, CAIRN_ALG_BIT(store->alg));
	if (r < 0)
		return error_errno(err, r, "hashing");
	k->begun = true;
	return store_pending(store, &k->file, err);
}

int blob_keeper_feed(struct blob_keeper *k, const void *data, size_t size, struct cairn_error *err)
{
	int r = write_all(k->file.fd, data, size);

	if (r < 0)
		return error_errno(err, r, "write to the store");
	verity_update(&k->verity, data, size);
	k->size += size;
	return 0;
}

int blob_stream(struct cairn_store *store, const struct cairn_digest *id, uint64_t size,
		struct cairn_digest *ret, struct cairn_error *err)
{
	struct splitwriter *w cleanup(splitwriter) = NULL;

	if (splitwriter_new(store->alg, SPLITSTREAM_BLOB, &w) < 0 ||
	    splitwriter_external(w, id, size) < 0)
		return error_errno(err, -ENOMEM, "split stream");
	return store_put_stream(store, w, ret, err);
}

int blob_keeper_end(struct blob_keeper *k, struct cairn_digest *ret, struct cairn_error *err)
{
	struct cairn_digest id;
	int r;

	(void)verity_final(&k->verity, &id);
	r = store_commit(k->store, &k->file, &id, k->size, err);
	return r < 0 ? r : blob_stream(k->store, &id, k->size, ret, err);
}

void blob_keeper_fini(struct blob_keeper *k)
{
	if (!k->begun)
		return;
	verity_fini(&k->verity);
	pending_discard(&k->file);
	k->begun = false;
}
