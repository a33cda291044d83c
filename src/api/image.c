/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Writing images.
 *
 * With two jobs the image is planned and emitted here while a second thread hashes and writes what
 * is ready: a ring of buffers goes round between the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "api/api-internal.h"
#include "digest/verity.h"
#include "erofs/write.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/pending.h"
#include "sys/verity.h"
#include "tree/objects.h"

#define RING 4 /* buffers: one being filled, one being written, two to even out */

struct output {
	const struct cairn_image_options *options;
	struct verity verity;
	uint8_t *buffer[RING];
	size_t used[RING];
	uint64_t written, total; /* bytes */

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	unsigned int filled; /* buffers handed over since the beginning */
	unsigned int done;   /* of them, written */
	bool end;            /* no more will come */
	int error;           /* of the writer, negative errno */
};

static int consume(struct output *o, const uint8_t *data, size_t size)
{
	const struct cairn_image_options *opt = o->options;
	int r = 0;

	verity_update(&o->verity, data, size);
	if (opt->write)
		r = opt->write(opt->write_arg, data, size);
	o->written += size;
	if (r >= 0 && opt->progress && opt->progress(opt->progress_arg, 0, o->written, 0, o->total))
		r = -ECANCELED;
	return MIN(r, 0);
}

/* One buffer, hashed and written at once. */
static int swap_alone(void *arg, uint8_t **buffer, size_t used)
{
	struct output *o = (struct output *)arg;

	if (!*buffer)
		*buffer = o->buffer[0];
	return used ? consume(o, *buffer, used) : 0;
}

static void *write_ring(void *arg)
{
	struct output *o = (struct output *)arg;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		unsigned int i = o->done % RING;
		int r;

		while (o->done == o->filled && !o->end)
			pthread_cond_wait(&o->changed, &o->lock);
		if (o->done == o->filled)
			break;
		pthread_mutex_unlock(&o->lock);
		r = o->error ? 0 : consume(o, o->buffer[i], o->used[i]);
		pthread_mutex_lock(&o->lock);
		if (r < 0)
			o->error = r;
		o->done++;
		pthread_cond_signal(&o->changed);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static int swap_ring(void *arg, uint8_t **buffer, size_t used)
{
	struct output *o = (struct output *)arg;
	int r;

	pthread_mutex_lock(&o->lock);
	if (*buffer) {
		o->used[o->filled % RING] = used;
		o->filled++;
		pthread_cond_signal(&o->changed);
	}
	while (o->filled - o->done == RING)
		pthread_cond_wait(&o->changed, &o->lock);
	*buffer = o->buffer[o->filled % RING];
	r = o->error;
	pthread_mutex_unlock(&o->lock);
	return r;
}

static int run(struct output *o, const struct erofs_plan *plan)
{
	struct erofs_sink sink = {swap_alone, o};
	pthread_t writer;
	int r;

	if (o->options->jobs < 2 || o->total <= EROFS_BUFFER_SIZE ||
	    pthread_create(&writer, NULL, write_ring, o))
		return erofs_emit(plan, &sink);

	sink.swap = swap_ring;
	r = erofs_emit(plan, &sink);
	pthread_mutex_lock(&o->lock);
	o->end = true;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
	pthread_join(writer, NULL);
	return r < 0 ? r : o->error;
}

static int write_planned(const struct erofs_plan *plan, const struct cairn_image_options *options,
			 enum cairn_alg alg, struct cairn_digest *ret_digest)
{
	struct output o = {.options = options,
			   .total = erofs_plan_size(plan),
			   .lock = PTHREAD_MUTEX_INITIALIZER,
			   .changed = PTHREAD_COND_INITIALIZER};
	cleanup_free uint8_t *memory = NULL;
	int r;

	memory = (uint8_t *)malloc((size_t)RING * EROFS_BUFFER_SIZE);
	if (!memory)
		return -ENOMEM;
	for (unsigned int i = 0; i < RING; i++)
		o.buffer[i] = memory + (size_t)i * EROFS_BUFFER_SIZE;
	r = verity_init(&o.verity, CAIRN_ALG_BIT(alg));
	if (r < 0)
		return r;
	r = run(&o, plan);
	if (!r)
		verity_final(&o.verity, ret_digest);
	verity_fini(&o.verity);
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
	r = erofs_plan_new(t, options->format, alg, &plan, err);
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

static int write_pending(void *arg, const void *data, unsigned long size)
{
	return write_all(((const struct pending *)arg)->fd, data, size);
}

int cairn_image_write_file(const struct cairn_tree *tree, int dirfd, const char *path,
			   const struct cairn_image_options *options,
			   struct cairn_image_result *ret, struct cairn_error *err)
{
	struct pending file cleanup_pending = PENDING_INIT;
	struct cairn_image_options to_file = *options;
	struct cairn_image_result result;
	cleanup_fd int parent = -1;
	const char *name;
	int r;

	parent = dir_open_parent(dirfd, path, &name);
	if (parent < 0)
		return error_errno(err, parent, "%s", path);
	if (!*name)
		return error_errno(err, -EISDIR, "%s", path);
	r = pending_open(parent, ".cairn-", 0666, &file);
	if (r < 0)
		return error_errno(err, r, "%s", path);

	to_file.write = write_pending;
	to_file.write_arg = &file;
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
