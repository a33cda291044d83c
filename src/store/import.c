/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * An object from a file that is already somewhere: of another store, or downloaded.
 *
 *	FICLONE		hashed afterwards: the clone is ours alone
 *	linkat		only where asked for, of files that are like objects of ours
 *	read, write	hashed in passing
 *
 * What gets a name has been hashed here, or the kernel enforces its digest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/store.h"
#include "store/stream.h"
#include "sys/copy.h"
#include "sys/verity.h"
#include "tree/tree.h"

#define CLONE_MIN   (64u << 10) /* bytes; below, writing is cheaper than sharing */
#define OBJECT_MODE 0100644

struct import {
	struct cairn_store *store;
	const struct store_source *source;
	struct stat st;
	bool enforced;                                /* the kernel sees to the source's digest */
	struct cairn_digest digests[VERITY_ALGS_MAX]; /* as computed */
};

static int wrong(const struct import *im, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	const struct cairn_digest *d = &im->source->digest;

	(void)object_path(path, d->bytes, cairn_digest_size((enum cairn_alg)d->alg));
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			 "object %s: its content does not have its digest", path);
}

static int failed(const struct import *im, int code, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	const struct cairn_digest *d = &im->source->digest;

	if (code == -ENODATA)
		return wrong(im, err);
	(void)object_path(path, d->bytes, cairn_digest_size((enum cairn_alg)d->alg));
	return error_errno(err, code, "copy object %s", path);
}

/* The digest for our store among those that were computed, or the source's own. */
static const struct cairn_digest *own_digest(const struct import *im)
{
	const struct cairn_digest *d = &im->source->digest;

	if (d->alg == im->store->alg)
		return d;
	return im->digests[0].alg == im->store->alg ? &im->digests[0] : &im->digests[1];
}

/* Reads @from, writes @to (-1: nowhere), and compares with the source's digest. */
static int hash(struct import *im, int from, int to, struct cairn_error *err)
{
	const struct store_source *src = im->source;
	unsigned int algs = CAIRN_ALG_BIT(src->digest.alg) | CAIRN_ALG_BIT(im->store->alg);
	bool needed = !im->enforced || src->digest.alg != im->store->alg;
	cleanup_verity struct verity v = {0};
	const struct stream s = {
		.from = from,
		.to = to,
		.size = src->size,
		.sparse = (uint64_t)im->st.st_blocks * 512 < src->size,
		.v = needed ? &v : NULL,
		.tick = src->tick,
		.arg = src->arg,
	};
	int r = needed ? verity_init(&v, algs) : 0;
	int nr;

	if (!r)
		r = stream_run(&s);
	if (r == -ECANCELED)
		return error_set(err, r, CAIRN_ERROR_SYSTEM, "cancelled");
	if (r < 0)
		return failed(im, r, err);
	if (!needed)
		return 0;
	nr = verity_final(&v, im->digests);
	for (int i = 0; i < nr; i++)
		if (im->digests[i].alg == src->digest.alg &&
		    memcmp(&im->digests[i], &src->digest, sizeof(src->digest)) != 0)
			return wrong(im, err);
	return 0;
}

/* A second name for the file itself. Returns 1; 0: it cannot have one; or a negative errno. */
static int link_source(struct import *im, struct cairn_error *err)
{
	const struct store_source *src = im->source;
	char path[64];
	int r;

	/* Alike in all that an object's name promises: nobody else may change it. */
	if (im->st.st_uid != geteuid() || im->st.st_mode != OBJECT_MODE ||
	    src->digest.alg != im->store->alg || (im->store->verity && !im->enforced))
		return 0;
	r = im->enforced ? 0 : hash(im, src->fd, -1, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", src->fd);
	return store_link(im->store, path, &src->digest);
}

static int copy(struct import *im, struct store_imported *ret, struct cairn_error *err)
{
	const struct store_source *src = im->source;
	cleanup_pending struct pending p = PENDING_INIT;
	int r;

	r = store_pending(im->store, &p, err);
	if (r < 0)
		return r;
	r = src->size >= CLONE_MIN ? copy_clone(src->fd, p.fd) : -EOPNOTSUPP;
	if (r < 0 && r != -EOPNOTSUPP && r != -EINVAL)
		return failed(im, r, err);
	ret->cloned = !r;
	r = ret->cloned ? hash(im, p.fd, -1, err) : hash(im, src->fd, p.fd, err);
	if (r < 0)
		return r;
	ret->digest = *own_digest(im);
	return store_commit(im->store, &p, &ret->digest, src->size, err);
}

int store_import(struct cairn_store *s, const struct store_source *source,
		 struct store_imported *ret, struct cairn_error *err)
{
	struct import im = {.store = s, .source = source};
	struct cairn_digest measured;
	int r;

	*ret = (struct store_imported){.digest = source->digest};
	if (source->digest.alg == s->alg) {
		r = store_has(s, &source->digest, source->size, err);
		if (r)
			return MIN(r, 0);
	}
	if (fstat(source->fd, &im.st) < 0)
		return failed(&im, -errno, err);
	if ((uint64_t)im.st.st_size != source->size)
		return wrong(&im, err);
	im.enforced = !verity_measure(source->fd, &measured) &&
		      !memcmp(&measured, &source->digest, sizeof(measured));
	if (source->link) {
		r = link_source(&im, err);
		ret->linked = r > 0;
		if (r)
			return r;
	}
	return copy(&im, ret, err);
}
