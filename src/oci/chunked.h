/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A zstd:chunked or eStargz layer of which only what the store lacks is fetched (zstd-chunked.md §6, estargz.md §5).
 *
 * The tar is put together again, in order, from the tar-split and the contents of the files: those that the store
 * has are read from it, verified; the others are fetched, many ranges at once, and have the SHA-256 that the
 * table tells. It goes through the same import as any layer, so that the diff_id is computed of every byte
 * of it, and the tree is that of the tar, whatever the table says of names and modes.
 *
 * Where there is no tar-split, and that is allowed, the tar is one that we make of the table: it has the same tree, as long as the
 * table tells the truth, but not the layer's bytes, and no diff_id.
 */
#ifndef OCI_CHUNKED_H
#define OCI_CHUNKED_H

#include "oci/contents.h"
#include "oci/layer_import.h"
#include "oci/toc.h"

struct chunked_pull {
	struct source *source;
	const struct oci_descriptor *layer;
	enum toc_kind kind;
	const struct toc_place *place;
	bool by_table; /* where there is no tar-split the table may vouch for the layer */
	struct cairn_store *store;
	struct contents *contents;
	const struct layer_import_options
		*import; /* of plain tars, with the diff_id that it must have */

	/* Told of bytes that came over the wire and bytes that need not. A negative errno ends the pull. */
	int (*progress)(void *arg, uint64_t fetched, uint64_t saved);
	void *progress_arg;
};

struct chunked_result {
	struct layer_import_result import;
	bool by_table; /* its diff_id is not known: the table vouches for it */
	const char *
		whole; /* of a layer that is to be fetched as a whole: why its table is of no use; NULL: it could be used,
			    * but is not worth while */
};

/* Imports the layer. Returns 0; -EOPNOTSUPP: it is to be fetched as a whole (the other side gives no parts, the
 * table cannot be used, or most of it is missing anyway); -EILSEQ (DIGEST), -EINVAL (FORMAT): table or contents
 * are not what they should be; or as layer_import_finish(). @res->whole is told in any case. */
int chunked_pull(const struct chunked_pull *p, struct tree **ret, struct chunked_result *res,
		 struct cairn_error *err);

#endif
