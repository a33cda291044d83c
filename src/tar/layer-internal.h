/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A layer while its entries come in.
 *
 *  1. Every name that was ever mentioned has one record, in the table under (parent, name) and in its
 *     parent's list; what was removed again is a record without an inode, and so are its children.
 *  2. Names share inodes: a hard link stays bound to the inode that it found, whatever becomes of the
 *     name that it was found under.
 *  3. A record has an inode, or a mark, or is only there for what was below it.
 */
#ifndef TAR_LAYER_INTERNAL_H
#define TAR_LAYER_INTERNAL_H

#include "base/bytes.h"
#include "tar/layer.h"

enum name_flags {
	NAME_REMOVED = 1 << 0,   /* what the layers below have under this name is removed */
	NAME_OPAQUE = 1 << 1,    /* directory: what they have in it is */
	NAME_IMPLICIT = 1 << 2,  /* directory without an entry, for names below */
	NAME_FOR_MARKS = 1 << 3, /* implicit, and only marks are below so far */
	NAME_HIDDEN = 1 << 4, /* AUFS's own directories: links lead into them, nothing is shown */
};

struct layer_file {          /* an inode */
	struct node facts;   /* mode, owner …; parent, name and the like are not used */
	const char *pending; /* a hard link to this path of the layers below, else NULL */
	struct node *node;   /* the first name of it in the tree that is made at the end */
};

struct name {
	struct name *parent;
	struct name *sibling;     /* the child of the parent that was made before this one */
	struct name *children;    /* the one made last */
	struct layer_file *inode; /* NULL: no entry (invariant 3) */
	uint32_t hash;
	uint8_t len;
	uint8_t flags; /* enum name_flags */
	char text[];   /* NUL-terminated */
};

struct layer_builder {
	enum cairn_profile profile;
	struct tree_shard shard; /* what becomes the tree: xattrs, contents, targets */
	struct arena names;      /* struct name; gone at the end */
	struct name *root;
	struct name **slots; /* open addressing, at most half full */
	uint32_t mask;
	uint32_t nr_names;
	struct layer_file **pending; /* hard links into the layers below, and the names they had */
	size_t nr_pending, room_pending;
	struct cairn_layer_stats stats;

	/* Of the entry being added. */
	const struct tar_entry *entry;
	char path[TREE_PATH_MAX + 1]; /* normalised */
};

static inline bool name_is_dir(const struct name *n)
{
	return n->inode && S_ISDIR(n->inode->facts.mode);
}

/* Something is wrong with the entry being added. */
int layer_bad_entry(const struct layer_builder *b, struct cairn_error *err, int code,
		    const char *words);

/* The record of @text in @parent; NULL: never mentioned. */
struct name *layer_find(const struct layer_builder *b, const struct name *parent, const char *text,
			size_t len);

/* Whether marks of this layer hide what the layers below have at @path. For profile runtime at the end. */
bool layer_path_hidden(const struct layer_builder *b, const char *path);

#endif
