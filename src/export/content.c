/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The bytes of one file.
 *
 *	FICLONE		the file is hashed afterwards: it is ours alone
 *	read, write	hashed in passing; holes stay holes
 *
 * Where the kernel enforces the digest of the object already, nothing is hashed.
 */
#include <errno.h>

#include "digest/verity.h"
#include "export/export-internal.h"
#include "store/store.h"
#include "store/stream.h"
#include "sys/copy.h"
#include "sys/io.h"
#include "sys/verity.h"

#define CLONE_MIN (64u << 10) /* bytes; below, writing is cheaper than sharing */

struct object {
	const struct node *node;
	char path[OBJECT_PATH_MAX];
	const char *payload;
	struct cairn_digest digest;
	struct stat st;
	int fd;
};

/* Names the object of @n; it cannot be verified without a digest. */
static int name_object(const struct export *x, const struct node *n, struct object *o,
		       struct cairn_error *err)
{
	const uint8_t *digest = x->alg ? node_digest(n, x->alg) : NULL;
	char quoted[NODE_PATH_QUOTED_MAX];

	*o = (struct object){.node = n, .fd = -1};
	o->payload = node_payload(n, x->alg ? x->alg : CAIRN_SHA256, o->path);
	if (!o->payload)
		return error_set(err, -ENODATA, CAIRN_ERROR_FORMAT,
				 "%s: the image does not name its object",
				 node_path_quoted(n, quoted));
	if (!digest)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%s: the image has no digest to verify it by",
				 node_path_quoted(n, quoted));
	o->digest.alg = (uint8_t)x->alg;
	memcpy(o->digest.bytes, digest, cairn_digest_size(x->alg));
	return 0;
}

static int prepend_path(struct cairn_error *err, const struct node *n)
{
	char quoted[NODE_PATH_QUOTED_MAX];

	return error_prepend(err, "%s", node_path_quoted(n, quoted));
}

static int no_stores(const struct node *n, struct cairn_error *err)
{
	char quoted[NODE_PATH_QUOTED_MAX];

	return error_set(err, -ENOENT, CAIRN_ERROR_USAGE,
			 "%s: its content is not in the image, and no store is given",
			 node_path_quoted(n, quoted));
}

static int wrong_content(const struct object *o, struct cairn_error *err)
{
	char quoted[NODE_PATH_QUOTED_MAX];

	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			 "%s: object %s: its content does not have its digest",
			 node_path_quoted(o->node, quoted), o->payload);
}

/* Opens the object in the first store that has it. */
static int open_object(const struct export *x, struct object *o, struct cairn_error *err)
{
	const struct cairn_export_options *opt = x->options;

	if (!opt->nr_stores)
		return no_stores(o->node, err);
	o->fd = -ENOENT;
	for (unsigned int i = 0; i < opt->nr_stores && o->fd == -ENOENT; i++)
		o->fd = store_open_object(opt->stores[i], o->payload, err);
	if (o->fd < 0)
		return prepend_path(err, o->node);
	if (fstat(o->fd, &o->st) < 0)
		return export_errno(err, -errno, "read the object of", o->node);
	return (uint64_t)o->st.st_size == o->node->size ? 0 : wrong_content(o, err);
}

static bool is_verified(const struct object *o)
{
	struct cairn_digest measured;

	return !verity_measure(o->fd, &measured) &&
	       !memcmp(&measured, &o->digest, sizeof(measured));
}

struct ticker {
	struct export *x;
	unsigned int worker;
	struct cairn_error *err;
};

static int tick(void *arg)
{
	const struct ticker *t = (const struct ticker *)arg;

	return export_progress(t->x, t->worker, t->err);
}

/* Hashes @from (@hash), and writes it to @to (-1: nowhere). */
static int stream(struct export *x, unsigned int worker, const struct object *o, int from, int to,
		  bool hash, struct cairn_error *err)
{
	cleanup_verity struct verity v = {0};
	struct cairn_digest digests[VERITY_ALGS_MAX];
	struct ticker ticker = {x, worker, err};
	const struct stream s = {
		.from = from,
		.to = to,
		.size = o->node->size,
		.sparse = (uint64_t)o->st.st_blocks * 512 < o->node->size,
		.v = hash ? &v : NULL,
		.tick = tick,
		.arg = &ticker,
	};
	int r = hash ? verity_init(&v, CAIRN_ALG_BIT(x->alg)) : 0;

	if (!r)
		r = stream_run(&s);
	if (r == -ECANCELED)
		return r;
	if (r == -ENODATA)
		return wrong_content(o, err);
	if (r < 0)
		return export_errno(err, r, "write", o->node);
	if (!hash)
		return 0;
	(void)verity_final(&v, digests);
	return memcmp(&digests[0], &o->digest, sizeof(digests[0])) ? wrong_content(o, err) : 0;
}

static int copy_object(struct export *x, unsigned int worker, struct object *o, int fd,
		       struct cairn_error *err)
{
	bool verified = is_verified(o);

	if (o->node->size >= CLONE_MIN && !atomic_load(&x->no_clone)) {
		int r = copy_clone(o->fd, fd);

		if (!r) {
			atomic_fetch_add(&x->cloned, 1);
			return verified ? 0 : stream(x, worker, o, fd, -1, true, err);
		}
		if (r != -EOPNOTSUPP && r != -EINVAL)
			return export_errno(err, r, "write", o->node);
		if (r == -EOPNOTSUPP && x->options->nr_stores == 1)
			atomic_store(&x->no_clone, true);
	}
	return stream(x, worker, o, o->fd, fd, !verified, err);
}

int export_content(struct export *x, unsigned int worker, const struct node *n, int fd,
		   struct cairn_error *err)
{
	struct object o;
	int r;

	atomic_fetch_add(&x->files, 1);
	atomic_fetch_add(&x->bytes, n->size);
	if (!n->size)
		return 0;
	if (n->flags & NODE_INLINE) {
		r = write_all(fd, n->inl.content, (size_t)n->size);
		return r < 0 ? export_errno(err, r, "write", n) : 0;
	}
	r = name_object(x, n, &o, err);
	if (!r)
		r = open_object(x, &o, err);
	if (!r)
		r = copy_object(x, worker, &o, fd, err);
	if (o.fd >= 0)
		close(o.fd);
	return r;
}

int export_write_content(struct export *x, const struct node *n, cairn_write_fn write, void *arg,
			 struct cairn_error *err)
{
	const struct cairn_export_options *opt = x->options;
	struct cairn_error mine = {0};
	struct object o;
	int r;

	atomic_fetch_add(&x->files, 1);
	atomic_fetch_add(&x->bytes, n->size);
	if (!n->size)
		return 0;
	if (n->flags & NODE_INLINE)
		return write(arg, n->inl.content, (unsigned long)n->size);
	r = name_object(x, n, &o, err);
	if (r < 0)
		return r;
	if (!opt->nr_stores)
		return no_stores(n, err);
	r = -ENOENT;
	for (unsigned int i = 0; i < opt->nr_stores && r == -ENOENT; i++)
		r = store_read_object(opt->stores[i], o.payload, &o.digest, write, arg, &mine);
	if (r >= 0 || !mine.code)
		return r;
	if (err)
		*err = mine;
	return prepend_path(err, n) ?: r;
}
