/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Mending what was found.
 *
 *	fetch	the content from another store, or what a remote brought, into a nameless file, hashed as
 *		it is written
 *	keep	linkat of what is bad into STORE/cairn/quarantine
 *	seal	fs-verity
 *	place	renameat over what is bad, in one step: at no moment is the object missing that was there
 *
 * What is bad and has no replacement is moved into the quarantine: then nobody takes it for the object, and a
 * build or pull that needs it writes it anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "digest/verity.h"
#include "store/fsck-internal.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/verity.h"
#include "tree/tree.h"

#define QUARANTINE      "quarantine"
#define QUARANTINE_MODE 0700
#define NAMES           100 /* of one object in the quarantine */
#define PIECE           ((size_t)256 << 10)

/* Moves or links @path, below objects, into the quarantine. */
static int put_aside(struct fsck *f, const char *path, bool move)
{
	cleanup_fd int quarantine = store_own_dir(f->store, QUARANTINE, QUARANTINE_MODE);
	char name[CAIRN_DIGEST_HEX_MAX + 16];
	int r = quarantine < 0 ? quarantine : -EEXIST;

	for (unsigned int i = 0; i < NAMES && r == -EEXIST; i++) {
		snprintf(name, sizeof(name), "%.2s%.126s.%u", path, strrchr(path, '/') + 1, i);
		r = linkat(f->store->objects, path, quarantine, name, 0) < 0 ? -errno : 0;
		if (r == -EPERM || r == -EMLINK) /* a directory, or no links here */
			r = renameat2(f->store->objects, path, quarantine, name, 1) < 0 ? -errno
											: 0;
	}
	if (!r && move && unlinkat(f->store->objects, path, 0) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* Copies the object out of @fd if it is the one. Returns 1: it is; 0: not; or a negative errno. */
static int copy_object(struct fsck *f, int fd, struct pending *p, const struct cairn_digest *id)
{
	struct verity v cleanup_verity = {0};
	struct cairn_digest got[VERITY_ALGS_MAX];
	cleanup_free uint8_t *data = (uint8_t *)malloc(PIECE);
	off_t offset = 0;
	ssize_t n;
	int r = data ? verity_init(&v, CAIRN_ALG_BIT(f->store->alg)) : -ENOMEM;

	if (r < 0)
		return r;
	while ((n = pread_full(fd, data, PIECE, offset)) > 0) {
		verity_update(&v, data, (size_t)n);
		r = write_all(p->fd, data, (size_t)n);
		if (r < 0)
			return r;
		offset += n;
	}
	(void)verity_final(&v, got);
	return n < 0 ? 0 : !memcmp(got[0].bytes, id->bytes, f->id_size);
}

/* Puts the content of @fd in the place of the object @id, if it is that. Returns 1: it is; 0: not; or a
 * negative errno. */
static int replace(struct fsck *f, const struct cairn_digest *id, int fd)
{
	cleanup_pending struct pending p = PENDING_INIT;
	char path[OBJECT_PATH_MAX];
	int r = store_pending(f->store, &p, f->err);

	if (r < 0)
		return r;
	r = copy_object(f, fd, &p, id);
	if (r < 0)
		return error_errno(f->err, r, "write to %s", f->store->objects_path);
	if (!r)
		return 0;
	object_path(path, id->bytes, f->id_size);
	if (fsck_has(f, id->bytes)) {
		r = put_aside(f, path, false);
		if (r < 0 && r != -ENOENT)
			return error_errno(f->err, r, "put object %s aside", path);
	}
	r = store_replace(f->store, &p, id, f->err);
	return r < 0 ? r : 1;
}

static int from_store(struct fsck *f, const struct cairn_store *from, const struct cairn_digest *id)
{
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;

	object_path(path, id->bytes, f->id_size);
	fd = store_open_object(from, path, NULL);
	return fd < 0 ? 0 : replace(f, id, fd);
}

static bool is_content(const struct finding *found)
{
	return found->kind == CAIRN_DAMAGE_OBJECT || found->kind == CAIRN_DAMAGE_MISSING;
}

/* --- from elsewhere -------------------------------------------------------------------------- */

static int take(void *arg, const struct cairn_digest *id, int fd)
{
	struct fsck *f = (struct fsck *)arg;
	int r = replace(f, id, fd);

	if (r > 0)
		fsck_find(f, id)->repaired = true;
	return r < 0 ? r : r ? 0 : -EILSEQ;
}

/* What stores did not have. A remote that fails is told at the end: the next one may have it. */
static int from_remotes(struct fsck *f)
{
	size_t all = fsck_nr_findings(f);
	cleanup_free struct cairn_digest *ids = NULL;
	int r = 0;

	for (size_t i = 0; f->remotes && i < f->remotes->nr && !r; i++) {
		struct cairn_error err = {0};
		size_t nr = 0;

		if (!ids)
			ids = (struct cairn_digest *)calloc(all + 1, sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		for (size_t k = 0; k < all; k++) {
			const struct finding *found = fsck_finding(f, k);

			if (is_content(found) && !found->repaired)
				ids[nr++] = found->id;
		}
		if (nr)
			r = f->remotes->bring(f->remotes->arg, i, ids, nr, take, f, &err);
		if (r < 0 && !f->err->code && r != -ECANCELED) {
			if (!f->unreachable.code)
				f->unreachable = err;
			r = 0;
		}
	}
	return r;
}

/* --- one after the other --------------------------------------------------------------------- */

static bool is_digest(const struct fsck *f, int r, const struct cairn_digest *got,
		      const struct cairn_digest *id)
{
	return r >= 0 && !memcmp(got->bytes, id->bytes, f->id_size);
}

/* Seals the object where it is, if it has its content; else that is what is wrong with it. */
static int seal(const struct fsck *f, struct finding *found)
{
	char path[OBJECT_PATH_MAX];
	struct cairn_digest got;
	cleanup_fd int fd = -1;
	int r;

	object_path(path, found->id.bytes, f->id_size);
	fd = store_open_object(f->store, path, NULL);
	r = fd < 0 ? fd : store_digest_fd(fd, f->store->alg, &got);
	if (!is_digest(f, r, &got, &found->id)) {
		found->kind = CAIRN_DAMAGE_OBJECT;
		found->text = "its content does not have its digest, and it has no fs-verity";
		return 0;
	}
	r = verity_enable(fd, f->store->alg);
	if (!r)
		r = verity_measure(fd, &got);
	return is_digest(f, r, &got, &found->id);
}

/* Returns 1: it is right now; 0: it is not, yet; or a negative errno. */
static int repair_one(struct fsck *f, struct finding *found)
{
	int r = found->kind == CAIRN_DAMAGE_VERITY ? seal(f, found) : 0;

	switch (found->kind) {
	case CAIRN_DAMAGE_OBJECT:
	case CAIRN_DAMAGE_MISSING:
		for (size_t i = 0; i < f->options->nr_from && !r; i++)
			r = from_store(f, f->options->from[i], &found->id);
		return r;
	case CAIRN_DAMAGE_VERITY:
		return r;
	case CAIRN_DAMAGE_STRAY:
		r = strncmp(found->name, "objects/", 8) || !strchr(found->name + 8, '/')
			    ? 0
			    : put_aside(f, found->name + 8, true);
		return strchr(found->name + 8, '/') && !r;
	default:
		return 0;
	}
}

/* What is bad and stays so is not to be taken for the object. */
static int give_up(struct fsck *f, const struct finding *found)
{
	char path[OBJECT_PATH_MAX];
	int r;

	if (found->kind != CAIRN_DAMAGE_OBJECT || found->repaired)
		return 0;
	object_path(path, found->id.bytes, f->id_size);
	r = put_aside(f, path, true);
	return r < 0 && r != -ENOENT ? error_errno(f->err, r, "put object %s aside", path) : 0;
}

int fsck_repair(struct fsck *f)
{
	size_t nr = fsck_nr_findings(f);
	int r = store_begin(f->store, f->err);

	for (size_t i = 0; i < nr && r >= 0; i++) {
		struct finding *found = fsck_finding(f, i);

		if (found->repaired)
			continue;
		r = repair_one(f, found);
		found->repaired = r > 0;
	}
	if (r >= 0)
		r = from_remotes(f);
	for (size_t i = 0; i < nr && r >= 0; i++)
		r = give_up(f, fsck_finding(f, i));
	for (size_t i = 0; i < nr && r >= 0; i++)
		if (fsck_finding(f, i)->repaired)
			return store_sync(f->store, f->err);
	return MIN(r, 0);
}
