/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Keeping a blob as it comes, so that it can go out again byte for byte (`oci-blob-DIGEST`). */
#ifndef OCI_KEEP_H
#define OCI_KEEP_H

#include "digest/verity.h"
#include "oci/name.h"
#include "store/store.h"

struct blob_keeper {
	struct cairn_store *store;
	struct pending file;
	struct verity verity;
	uint64_t size;
	bool begun;
};

int blob_keeper_begin(struct blob_keeper *k, struct cairn_store *store, struct cairn_error *err);
int blob_keeper_feed(struct blob_keeper *k, const void *data, size_t size, struct cairn_error *err);

/* The blob is whole and has the digest @digest, which was checked: it becomes an object, and a split stream of
 * that one part, @ret, which waits for its name (STORE_BLOB_PREFIX). */
int blob_keeper_end(struct blob_keeper *k, struct cairn_digest *ret, struct cairn_error *err);
void blob_keeper_fini(struct blob_keeper *k);
#define cleanup_blob_keeper __attribute__((__cleanup__(blob_keeper_fini)))

/* The split stream of a blob of @size bytes that is in the store as object @id, and was checked. */
int blob_stream(struct cairn_store *store, const struct cairn_digest *id, uint64_t size,
		struct cairn_digest *ret, struct cairn_error *err);

#endif
