/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Merging layers: what its files share. */
#ifndef TAR_MERGE_INTERNAL_H
#define TAR_MERGE_INTERNAL_H

#include "base/buf.h"
#include "base/bytes.h"
#include "tar/layer.h"

#define MERGE_ENTRIES_MAX (16u << 20) /* names of an image: some 4 GiB of memory */

enum implicit { NOT_IMPLICIT, IMPLICIT, IMPLICIT_FOR_MARKS };

/* What an xattr list says to merging, and what it becomes. */
struct list_use {
	uint8_t implicit;            /* enum implicit */
	const struct xattr *link;    /* the value is a path of the layers below; else NULL */
	bool mapped;                 /* `to` is known */
	const struct xattr_list *to; /* in the result, without what the rules drop */
};

struct layer {
	const struct tree *tree;
	struct node **made; /* by node index: the node of the result for this inode, else NULL */
	struct list_use *lists; /* by id */
};

/* A directory of one layer that takes part in a directory of the result. Its children are one slice of
 * the layer's entries; marks are a slice of that. */
struct part {
	uint32_t layer;
	uint32_t next, end; /* entries, those between marks and marks_end passed over */
	uint32_t marks, marks_end;
	uint32_t marks_next;
	const struct node *dir;
};

struct frame {
	struct node *dir; /* of the result */
	size_t parts, nr; /* in merge.parts, topmost first */
};

struct merge {
	const struct cairn_merge_options *options;
	struct layer *layers; /* base first */
	size_t nr;
	struct tree_shard shard;
	struct node *root, *run;
	struct cairn_error late; /* of a name that was left out; code 0: none */

	/* Profile runtime: names that go through a symbolic link of a layer below end the walk. */
	const struct node *through; /* the directory that is a link there; NULL: none was found */
	uint32_t through_layer;
	const char *through_target; /* of the link */

	struct buf frames, parts; /* struct frame, struct part */
	struct buf inputs;        /* struct xattr_input */
	struct buf found[2];      /* struct part, for merge_find() */
};

/* The whole walk. */
int merge_walk(struct merge *m, struct cairn_error *err);

/* The children of @dir that are marks for names: places in entries[]; *@ret_end. LAYER_OPAQUE is not
 * among them, but is left out of the other children, too. */
uint32_t merge_marks(const struct tree *t, const struct node *dir, uint32_t *ret_end);

/* Whether the directory is opaque. */
bool merge_opaque(const struct tree *t, const struct node *dir);

enum implicit merge_implicit(const struct layer *l, const struct node *dir);

/* Whether the inode is a hard link into the layers below, and the path that it leads to. */
bool merge_is_link(const struct layer *l, const struct node *inode);
static inline const struct xattr *merge_link(const struct layer *l, const struct node *inode)
{
	return l->lists[inode->xattrs->id].link;
}

/* The inode at the path @link of what the layers below @end are together. Returns 0; -EAGAIN: not here,
 * but nothing hides what may be below the lowest; -ENOENT; -ENOTDIR; -EISDIR; -ENOMEM. */
int merge_find(struct merge *m, uint32_t end, const struct xattr *link, uint32_t *ret_layer,
	       const struct node **ret);

/* The list that @from becomes by the rules for extended attributes. */
int merge_xattrs(struct merge *m, struct layer *l, const struct xattr_list *from,
		 const struct xattr_list **ret);

/* The layer without what is below its directory @at, and a layer to lie upon it that has that where @target
 * leads to, the text of a symbolic link in the place of @at. Both point into @layer. Returns 0 or a negative
 * errno. */
int merge_redirect(const struct tree *layer, const struct node *at, const char *target,
		   struct tree **ret_rest, struct tree **ret_moved);

/* Whether a directory of the result is one that the profile empties. */
bool merge_is_emptied(const struct merge *m, const struct node *dir);

#endif
