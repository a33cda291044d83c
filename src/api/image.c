/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing images.
 *
 * Each thread emits and hashes pieces of the image; whoever has the piece that is next writes it, and
 * those that wait behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "api/api-internal.h"
#include "base/parallel.h"
#include "digest/verity.h"
#include "erofs/write.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/pending.h"
#include "sys/verity.h"
#include "tree/objects.h"

/* Nobody has more to emit than so many threads can. */
#define JOBS_MAX 16

/* A piece on its way: emitted and hashed, then written. */
struct slot {
	struct erofs_emitter *emitter;
	const uint8_t *data;
	size_t size;
	uint8_t leaves[EROFS_PIECE_SIZE / VERITY_BLOCK_SIZE * CAIRN_DIGEST_MAX];
};

struct output {
	const struct cairn_image_options *options;
	enum cairn_alg alg;
	struct verity verity;
	struct slot *slots;
	unsigned int nr_slots;
	uint64_t written, total; /* bytes */
};

static void output_fini(struct output *o)
{
	for (unsigned int i = 0; o->slots && i < o->nr_slots; i++)
		erofs_emitter_free(o->slots[i].emitter);
	free(o->slots);
	verity_fini(&o->verity);
}

#define cleanup_output __attribute__((__cleanup__(output_fini)))

static int make_piece(void *arg, unsigned int worker, size_t i, unsigned int slot)
{
	struct output *o = (struct output *)arg;
	struct slot *s = &o->slots[slot];

	(void)worker;
	s->data = erofs_emit_piece(s->emitter, i, &s->size);
	verity_leaves(o->alg, s->data, s->size, s->leaves);
	return 0;
}

static int take_piece(void *arg, unsigned int worker, size_t i, unsigned int slot)
{
	struct output *o = (struct output *)arg;
	const struct cairn_image_options *opt = o->options;
	const struct slot *s = &o->slots[slot];
	int r = 0;

	(void)worker;
	(void)i;
	verity_add_leaves(&o->verity, s->leaves, s->size);
	if (opt->write)
		r = opt->write(opt->write_arg, s->data, s->size);
	o->written += s->size;
	if (r >= 0 && opt->progress && opt->progress(opt->progress_arg, 0, o->written, 0, o->total))
		r = -ECANCELED;
	return MIN(r, 0);
}

static int write_planned(const struct erofs_plan *plan, const struct cairn_image_options *options,
			 enum cairn_alg alg, struct cairn_digest *ret_digest)
{
	const size_t nr = (size_t)erofs_plan_pieces(plan);
	unsigned int jobs = MIN(MAX(options->jobs, 1u), (unsigned int)MIN(nr, (size_t)JOBS_MAX));
	cleanup_output struct output o = {.options = options,
					  .alg = alg,
					  .nr_slots = jobs > 1 ? 2 * jobs : 1,
					  .total = erofs_plan_size(plan)};
	int r;

	r = verity_init(&o.verity, CAIRN_ALG_BIT(alg));
	if (r < 0)
		return r;
	o.slots = (struct slot *)calloc(o.nr_slots, sizeof(*o.slots));
	if (!o.slots)
		return -ENOMEM;
	for (unsigned int i = 0; i < o.nr_slots; i++) {
		r = erofs_emitter_new(plan, &o.slots[i].emitter);
		if (r < 0)
			return r;
	}
	r = parallel_in_order(jobs, nr, o.nr_slots, make_piece, take_piece, &o);
	if (!r)
		verity_final(&o.verity, ret_digest);
	return r;
}

int cairn_image_write(const struct cairn_tree *tree, const struct cairn_image_options *options,
		      struct cairn_image_result *ret, struct cairn_error *err)
{
	const struct tree *t = tree_from_public(tree);
	enum cairn_alg alg = options->alg ? (enum cairn_alg)options->alg : tree_alg(t);
	struct erofs_plan *plan cleanup(erofs_plan) = NULL;
	struct cairn_image_result result;
	int r;

	if (options->format < CAIRN_FORMAT_AUTO || options->format > CAIRN_FORMAT_V2 ||
	    !cairn_digest_size(alg))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "format %d with digest algorithm %u: there is no such image",
				 options->format, (unsigned int)alg);
	r = erofs_plan_new(t, options->format, alg, &(struct team){options->jobs, parallel_for},
			   &plan, err);
	if (r < 0)
		return r;
	result = (struct cairn_image_result){.format = erofs_plan_format(plan),
					     .size = erofs_plan_size(plan),
					     .inodes = erofs_plan_inodes(plan)};
	r = write_planned(plan, options, alg, &result.digest);
	if (r < 0)
		return error_errno(err, r, "write the image");
	if (ret)
		*ret = result;
	return 0;
}

#define WRITE_BACK                                                                                 \
	((off_t)2 << 20) /* bytes that the disk is given at a time, while the next are made */

struct image_file {
	int fd;
	off_t written, given;
	bool sync;
};

static int write_pending(void *arg, const void *data, unsigned long size)
{
	struct image_file *f = (struct image_file *)arg;
	int r = write_all(f->fd, data, size);

	f->written += (off_t)size;
	if (!r && f->sync && f->written - f->given >= WRITE_BACK) {
		(void)io_write_back(f->fd, f->given, (size_t)(f->written - f->given));
		f->given = f->written;
	}
	return r;
}

/* Into the device or pipe open at @fd. */
static int write_special(const struct cairn_tree *tree, int fd, const char *path,
			 const struct cairn_image_options *options, struct cairn_image_result *ret,
			 struct cairn_error *err)
{
	struct image_file out = {.fd = fd};
	struct cairn_image_options to_file = *options;
	int r;

	to_file.write = write_pending;
	to_file.write_arg = &out;
	r = cairn_image_write(tree, &to_file, ret, err);
	if (r < 0)
		error_prepend(err, "%s", path);
	return r;
}

int cairn_image_write_file(const struct cairn_tree *tree, int dirfd, const char *path,
			   const struct cairn_image_options *options,
			   struct cairn_image_result *ret, struct cairn_error *err)
{
	struct pending file cleanup_pending = PENDING_INIT;
	struct image_file out = {.sync = options->sync};
	struct cairn_image_options to_file = *options;
	struct cairn_image_result result;
	cleanup_fd int parent = -1, special = io_open_special(dirfd, path);
	const char *name;
	int r;

	if (special >= 0)
		return write_special(tree, special, path, options, ret, err);
	if (special != -ENOENT)
		return error_errno(err, special, "%s", path);
	parent = dir_open_parent(dirfd, path, &name);
	if (parent < 0)
		return error_errno(err, parent, "%s", path);
	if (!*name)
		return error_errno(err, -EISDIR, "%s", path);
	r = pending_open(parent, ".cairn-", 0666, &file);
	if (r < 0)
		return error_errno(err, r, "%s", path);

	out.fd = file.fd;
	to_file.write = write_pending;
	to_file.write_arg = &out;
	r = cairn_image_write(tree, &to_file, &result, err);
	if (r < 0) {
		error_prepend(err, "%s", path);
		return r;
	}
	/* Only a file that nobody can write any more can be given fs-verity. */
	if (options->verity && !pending_seal(&file))
		(void)verity_enable(file.fd, (enum cairn_alg)result.digest.alg);
	if (options->sync && fsync(file.fd) < 0)
		return error_errno(err, -errno, "%s", path);
	r = pending_replace(&file, name);
	if (r < 0)
		return error_errno(err, r, "%s", path);
	if (options->sync && fsync(parent) < 0)
		return error_errno(err, -errno, "%s", path);
	if (ret)
		*ret = result;
	return 0;
}
