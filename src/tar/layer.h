/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Layers: what their entries mean, and how they lie upon each other (oci-layers §4-§9, oci-to-tree).
 *
 * A layer is a tree like any other, so that it can be kept as an image (M1, M2, M3), with four
 * things in it that only merging understands:
 *
 *	`.wh.NAME`        a file: NAME of the layers below is removed
 *	`.wh..wh..opq`    a file: what the layers below have in this directory is removed
 *	LAYER_XATTR_IMPLICIT
 *			  on a directory that the layer does not have itself, but only something below:
 *			  owner, mode and time are those of the layers below. Its value is
 *			  LAYER_ONLY_MARKS when all that is below are marks
 *	LAYER_XATTR_LINK  on an empty file: a hard link to this path of the layers below
 *
 * The order of entries is gone from it: whatever of their meaning depends on order was applied before.
 */
#ifndef TAR_LAYER_H
#define TAR_LAYER_H

#include <cairn/layer.h>

#include "tar/tar.h"
#include "tree/tree.h"

#define LAYER_MARK           ".wh."
#define LAYER_MARK_LEN       4
#define LAYER_OPAQUE         ".wh..wh..opq"
#define LAYER_XATTR_PREFIX   "trusted.cairn."
#define LAYER_XATTR_IMPLICIT "trusted.cairn.implicit"
#define LAYER_XATTR_LINK     "trusted.cairn.link"
#define LAYER_ONLY_MARKS     "m"

#define LAYER_DEPTH_MAX   2048 /* components of a path: overlayfs and most tools walk recursively */
#define LAYER_ENTRIES_MAX (4u << 20) /* of one layer: some 1 GiB of memory */
#define LAYERS_MAX        512        /* of one image */
#define LAYER_LINKS_MAX   40         /* symbolic links in one path, as Linux has it */

/* --- one layer ------------------------------------------------------------------------------- */

struct layer_builder;

/* A file of the layer whose content is to be told. */
struct layer_file;

int layer_builder_new(enum cairn_profile profile, struct layer_builder **ret);
void layer_builder_free(struct layer_builder *b);

DEFINE_CLEANUP(struct layer_builder *, layer_builder, layer_builder_free)

/* Applies an entry. *@ret_file: the file when it is one that has bytes, else NULL.
 * Returns 0; -EINVAL, -ENOTDIR, -ENOENT, -EFBIG … (kind FORMAT) naming entry and offset; -ENOMEM. */
int layer_add(struct layer_builder *b, const struct tar_entry *entry, struct layer_file **ret_file,
	      struct cairn_error *err);

/* The content of a file of up to CAIRN_INLINE_DEFAULT bytes. Returns 0 or -ENOMEM. */
int layer_set_content(struct layer_builder *b, struct layer_file *file, const void *data);

/* The digests of a larger one: @nr, lowest algorithm first. Returns 0 or -ENOMEM. */
int layer_set_digests(struct layer_builder *b, struct layer_file *file,
		      const struct cairn_digest *digests, unsigned int nr);

/* The layer as a sealed tree. The builder is then of no more use than to be freed. @stats: only what
 * the entries tell is set. */
int layer_finish(struct layer_builder *b, struct tree **ret, struct cairn_layer_stats *stats,
		 struct cairn_error *err);

/* The layer that the upper directory of an overlay mount is (tar/upper.c). @upper: the sealed tree of that
 * directory. Returns 0; -ENOTSUP (UNSUPPORTED) for what a layer cannot say, naming it; -ENOMEM. */
int layer_from_upper(const struct tree *upper, struct tree **ret, struct cairn_error *err);

/* What a regular file or a symbolic link has beside its facts, copied into @a: target, content, object.
 * @to has the facts already. Returns 0 or -ENOMEM. */
int layer_copy_content(struct arena *a, struct node *to, const struct node *from);

/* --- several --------------------------------------------------------------------------------- */

/* Merges the @nr sealed trees @layers, base first, as cairn_layers_merge(). */
int layer_merge(const struct tree *const *layers, size_t nr,
		const struct cairn_merge_options *options, struct tree **ret,
		struct cairn_error *err);

#endif
