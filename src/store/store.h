/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The object store: objects/xx/yyyy…, each named by the fs-verity digest of its bytes (repository §1).
 *
 * Promises:
 *  1. An object gets its name whole: the bytes are in a file without a name before, and that file
 *     is linked. A killed process or a full disk leaves no object, or a right one.
 *  2. The bytes under a name are those that were hashed: they were written from the very buffer that
 *     was hashed, or were hashed after they had been copied or cloned.
 *  3. An object that is there is taken as it is if it is a regular file of the right size (and has
 *     fs-verity, where the store's file system has it). Reading it again would cost as much as
 *     writing it; the size is what tells the objects that a power cut emptied or cut short, for file
 *     systems set a size only after the data below it is on disk. Others are replaced in one step.
 *  4. After store_sync() every object that was found or written is durable.
 *
 * All functions on an open store but those of opening and store_begin() may be called by any number of
 * threads at once.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include <cairn/store.h>

#include "base/buf.h"
#include "base/error.h"
#include "store/early.h"
#include "store/meta.h"
#include "sys/pending.h"

#define STORE_PARENTS_MAX                                                                          \
	32 /* overlayfs takes 500 layers; each is looked into for what is missing */

struct cairn_store {
	int dirfd;          /* the directory that was named */
	int objects;        /* the directory with xx/ in it; -1: not made yet */
	char *path;         /* as it was named, on the heap */
	char *objects_path; /* path of the objects, on the heap */
	bool bare;          /* the directory itself has xx/ in it: no images, no references */
	bool fresh;         /* nothing is in it yet */
	enum cairn_alg alg;
	bool alg_fixed; /* by objects, by meta.json or by the caller */
	bool read_only; /* asked for, or meta.json has a feature that only readers may ignore */
	bool empty;     /* no object was there when it was opened */
	bool has_meta;
	bool secure;            /* meta.json has fs-verity: so must every object (repository §2) */
	struct store_meta meta; /* where has_meta */

	/* Where objects are looked for that are not here (parents.c). */
	struct cairn_store *parents[STORE_PARENTS_MAX];
	unsigned int nr_parents;

	/* Found out by store_begin(). */
	bool begun;
	int lock;            /* the directory again, locked shared (lock.h); -1: not begun */
	struct lease *lease; /* what we use is kept (lease.h); NULL: only the lock sees to that */
	bool set_mode;       /* the umask takes bits of 0644 away */
	bool verity;         /* objects get fs-verity */
	_Atomic uint64_t made[4]; /* bit xx: directory xx is there, and is one */
	struct early early;       /* what is new goes to the disk beside our work */
};

/* Finds out which of the layouts is at @path, and its algorithm. As cairn_store_open(). */
int store_open(const char *path, unsigned int flags, struct cairn_store **ret,
	       struct cairn_error *err);
void store_close(struct cairn_store *s);

/* As cairn_store_init() and cairn_store_info(). */
int store_init(const char *path, const struct cairn_store_config *config, struct cairn_store **ret,
	       struct cairn_error *err);
void store_info(const struct cairn_store *s, struct cairn_store_info *ret);

/* Opens STORE/cairn, or @sub in it, where all that is ours lies; what is below it can be deleted at any time
 * without loss. @mode: of @sub, if it may be made, less the umask; 0: only if it is there. Returns a
 * descriptor; -ENOENT: it is not there, or the store is a bare one, which has none. */
int store_own_dir(const struct cairn_store *s, const char *sub, unsigned int mode);

/* Writes the file @name in it, whole or not at all, and durably. */
int store_own_write(const struct cairn_store *s, const char *name, const void *data, size_t len);

/* Reads meta.json, if there is one, into @s. */
int store_read_meta(struct cairn_store *s, struct cairn_error *err);

/* Makes meta.json of @meta durable, with fs-verity if @secure; the repository had none. Returns 0;
 * -EEXIST: somebody else was faster; or another negative errno. */
int store_write_meta(struct cairn_store *s, const struct store_meta *meta, bool secure,
		     struct cairn_error *err);

/* Makes the directory @path, and those above it. @bare: see CAIRN_STORE_BARE. */
int store_make_directory(const char *path, bool bare);

/* Makes the store ready to be filled, and finds out what its file system can. Returns 0; -EROFS: it
 * was opened read-only; or another negative errno. */
int store_begin(struct cairn_store *s, struct cairn_error *err);

/* Opens the parents that the store names, and theirs. Returns 0 or a negative errno. */
int store_open_parents(struct cairn_store *s, struct cairn_error *err);

/* Calls @fn for every parent that the store itself names, as it names it. */
int store_parent_lines(const struct cairn_store *s, int (*fn)(void *arg, const char *line),
		       void *arg, struct cairn_error *err);

/* Another number for other parents. */
uint64_t store_parents_id(const struct cairn_store *s);

/* As cairn_store_set_parents(). */
int store_set_parents(struct cairn_store *s, const char *const *lines, size_t nr,
		      struct cairn_error *err);

/* Notes that the object must stay until the store is closed (lease.h), if it is there. To be called before
 * it is looked for; store_has() and store_commit() do that themselves. Returns 0 or a negative errno. */
int store_use(const struct cairn_store *s, const struct cairn_digest *digest,
	      struct cairn_error *err);

/* The same of many at once: @keys[0..@nr) are the first eight bytes of their digests. */
int store_use_many(struct cairn_store *s, const uint64_t *keys, size_t nr, struct cairn_error *err);

/* The descriptors that store_has(), store_put(), store_pending() and store_commit() need beside s->objects and
 * those of parents, for threads with a table of their own, into @fds. Returns their number. */
#define STORE_FDS_MAX 2
unsigned int store_fds(const struct cairn_store *s, int fds[STORE_FDS_MAX]);

/* Whether the object is there or in a parent, by promise 3. Returns 1, 0 or a negative errno. */
int store_has(const struct cairn_store *s, const struct cairn_digest *digest, uint64_t size,
	      struct cairn_error *err);

/* Adds the object with bytes @data[0..@size), which have @digest. Returns 1: it is new; 0: it was
 * there; or a negative errno. */
int store_put(struct cairn_store *s, const struct cairn_digest *digest, const void *data,
	      size_t size, struct cairn_error *err);

/* The same of an object that store_use_many() was told of before. */
int store_put_used(struct cairn_store *s, const struct cairn_digest *digest, const void *data,
		   size_t size, struct cairn_error *err);

/* The same in steps, for contents that are not in memory: opens a file to be filled, then gives it its
 * name. store_commit() takes @p over, except on failure: pending_discard() it then. */
int store_pending(const struct cairn_store *s, struct pending *ret, struct cairn_error *err);
int store_commit(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
		 uint64_t size, struct cairn_error *err);

/* A signature for the kernel (sys/verity.h). */
struct object_signature {
	const void *data;
	size_t size;
	int code; /* what became of it: 0, the kernel has it; -ENOKEY: its keyring has no certificate for it;
		   * -EOPNOTSUPP: the kernel or the file system does not check signatures */
};

/* store_commit() with a signature, if the kernel checks such: an object that is there without one is replaced.
 * Returns as store_commit(); -EKEYREJECTED (DIGEST): the kernel has the certificate, and the signature is wrong. */
int store_commit_signed(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
			uint64_t size, struct object_signature *sig, struct cairn_error *err);

/* Gives a pending file, whose content has @digest, the name of the object in place of what has it. Takes @p
 * over as store_commit() does. Returns 0 or a negative errno. */
int store_replace(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
		  struct cairn_error *err);

/* Gives the file at @path, such as /proc/self/fd/N, the name of the object @digest as well. Returns 1; 0:
 * it cannot have that (another file system, too many names, not ours), or the name is taken. */
int store_link(struct cairn_store *s, const char *path, const struct cairn_digest *digest);

/* A file elsewhere that has the content of an object. */
struct store_source {
	int fd;                     /* read-only */
	struct cairn_digest digest; /* of either algorithm */
	uint64_t size;
	bool link;              /* it may become the object itself, if it is like one */
	int (*tick)(void *arg); /* called now and then; a negative errno ends it; may be NULL */
	void *arg;
};

struct store_imported {
	struct cairn_digest digest; /* of the store's algorithm */
	bool cloned, linked;
};

/* Adds the object, after the bytes were found to have the source's digest. Returns 1: it is new; 0: it
 * was there; -EILSEQ (kind DIGEST): they have not; or another negative errno. */
int store_import(struct cairn_store *s, const struct store_source *source,
		 struct store_imported *ret, struct cairn_error *err);

/* Makes what was written durable. Returns 0 or a negative errno, which is also that of a write that
 * failed behind our back. */
int store_sync(const struct cairn_store *s, struct cairn_error *err);

/* The digest of the content of the regular file open at @fd, computed. Returns 0 or a negative errno. */
int store_digest_fd(int fd, enum cairn_alg alg, struct cairn_digest *ret);

/* As cairn_store_open_object() and cairn_store_read_object(). */
int store_open_object(const struct cairn_store *s, const char *object_path,
		      struct cairn_error *err);
/* Which store has the object, itself or a parent (*@ret, may be NULL), and the facts of its file. Nothing
 * is opened. Returns 0 or -ENOENT. */
int store_find_object(const struct cairn_store *s, const char *object_path,
		      const struct cairn_store **ret, struct stat *st);
int store_read_object(const struct cairn_store *s, const char *object_path,
		      const struct cairn_digest *digest, cairn_write_fn write, void *arg,
		      struct cairn_error *err);

/* Likewise for many objects, of one thread: what reading one takes beside its bytes is made once. */
struct store_reading;
int store_reading_new(const struct cairn_store *s, struct store_reading **ret);
void store_reading_free(struct store_reading *reading);
DEFINE_CLEANUP(struct store_reading *, store_reading, store_reading_free)
int store_reading_object(struct store_reading *reading, const char *object_path,
			 const struct cairn_digest *digest, cairn_write_fn write, void *arg,
			 struct cairn_error *err);

/* Opens the directory of the objects whose digests begin with the byte @i. Returns a descriptor; -ENOENT: there
 * are none; -ENOTDIR: something else has its name; or another negative errno. */
int store_open_part(const struct cairn_store *s, unsigned int i);

/* Whether the file system of @s has room for contents of @bytes more. @source: on the file system that they
 * come from, whose blocks they may share; -1: from elsewhere. Returns 0, also where that cannot be told, or
 * -ENOSPC with words. */
int store_room(const struct cairn_store *s, int source, uint64_t bytes, struct cairn_error *err);

/* The same for files of the sizes @sizes, uint64_t in any order, which is changed: two of one size count once,
 * those of an object's size do not, for they may be the same content. */
int store_room_for_sizes(const struct cairn_store *s, int source, struct buf *sizes,
			 struct cairn_error *err);

/* Whether all that @source's file system has would have room in @s, or nothing can be told. */
bool store_room_is_sure(const struct cairn_store *s, int source);

/* The file @name of the store's own folder that this user has written, whole. @max: bytes. *@ret: freed
 * with free(). Returns 0; -ENOENT; -EPERM: somebody else could have written it; -EFBIG; or another
 * negative errno. */
int store_cache_read(const struct cairn_store *s, const char *name, size_t max, void **ret,
		     size_t *ret_size);

/* Replaces it, and removes the least lately used of too many. Bare stores have none: -ENOENT. */
int store_cache_write(const struct cairn_store *s, const char *name, const void *data, size_t size);
void store_cache_remove(const struct cairn_store *s, const char *name);

/* The ctime of the directory, here and in the parents, that names contents whose digest begins with @first.
 * While it stays the same,
 * no name comes or goes there. Returns 0; -ENOENT; -EOPNOTSUPP: times tell nothing on the store's file
 * system; or another negative errno. */
int store_stamp(const struct cairn_store *s, uint8_t first, struct timespec *ret);

DEFINE_CLEANUP(struct cairn_store *, store, store_close)

#endif
