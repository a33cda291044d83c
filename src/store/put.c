/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Filling a store.
 *
 *	look up   statx		size and whether fs-verity is on, in one call
 *	write     O_TMPFILE in objects/, or .tmp-object-… there (repository §11 rule 4)
 *	seal      FS_IOC_ENABLE_VERITY, on a read-only descriptor, when a first file could have it
 *	publish   linkat
 *	finish    syncfs, once
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/children.h"
#include "store/lease.h"
#include "store/lock.h"
#include "store/store.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/verity.h"
#include "tree/tree.h"

#define TEMPORARY_PREFIX ".tmp-object-"
#define OBJECT_MODE      0644
#define DIRECTORY_MODE   0755

/* A program that another thread starts has our descriptors from fork to exec, the writable one of a
 * new object perhaps among them. */
#define BUSY_ATTEMPTS 12
#define BUSY_FIRST_NS 250000 /* doubled each time: a second in all */

static int failed(struct cairn_error *err, int code, const char *verb, const char *path)
{
	return error_errno(err, code, "%s object %s", verb, path);
}

static int enable_verity(const struct cairn_store *s, int fd, const struct object_signature *sig)
{
	struct timespec pause = {.tv_nsec = BUSY_FIRST_NS};
	int r;

	for (int i = 0;; i++) {
		r = verity_enable_signed(fd, s->alg, sig ? sig->data : NULL, sig ? sig->size : 0);
		if (r != -ETXTBSY || i == BUSY_ATTEMPTS)
			return r;
		(void)nanosleep(&pause, NULL);
		pause.tv_nsec *= 2;
	}
}

/* What is filled without having been made is made as by store_init(). */
static int make_meta(struct cairn_store *s, struct cairn_error *err)
{
	const struct store_meta meta = {
		.alg = s->alg,
		.format = CAIRN_FORMAT_V1,
		.formats = 1u << CAIRN_FORMAT_V1,
	};
	int r = store_write_meta(s, &meta, s->verity, err);

	if (r != -EEXIST)
		return r;
	r = store_read_meta(s, err);
	if (!r && s->alg != meta.alg)
		return error_set(err, -EEXIST, CAIRN_ERROR_USAGE,
				 "%s: somebody else has just made it, with another algorithm",
				 s->path);
	return r;
}

/* Keeps collectors from what is not reachable yet: others' by the lock, ours by the lease. Without a lease,
 * where we may not make one, the lock is respected by ours as well. */
static int protect(struct cairn_store *s, struct cairn_error *err)
{
	int r;

	if (s->lock < 0)
		s->lock = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock < 0)
		return error_errno(err, -errno, "open %s", s->path);
	r = lock_shared(s, s->lock, err);
	if (r < 0)
		return r;
	if (!s->lease)
		(void)lease_new(s, LEASE_WRITER, &s->lease);
	return 0;
}

int store_use(const struct cairn_store *s, const struct cairn_digest *digest,
	      struct cairn_error *err)
{
	int r = s->lease ? lease_note(s->lease, digest) : 0;

	return r < 0 ? error_errno(err, r, "note what is used of %s", s->path) : 0;
}

int store_use_many(struct cairn_store *s, const uint64_t *keys, size_t nr, struct cairn_error *err)
{
	int r = s->lease ? lease_note_many(s->lease, keys, nr) : 0;

	return r < 0 ? error_errno(err, r, "note what is used of %s", s->path) : 0;
}

unsigned int store_fds(const struct cairn_store *s, int fds[STORE_FDS_MAX])
{
	if (!s->lease)
		return 0;
	fds[0] = s->lease->fd;
	fds[1] = s->lease->gate;
	return 2;
}

int store_begin(struct cairn_store *s, struct cairn_error *err)
{
	cleanup_pending struct pending p = PENDING_INIT;
	struct stat st;
	int r;

	if (s->begun)
		return 0;
	if (s->read_only && s->has_meta && *s->meta.read_only)
		return error_set(err, -EROFS, CAIRN_ERROR_UNSUPPORTED,
				 "%s: read-only for us, its feature %s is not known here", s->path,
				 s->meta.read_only);
	if (s->read_only)
		return error_errno(err, -EROFS, "write to %s", s->objects_path);
	if (s->objects < 0) {
		if (mkdirat(s->dirfd, "objects", DIRECTORY_MODE) < 0 && errno != EEXIST)
			return error_errno(err, -errno, "make directory %s", s->objects_path);
		s->objects = open_directory(s->dirfd, "objects");
		if (s->objects < 0)
			return error_errno(err, s->objects, "open %s", s->objects_path);
	}

	r = protect(s, err);
	if (r < 0)
		return r;
	r = pending_open(s->objects, TEMPORARY_PREFIX, OBJECT_MODE, &p);
	if (r < 0)
		return error_errno(err, r, "write to %s", s->objects_path);
	if (fstat(p.fd, &st) < 0)
		return error_errno(err, -errno, "write to %s", s->objects_path);
	s->set_mode = (st.st_mode & 07777) != OBJECT_MODE;

	/* Only trying tells: an ext4 with blocks of 1 KiB has the call and the feature, and refuses. */
	s->verity =
		verity_supported(s->objects) && !pending_seal(&p) && !enable_verity(s, p.fd, NULL);
	if (s->secure && !s->verity)
		return error_set(
			err, -EOPNOTSUPP, CAIRN_ERROR_UNSUPPORTED,
			"%s: every object in it must have fs-verity, and none can be given it",
			s->path);
	if (s->fresh) {
		r = make_meta(s, err);
		if (r < 0)
			return r;
	}
	/* So that a collection in a parent asks us. Where we may not write nobody can do more. */
	for (unsigned int i = 0; i < s->nr_parents; i++)
		(void)store_note_child(s->parents[i], s);
	s->begun = true;
	s->alg_fixed = true;
	return 0;
}

