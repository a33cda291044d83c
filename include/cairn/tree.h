/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A file tree in memory: what every source becomes and every image is made from.
 *
 * A tree is built by one of the cairn_tree_from_* functions and is then read-only: any number of
 * threads may read it. Its children are sorted by the bytes of their names.
 */
#ifndef CAIRN_TREE_H
#define CAIRN_TREE_H

#include <cairn/digest.h>
#include <cairn/store.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cairn_tree;

/* Largest content, in bytes, that an image may hold itself (image-format §7.1). */
#define CAIRN_INLINE_MAX 5000
/* Largest content, in bytes, that directory sources keep in the image (tools §1.2). */
#define CAIRN_INLINE_DEFAULT 64

/* --- a directory on disk -------------------------------------------------------------------- */

enum cairn_scan_flags {
	CAIRN_SCAN_USE_EPOCH = 1 << 0,       /* every mtime is 0 */
	CAIRN_SCAN_SKIP_DEVICES = 1 << 1,    /* leave out block and character devices */
	CAIRN_SCAN_SKIP_XATTRS = 1 << 2,     /* no extended attributes */
	CAIRN_SCAN_USER_XATTRS = 1 << 3,     /* only those named user.* */
	CAIRN_SCAN_SPLIT_HARDLINKS = 1 << 4, /* each name its own inode, nlink 1 (mkcomposefs) */
	CAIRN_SCAN_ONE_FILE_SYSTEM = 1 << 5, /* do not enter other file systems */
	CAIRN_SCAN_NO_CACHE = 1 << 6,        /* neither use nor write the store's cache */
	CAIRN_SCAN_VERIFY_CACHE =
		1 << 7, /* read all, and fail (kind DIGEST) where the cache is wrong */
};

struct cairn_scan_options {
	unsigned int flags; /* enum cairn_scan_flags */
	unsigned int jobs;  /* threads that read and hash; 0 or 1: only the caller's */
	unsigned int algs;  /* digests to compute for each file; 0: CAIRN_ALG_BIT(CAIRN_SHA256) */
	struct cairn_store
		*store; /* NULL, or the store that gets every non-inline file, named by its
				      digest of the store's algorithm, in the same single read */
	cairn_progress_fn progress; /* may be NULL */
	void *progress_arg;
};

/* What a scan did. */
struct cairn_scan_result {
	uint64_t files;       /* regular files read */
	uint64_t bytes;       /* bytes of them */
	uint64_t new_objects; /* objects that the store lacked */
	uint64_t new_bytes;   /* bytes of them */
	uint64_t reflinked;   /* of the new objects, those that share the source's blocks */
	uint64_t cached; /* of the files, those that were known from an earlier scan, not read */
};

/* The tree of directory @path, looked up below @dirfd (or AT_FDCWD). Symbolic links are not followed;
 * a file that changes while it is read fails the scan. With a store, every object is durable (one
 * syncfs) when this returns, and what was found out about files is kept in it (cache.md), so that
 * unchanged files need not be read the next time.
 * @ret: the tree, freed with cairn_tree_free(). @res: may be NULL.
 * Returns 0 or a negative errno; @err names the path. */
CAIRN_API int cairn_tree_from_directory(int dirfd, const char *path,
					const struct cairn_scan_options *options,
					struct cairn_tree **ret, struct cairn_scan_result *res,
					struct cairn_error *err);

/* --- composefs-dump(5) text ----------------------------------------------------------------- */

enum cairn_dump_flags {
	CAIRN_DUMP_STRICT =
		1 << 0, /* refuse what the reference accepts by accident (dump-format §5) */
	/* Word the errors as mkcomposefs does, without a line number, and accept hard links to
	 * directories. */
	CAIRN_DUMP_COMPAT = 1 << 1,
};

/* The tree described by the text read from @fd up to its end. The digests are SHA-256 or SHA-512,
 * told by their length, and may not be mixed. @jobs: threads that parse a long file.
 * Returns 0, -EINVAL for text that breaks the grammar (kind FORMAT, @err names line and field), or
 * a read error. */
CAIRN_API int cairn_tree_from_dump(int fd, unsigned int flags, unsigned int jobs,
				   struct cairn_tree **ret, struct cairn_error *err);

/* --- an image ------------------------------------------------------------------------------- */

enum cairn_load_flags {
	/* Accept hard links to directories, which only the reference tools make and read. */
	CAIRN_LOAD_COMPAT = 1 << 0,
};

/* The tree inside the image that is open at @fd. No byte of it is trusted. @jobs: threads.
 * @filter: NULL, or a NULL-terminated list of names; then only these entries of the root, and what
 * is below them, are loaded. Returns 0, -EINVAL (kind FORMAT) for a malformed image, -ENOTSUP for
 * one of an unknown version. */
