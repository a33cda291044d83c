/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Keeping a blob. */
#include "oci/keep.h"

#include <errno.h>

#include "base/buf.h"
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

static int collect(void *arg, const void *data, unsigned long size)
{
	return buf_put((struct buf *)arg, data, size);
}

int blob_keeper_end(struct blob_keeper *k, struct cairn_digest *ret, struct cairn_error *err)
{
	struct splitwriter *w cleanup(splitwriter) = NULL;
	struct buf file cleanup_buf = BUF_INIT(SIZE_MAX / 4);
	struct cairn_digest id;
	int r;

	(void)verity_final(&k->verity, &id);
	r = store_commit(k->store, &k->file, &id, k->size, err);
	if (r < 0)
		return r;
	if (splitwriter_new(k->store->alg, SPLITSTREAM_BLOB, &w) < 0 ||
	    splitwriter_external(w, &id, k->size) < 0 ||
	    splitwriter_finish(w, collect, &file) < 0 ||
	    verity_digest_data(file.data, file.len, CAIRN_ALG_BIT(k->store->alg), ret) < 0)
		return error_errno(err, -ENOMEM, "split stream");
	return MIN(store_put(k->store, ret, file.data, file.len, err), 0);
}

void blob_keeper_fini(struct blob_keeper *k)
{
	if (!k->begun)
		return;
	verity_fini(&k->verity);
	pending_discard(&k->file);
	k->begun = false;
}
