/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The file tree in memory. Built, then sealed; from then on const.
 *
 * Invariants of a sealed tree:
 *  1. entries[] holds every name breadth first: the root, its children in byte order, then the
 *     children of its first child, and so on. A directory's children are one slice of it, and
 *     node->index is a node's place in it.
 *  2. No two children of a directory have the same name; names are 1 to 255 bytes without NUL or '/'
 *     unless the source is lax about '/' (dump-format §3).
 *  3. A hard link names a node that is not itself a link. Its other facts are not used.
 *  4. An xattr list is sorted by name, names are unique, and equal (name, value) pairs are one
 *     struct xattr with one id.
 *  5. Every pointer leads into the tree's arena.
 *
 * Building may be parallel: each thread owns a shard (arena and intern tables) and adds children only
 * to directories that no other thread adds to.
 */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include <sys/stat.h>

#include <cairn/digest.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parallel.h"

#define TREE_NAME_MAX    255   /* bytes of a name */
#define TREE_PATH_MAX    4095  /* bytes of a symlink target or payload (image-format §8) */
#define TREE_CONTENT_MAX 5000  /* bytes of inline content (image-format §7.1) */
#define XATTR_NAME_MAX   255   /* bytes (image-format §5.5) */
#define XATTR_VALUE_MAX  65535 /* bytes */
#define XATTR_TOTAL_MAX  32767 /* accounted bytes of one inode */

/* One (name, value) pair, shared by all inodes that have it. */
struct xattr {
	const char *name;  /* NUL-terminated */
	const char *value; /* NUL follows, not counted */
	uint32_t value_len;
	uint32_t id; /* 0 … tree->nr_xattrs-1 once sealed */
	uint8_t name_len;
};

/* The xattrs of an inode; one list for all inodes that have the same ones. */
struct xattr_list {
	uint32_t nr;
	/* Set by the image reader: bit i says that pair i came from the shared area (only the order
	 * of printing follows from it, dump-format §7). NULL: none did. */
	const uint64_t *shared;
	const struct xattr_list *sealed; /* private to tree_index() */
	uint32_t id;                     /* 0 … tree->nr_lists-1 once sealed */
	const struct xattr *xattr[];
};

static inline bool xattr_is_shared(const struct xattr_list *l, uint32_t i)
{
	return l->shared && l->shared[i / 64] >> i % 64 & 1;
}

enum node_flags {
	NODE_HARDLINK = 1 << 0,    /* only name, parent and link.target count */
	NODE_INLINE = 1 << 1,      /* regular file: file.content holds its `size` bytes */
	NODE_OBJECT_PATH = 1 << 2, /* regular file: the payload is `xx/yyyy…` of its digest, and
					file.payload is NULL */
	NODE_SHA256 = 1 << 3,      /* file.digest holds 32 bytes of SHA-256 … */
	NODE_SHA512 = 1 << 4,   /* … and then 64 bytes of SHA-512, of whichever flags are set */
	NODE_UNSORTED = 1 << 5, /* directory: children were not added in order (building) */
};

struct node {
	struct node *parent;             /* NULL: the root */
	struct node *next;               /* building: the child added before this one */
	const char *name;                /* NUL-terminated */
	const struct xattr_list *xattrs; /* NULL: none */
	uint64_t size; /* regular: bytes; symlink: length of target; others as the source said
				(image-format §2) */
	int64_t mtime; /* seconds */
	uint32_t mtime_nsec;
	uint32_t uid, gid;
	uint32_t nlink; /* not used for directories */
	uint32_t index; /* place in tree->entries, sealed */
	uint16_t mode;  /* low 16 bits of st_mode */
	uint8_t flags;  /* enum node_flags */
	uint8_t name_len;
	union {
		struct {
			union {
				struct node *newest; /* building: child added last */
				struct {
					/* sealed: bytes of all names, at most UINT32_MAX */
					uint32_t names_size;
					uint32_t
						nr_dirs; /* sealed: children that are directories */
				};
			};
			uint32_t first; /* sealed: place of the first child in entries */
			uint32_t nr;    /* children */
		} dir;
		struct {
			const uint8_t *content; /* NODE_INLINE */
		} inl;
		struct {
			const char *payload;   /* object path, NUL-terminated; may be NULL */
			const uint8_t *digest; /* see NODE_SHA256; may be NULL */
		} file;
		struct {
			const char *target; /* symlink, NUL-terminated, `size` bytes */
		} symlink;
		struct {
			uint32_t rdev;
		} device;
		struct {
			struct node *target; /* sealed */
			const char *path;    /* building: as the source names it; may be NULL */
		} link;
	};
};
_Static_assert(sizeof(struct node) == 88, "a million of these are in memory at once");