CAIRN_API int cairn_tree_from_image(int fd, unsigned int flags, unsigned int jobs,
				    const char *const *filter, struct cairn_tree **ret,
				    struct cairn_error *err);

/* Frees @tree; NULL is allowed. */
CAIRN_API void cairn_tree_free(struct cairn_tree *tree);

/* --- looking inside ------------------------------------------------------------------------- */

struct cairn_xattr {
	const char *name;  /* NUL-terminated */
	const void *value; /* @size bytes, binary */
	size_t size;
};

/* One name in the tree. @content and the names and values of @xattrs live as long as the tree, all
 * other pointers until the callback returns. */
struct cairn_entry {
	const char *path; /* "/" or "/a/b", NUL-terminated */
	size_t path_len;  /* bytes */
	uint32_t mode;    /* st_mode */
	uint32_t nlink;   /* as stored in an image */
	uint32_t uid, gid;
	uint32_t rdev;       /* devices: minor[7:0] | major[11:0]<<8 | minor[19:8]<<20; else 0 */
	uint64_t size;       /* bytes; of a symbolic link its target's length; of a directory 0 */
	int64_t mtime;       /* seconds */
	uint32_t mtime_nsec; /* nanoseconds */
	const char *payload; /* symbolic link: target; regular file: path of its object in the
				store, may be NULL; NUL-terminated */
	const void
		*content; /* regular file: its @size bytes where the tree holds them, else NULL */
	struct cairn_digest digest; /* regular file: digest of its content; alg 0: not known */
	const char *hardlink; /* path of the name that this one is a hard link to, else NULL */
	const struct cairn_xattr *xattrs; /* sorted by name */
	size_t nr_xattrs;
};

/* Returns 0 to go on, a negative errno to stop. */
typedef int (*cairn_entry_fn)(void *arg, const struct cairn_entry *entry);

/* Calls @fn for every name at and below @path (NULL: the whole tree), depth first, parents before
 * children, children in byte order. Returns 0, -ENOENT when @path is not there, or what @fn
 * returned. */
CAIRN_API int cairn_tree_walk(const struct cairn_tree *tree, const char *path, cairn_entry_fn fn,
			      void *arg, struct cairn_error *err);

/* How to print a tree. */
enum cairn_print {
	CAIRN_PRINT_DUMP = 1, /* composefs-dump(5), as `composefs-info dump` (dump-format §7) */
	CAIRN_PRINT_LS = 2,   /* names, link targets and object paths, as `composefs-info ls` */
};

/* Prints the tree at and below @path (NULL: all of it) through @write in large pieces.
 * Returns 0, -ENOENT, or what @write returned. */
CAIRN_API int cairn_tree_print(const struct cairn_tree *tree, enum cairn_print how,
			       const char *path, cairn_write_fn write, void *arg,
			       struct cairn_error *err);

/* Calls @fn for the path of every object that the tree's files need, each once, in byte order.
 * Returns 0, -ENOMEM, or what @fn returned. */
CAIRN_API int cairn_tree_objects(const struct cairn_tree *tree,
				 int (*fn)(void *arg, const char *object_path), void *arg);

/* Counts over a whole tree. */
struct cairn_tree_stats {
	uint64_t names;  /* names, the root included */
	uint64_t inodes; /* names less hard links */
	uint64_t directories, files, symlinks, others;
	uint64_t inline_files;   /* regular files whose content the image holds */
	uint64_t external_files; /* regular files whose content is an object */
	uint64_t external_bytes; /* bytes of the external files, each inode counted */
	uint64_t objects;        /* different objects */
	uint64_t object_bytes;   /* bytes of them: what a store holds for this tree */
};

CAIRN_API int cairn_tree_stat(const struct cairn_tree *tree, struct cairn_tree_stats *ret);

/* --- comparing ------------------------------------------------------------------------------ */

struct cairn_difference {
	const char *path; /* of the entry that differs */
	const char
		*field; /* "type", "mode", "uid", "size", "content", "xattr user.k", …; "entry" when
			      only one side has the path */
	const char *a; /* the value on either side as text; NULL when that side has none */
	const char *b;
};

/* Calls @fn for every difference between two trees in path order. Object paths that follow from the
 * digest do not count. Returns the number of differences, or a negative errno. */
CAIRN_API int64_t cairn_tree_diff(const struct cairn_tree *a, const struct cairn_tree *b,
				  int (*fn)(void *arg, const struct cairn_difference *difference),
				  void *arg);

#ifdef __cplusplus
}
#endif

#endif