/* Whether the directory of the object @path, which begins with the byte @prefix, is there; a link in
 * its place would lead the lookup out of the store. Returns 1, 0 or a negative errno. */
static int check_prefix(const struct cairn_store *s, const char *path, uint8_t prefix)
{
	_Atomic uint64_t *made = (_Atomic uint64_t *)&s->made[prefix / 64];
	uint64_t bit = 1ull << prefix % 64;
	char name[3] = {path[0], path[1], '\0'};
	struct statx stx;

	if (atomic_load_explicit(made, memory_order_relaxed) & bit)
		return 1;
	if (statx(s->objects, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(stx.stx_mode))
		return -ENOTDIR;
	atomic_fetch_or_explicit(made, bit, memory_order_relaxed);
	return 1;
}

/* Whether the object @path of @digest is in @s itself, which has been told of its use. @verity: it must have
 * fs-verity. */
static int find_object(const struct cairn_store *s, const char *path,
		       const struct cairn_digest *digest, uint64_t size, bool verity,
		       struct cairn_error *err)
{
	struct statx stx;
	int r;

	if (s->objects < 0)
		return 0;
	r = check_prefix(s, path, digest->bytes[0]);
	if (r <= 0)
		return r < 0 ? failed(err, r, "look up", path) : 0;
	if (statx(s->objects, path, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_SIZE, &stx) < 0) {
		if (errno == ENOENT)
			return 0;
		return failed(err, -errno, "look up", path);
	}
	return S_ISREG(stx.stx_mode) && stx.stx_size == size &&
	       (!verity || stx.stx_attributes & STATX_ATTR_VERITY);
}

/* The same, or in one of the parents. */
static int find_anywhere(const struct cairn_store *s, const char *path,
			 const struct cairn_digest *digest, uint64_t size, struct cairn_error *err)
{
	int r = find_object(s, path, digest, size, s->verity, err);

	for (unsigned int i = 0; !r && i < s->nr_parents; i++) {
		r = store_use(s->parents[i], digest, err);
		if (!r)
			r = find_object(s->parents[i], path, digest, size, s->verity, err);
	}
	return r;
}

int store_has(const struct cairn_store *s, const struct cairn_digest *digest, uint64_t size,
	      struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	int r = store_use(s, digest, err);

	(void)object_path(path, digest->bytes, cairn_digest_size((enum cairn_alg)digest->alg));
	return r ? r : find_anywhere(s, path, digest, size, err);
}

int store_pending(const struct cairn_store *s, struct pending *ret, struct cairn_error *err)
{
	int r = pending_open(s->objects, TEMPORARY_PREFIX, OBJECT_MODE, ret);

	return r < 0 ? error_errno(err, r, "write to %s", s->objects_path) : 0;
}

/* Makes the directory of the object @path, which begins with the byte @prefix. @again: it is known to be
 * missing. */
static int make_prefix(struct cairn_store *s, const char *path, uint8_t prefix, bool again)
{
	char name[3] = {path[0], path[1], '\0'};
	int r = again ? 0 : check_prefix(s, path, prefix);

	if (r)
		return MIN(r, 0);
	return mkdirat(s->objects, name, DIRECTORY_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

/* Ends writing. The kernel hashes the file again for itself, and has to come to the same digest. */
static int seal(const struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
		const char *path, struct cairn_error *err)
{
	struct cairn_digest measured;
	int r;

	if (s->set_mode && fchmod(p->fd, OBJECT_MODE) < 0)
		return failed(err, -errno, "set the mode of", path);
	if (!s->verity)
		return 0;

	r = pending_seal(p);
	if (!r)
		r = enable_verity(s, p->fd, NULL);
	if (!r || r == -EEXIST) /* with a signature, already */
		r = verity_measure(p->fd, &measured);
	if (r < 0)
		return failed(err, r, "enable fs-verity of", path);
	if (memcmp(&measured, digest, sizeof(measured)))
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "object %s: the kernel finds another digest in it", path);
	return 0;
}

/* Gives the object @path, which has been noted as used, its name. Returns as store_commit(). */
static int publish(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
		   const char *path, uint64_t size, struct cairn_error *err)
{
	int r = make_prefix(s, path, digest->bytes[0], false);

	if (!r)
		r = pending_link(p, path);
	if (r == -ENOENT) {
		/* Somebody removed the directory, perhaps as empty. */
		r = make_prefix(s, path, digest->bytes[0], true);
		if (!r)
			r = pending_link(p, path);
	}
	if (r == -EEXIST) {
		r = find_object(s, path, digest, size, s->verity, err);
		if (r < 0)
			return r;
		if (r) {
			pending_discard(p);
			return 0;
		}
		r = pending_replace(p, path);
	}
	if (r < 0)
		return failed(err, r, "publish", path);
	early_add(&s->early, s->objects, size);
	return 1;
}

/* All that comes before the name of an object, which is *@path. */
static int finish(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
		  char path[OBJECT_PATH_MAX], struct cairn_error *err)
{
	int r;

	(void)object_path(path, digest->bytes, cairn_digest_size((enum cairn_alg)digest->alg));
	r = seal(s, p, digest, path, err);
	return r < 0 ? r : store_use(s, digest, err);
}

int store_commit(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
		 uint64_t size, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	int r = finish(s, p, digest, path, err);

	return r < 0 ? r : publish(s, p, digest, path, size, err);
}

int store_replace(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
		  struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	int r = finish(s, p, digest, path, err);

	if (r < 0)
		return r;
	r = make_prefix(s, path, digest->bytes[0], false);
	if (!r)
		r = pending_replace(p, path);
	return r < 0 ? failed(err, r, "publish", path) : 0;
}

static bool object_is_signed(const struct cairn_store *s, const char *path)
{
	cleanup_fd int fd = openat(s->objects, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);

	return fd >= 0 && verity_is_signed(fd);
}

int store_commit_signed(struct cairn_store *s, struct pending *p, const struct cairn_digest *digest,
			uint64_t size, struct object_signature *sig, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	int r;

	sig->code = -EOPNOTSUPP;
	if (!s->verity || !verity_checks_signatures())
		return store_commit(s, p, digest, size, err);
	(void)object_path(path, digest->bytes, cairn_digest_size((enum cairn_alg)digest->alg));
	r = store_use(s, digest, err);
	if (!r)
		r = find_object(s, path, digest, size, s->verity, err);
	if (r < 0)
		return r;
	if (r && object_is_signed(s, path)) {
		sig->code = 0;
		pending_discard(p);
		return 0;
	}
	if (s->set_mode && fchmod(p->fd, OBJECT_MODE) < 0)
		return failed(err, -errno, "set the mode of", path);
	r = pending_seal(p);
	if (r < 0)
		return failed(err, r, "enable fs-verity of", path);
	sig->code = enable_verity(s, p->fd, sig);
	if (sig->code == -EKEYREJECTED || sig->code == -EBADMSG)
		return error_set(err, -EKEYREJECTED, CAIRN_ERROR_DIGEST,
				 "object %s: the kernel refuses its signature", path);
	if (sig->code == -ENOKEY)
		return store_commit(s, p, digest, size, err);
	if (sig->code < 0)
		return failed(err, sig->code, "enable fs-verity, with a signature, of", path);
	/* One without signature cannot get it any more. */
	return store_replace(s, p, digest, err);
}

int store_link(struct cairn_store *s, const char *from, const struct cairn_digest *digest)
{
	char path[OBJECT_PATH_MAX];

	(void)object_path(path, digest->bytes, cairn_digest_size((enum cairn_alg)digest->alg));
	return !store_use(s, digest, NULL) && !make_prefix(s, path, digest->bytes[0], false) &&
	       !linkat(AT_FDCWD, from, s->objects, path, AT_SYMLINK_FOLLOW);
}

int store_put_used(struct cairn_store *s, const struct cairn_digest *digest, const void *data,
		   size_t size, struct cairn_error *err)
{
	cleanup_pending struct pending p = PENDING_INIT;
	char path[OBJECT_PATH_MAX];
	int r;

	(void)object_path(path, digest->bytes, cairn_digest_size((enum cairn_alg)digest->alg));
	r = find_anywhere(s, path, digest, size, err);
	if (r)
		return r < 0 ? r : 0;

	r = store_pending(s, &p, err);
	if (r < 0)
		return r;
	r = write_all(p.fd, data, size);
	if (r < 0)
		return failed(err, r, "write", path);
	r = seal(s, &p, digest, path, err);
	return r < 0 ? r : publish(s, &p, digest, path, size, err);
}

int store_put(struct cairn_store *s, const struct cairn_digest *digest, const void *data,
	      size_t size, struct cairn_error *err)
{
	int r = store_use(s, digest, err);

	return r < 0 ? r : store_put_used(s, digest, data, size, err);
}

int store_sync(const struct cairn_store *s, struct cairn_error *err)
{
	if (syncfs(s->objects) < 0)
		return error_errno(err, -errno, "make %s durable", s->objects_path);
	/* Others fill the parents, and answer for that; but not all is on disk yet that was found. */
	for (unsigned int i = 0; i < s->nr_parents; i++)
		(void)syncfs(s->parents[i]->dirfd);
	return 0;
}