/* What tree_index() has seen in the nodes that are no hard links. */
struct tree_facts {
	uint32_t nr_links; /* hard links */
	uint32_t nr_dirs;  /* the root among them */
	uint32_t nr_whiteouts;
	uint32_t nr_external;  /* node_is_external() */
	uint32_t nr_own_paths; /* of them, those without NODE_OBJECT_PATH */
	uint32_t oldest_nsec;
	int64_t oldest;        /* smallest mtime */
	uint64_t max_external; /* bytes of the largest external file, inline file, symlink target */
	uint64_t max_inline;
	uint64_t max_symlink;
	uint8_t any_digest;   /* NODE_SHA256, NODE_SHA512 of any external file … */
	uint8_t lacks_digest; /* … and those that one with the other digest lacks */
	bool unsure;          /* tree_seal() must look at every node */
};

struct tree {
	struct node *root;
	struct node **entries;           /* sealed: invariant 1 */
	uint32_t nr_entries;             /* names */
	uint32_t nr_inodes;              /* names that are no hard links */
	uint32_t nr_xattrs;              /* different (name, value) pairs */
	uint32_t nr_lists;               /* different xattr lists */
	const struct xattr **xattrs;     /* by id */
	const struct xattr_list **lists; /* by id */
	unsigned int algs; /* CAIRN_ALG_BIT set: digests that every file with a digest has; 0:
				    no file has one */
	struct tree_facts facts;
	uint32_t *list_use; /* by list id: inodes that have it */
	struct team team;   /* building: may be set before tree_index() */
	int source_format;  /* of the image it was read from, -1: other sources */
	struct arena arena;
};

/* What one building thread owns. */
struct tree_shard {
	struct arena arena;
	struct xattr_intern *intern; /* private */
	uint32_t nr_nodes;
};

/* --- building -------------------------------------------------------------------------------- */

int tree_new(struct tree **ret);
void tree_free(struct tree *t);

int tree_shard_init(struct tree_shard *s);
void tree_shard_fini(struct tree_shard *s);

/* A new node, all zero but name and parent, added to directory @parent; the root when @parent is
 * NULL (store it in tree->root). The name is copied. NULL: out of memory. */
struct node *tree_add(struct tree_shard *s, struct node *parent, const char *name, size_t name_len);

/* An xattr as a source has it. */
struct xattr_input {
	const char *name; /* not NUL-terminated */
	const char *value;
	uint32_t name_len;
	uint32_t value_len;
	uint32_t place; /* private to tree_xattrs() */
	bool shared;    /* see struct xattr_list */
};

/* The list of @nr pairs in any order; of two with one name the later wins. Copies what it keeps.
 * @ret: NULL for @nr 0. Returns 0; -ERANGE or -EINVAL for the limits of image-format §5.5; -ENOMEM. */
int tree_xattrs(struct tree_shard *s, struct xattr_input *in, size_t nr,
		const struct xattr_list **ret);

/* Sorts every directory and lays out entries[]; takes over the memory of @shards. After it,
 * tree_lookup() works, hard links may be resolved, and facts do not change any more. Parents of
 * nodes that hang below a directory are set here too.
 * Returns 0; -EEXIST for two children of one name (@err names the path, *@ret_duplicate, if not NULL,
 * is the later one added); -EFBIG for more than 2^32-1 names; -ENOMEM. */
