/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Reading an image (image-format §10). No byte of it is trusted: every number, offset and length is
 * checked against the span before it is used, and the work is bounded by the span's size.
 *
 *	image_open()      header and superblock
 *	image_inode()     one inode record, its xattrs and tail
 *	image_xattr_next()  its xattrs one by one
 *	image_dir_next()  the entries of a directory one by one
 *	image_dir_find()  one of them by name
 *	image_load()      the whole image as a tree
 */
#ifndef EROFS_READER_H
#define EROFS_READER_H

#include <cairn/image.h>

#include "base/error.h"
#include "base/parallel.h"

struct tree;

struct image {
	const uint8_t *data;
	uint64_t size;  /* bytes of the span */
	uint32_t flags; /* of the composefs header */
	int format;     /* enum cairn_format */
	uint32_t root_nid;
	uint64_t xattr_base; /* where reference 0 to the shared area points */
	int64_t build_time;
	uint32_t build_nsec;
	struct team
		team; /* threads lent to image_load() and image_check(); none after image_open() */
};

/* Looks at the first bytes. The span must stay as it is while the image is used. Returns 0; -EINVAL
 * (kind FORMAT); -ENOTSUP (kind UNSUPPORTED) for a container version or feature that is unknown. */
int image_open(struct image *img, const void *data, uint64_t size, struct cairn_error *err);

struct inode {
	uint32_t nid;
	uint64_t offset; /* of the record in the image */
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_nsec;
	uint32_t nlink, uid, gid;
	uint32_t u;
	uint32_t ino;
	uint16_t mode;
	uint8_t layout; /* enum inode_layout */
	bool extended;
	const uint8_t *xattrs; /* NULL: none */
	uint32_t xattr_size;   /* bytes, header included */
	const uint8_t *blocks; /* whole blocks of data (LAYOUT_PLAIN, LAYOUT_INLINE) */
	uint64_t nr_blocks;
	const uint8_t *tail; /* the data after them, with the inode or at the start of a block */
	uint32_t tail_size;
};

/* The inode at @nid: for directories, symlinks and inline files all data is inside the image. */
int image_inode(const struct image *img, uint64_t nid, struct inode *ret, struct cairn_error *err);

struct image_xattr {
	const char *prefix; /* NUL-terminated */
	const char *suffix; /* suffix_len bytes */
	const char *value;  /* value_len bytes */
	uint32_t prefix_len, suffix_len, value_len;
	uint32_t ref; /* of a shared one, else UINT32_MAX */
};

struct image_xattr_iter {
	const uint8_t *next, *end; /* entries with the inode */
	const uint8_t *ref;        /* next reference */
	uint32_t nr_refs;          /* left */
};

/* First the entries with the inode, then those in the shared area, each in stored order.
 * Returns 1 with an xattr, 0 at the end, -EINVAL. */
int image_xattr_begin(const struct inode *inode, struct image_xattr_iter *it,
		      struct cairn_error *err);
int image_xattr_next(const struct image *img, const struct inode *inode,
		     struct image_xattr_iter *it, struct image_xattr *ret, struct cairn_error *err);

struct image_dirent {
	uint64_t nid;
	const char *name; /* name_len bytes, 1 to 255 */
	uint32_t name_len;
	uint8_t type;
};

struct image_dir_iter {
	uint64_t block;      /* being read */
	const uint8_t *data; /* of it */
	uint32_t data_size;
	uint32_t nr, next; /* entries in it */
};

/* The entries of a directory, `.` and `..` included, in stored order. Returns as above. */
int image_dir_next(const struct inode *dir, struct image_dir_iter *it, struct image_dirent *ret,
		   struct cairn_error *err);

/* Puts @it in front of entry @index of block @block, as they were in an iterator (block, next) that had
 * given entries; past the end is the end. Returns 0 or -EINVAL. */
int image_dir_seek(const struct inode *dir, struct image_dir_iter *it, uint64_t block,
		   uint32_t index, struct cairn_error *err);

/* The entry with that name, by halving: the names of a directory are in byte order. Returns 1 and the
 * entry, 0: there is none, -EINVAL. In a directory out of order a name may not be found. */
int image_dir_find(const struct inode *dir, const char *name, size_t len, struct image_dirent *ret,
		   struct cairn_error *err);

/* The image as a sealed tree. @flags, @filter: see cairn_tree_from_image(). The tree borrows nothing
 * from the span. Returns 0, -EINVAL, -ENOTSUP, -ENOMEM. */
int image_load(const struct image *img, unsigned int flags, const char *const *filter,
	       struct tree **ret, struct cairn_error *err);

/* A file of an image whose content is an object. */
struct image_object {
	const char *path; /* below the objects, as the image has it, path_len bytes; NULL: none */
	uint32_t path_len;
	const uint8_t *digest; /* digest_size bytes, 32 or 64; NULL: none */
	uint32_t digest_size;
	uint64_t size; /* bytes of the content */
};

typedef int (*image_object_fn)(void *arg, const struct image_object *object);

/* Calls @fn for every such file, each inode once; an object of several inodes several times. Quicker than
 * image_load() and with little memory (a bit for 32 bytes of image). Returns 0; -EINVAL (FORMAT);
 * -ENOMEM; or what @fn returned below 0. */
int image_objects(const struct image *img, image_object_fn fn, void *arg, struct cairn_error *err);

/* Proves that the image is what the writer makes of the tree in it. *@ret_alg: of its digests.
 * Returns 0, or -EINVAL with offset and field of the first byte that differs. */
int image_check(const struct image *img, enum cairn_alg *ret_alg, struct cairn_error *err);

#endif