int tree_index(struct tree *t, struct tree_shard *shards, unsigned int nr_shards,
	       struct node **ret_duplicate, struct cairn_error *err);

/* Follows chains of hard links to their ends, counts, and checks every fact (invariants, file types,
 * limits of image-format §8). Returns 0; -ELOOP for links in a circle; -EINVAL … with the path in
 * @err. @compat: links to directories are allowed. */
int tree_seal(struct tree *t, bool compat, struct cairn_error *err);

/* --- reading --------------------------------------------------------------------------------- */

/* How far ahead of a walk nodes are fetched: they lie in memory in the order of the source, mostly
 * not that of the walk. entries[] is that much longer than nr_entries. */
#define TREE_AHEAD 12

/* The node, its name behind it, and often the digest behind that. */
static inline void node_prefetch(const struct node *n)
{
	__builtin_prefetch((const char *)n);
	__builtin_prefetch((const char *)n + 64);
	__builtin_prefetch((const char *)n + 128);
}

/* entries[@i], for walks over all of them in order. */
static inline struct node *tree_entry(const struct tree *t, uint32_t i)
{
	node_prefetch(t->entries[i + TREE_AHEAD]);
	return t->entries[i];
}

static inline bool node_is_link(const struct node *n)
{
	return n->flags & NODE_HARDLINK;
}

/* The node that holds the facts. */
static inline const struct node *node_inode(const struct node *n)
{
	return node_is_link(n) ? n->link.target : n;
}

static inline bool node_is_dir(const struct node *n)
{
	return !node_is_link(n) && S_ISDIR(n->mode);
}

/* A regular file whose content is in the store. */
static inline bool node_is_external(const struct node *n)
{
	return S_ISREG(n->mode) && n->size && !(n->flags & (NODE_INLINE | NODE_HARDLINK));
}

/* A character device 0:0 (image-format §4.4). */
static inline bool node_is_whiteout(const struct node *n)
{
	return !node_is_link(n) && S_ISCHR(n->mode) && n->device.rdev == 0;
}

/* The digest of an external file's content, NULL when it is not known. */
static inline const uint8_t *node_digest(const struct node *n, enum cairn_alg alg)
{
	if (alg == CAIRN_SHA256)
		return n->flags & NODE_SHA256 ? n->file.digest : NULL;
	if (!(n->flags & NODE_SHA512))
		return NULL;
	return n->file.digest + (n->flags & NODE_SHA256 ? 32 : 0);
}

#define OBJECT_PATH_MAX 130 /* bytes of `xx/yyyy…` for SHA-512, with NUL */

/* `xx/yyyy…` of a digest of @size bytes, NUL-terminated. Returns its length. */
size_t object_path(char out[OBJECT_PATH_MAX], const uint8_t *digest, size_t size);

/* The payload text of an external file: as given, or made into @buf from its digest; NULL: none. */
const char *node_payload(const struct node *n, enum cairn_alg alg, char buf[OBJECT_PATH_MAX]);

/* Child of @dir, NULL: none. @hint: place in entries where the search begins, updated; NULL: none. */
struct node *tree_child(const struct tree *t, const struct node *dir, const char *name,
			size_t name_len, uint32_t *hint);

/* The node at @path: components between any number of slashes, taken literally, hard links to
 * directories not followed. NULL: none. @hint as above, for the last component. */
struct node *tree_lookup(const struct tree *t, const char *path, size_t len, uint32_t *hint);

/* The name after @n in a walk depth first, parents before children, of @top and what is below it;
 * hard links to directories are not followed. NULL: that was the last. */
const struct node *tree_next(const struct tree *t, const struct node *top, const struct node *n);

/* Length of the node's path from the root, and the path itself ("/" for the root), NUL-terminated,
 * into @out, which has room for it. */
size_t node_path_len(const struct node *n);
void node_path(const struct node *n, char *out);

/* The path for messages, cut in the middle when it is long, unprintable bytes as \xhh. */
#define NODE_PATH_QUOTED_MAX 512
const char *node_path_quoted(const struct node *n, char out[NODE_PATH_QUOTED_MAX]);

#endif
