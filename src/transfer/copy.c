/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Objects from another store. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/parallel.h"
#include "transfer/transfer.h"

struct copying {
	struct cairn_store *to;
	const struct cairn_store *from;
	const struct wants *wants;
	const struct cairn_transfer_options *options;
	uint8_t *digests;
	atomic_ullong files, bytes, objects, new_bytes, cloned, linked;
	atomic_bool cancelled;

	pthread_mutex_t lock; /* over what follows */
	size_t failed;
	struct cairn_error error;
};

struct ticker {
	struct copying *c;
	unsigned int worker;
};

static int tick(void *arg)
{
	const struct ticker *t = (const struct ticker *)arg;
	struct copying *c = t->c;
	const struct cairn_transfer_options *opt = c->options;

	if (!t->worker && opt->progress &&
	    opt->progress(opt->progress_arg, atomic_load(&c->files), atomic_load(&c->bytes),
			  c->wants->nr, c->wants->bytes))
		atomic_store(&c->cancelled, true);
	return atomic_load(&c->cancelled) ? -ECANCELED : 0;
}

static int copy_one(struct copying *c, unsigned int worker, size_t i, struct cairn_error *err)
{
	const struct want *w = &c->wants->want[i];
	struct ticker ticker = {c, worker};
	struct store_imported imported;
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;
	int r;

	(void)object_path(path, w->digest.bytes, cairn_digest_size((enum cairn_alg)w->digest.alg));
	fd = store_open_object(c->from, path, err);
	if (fd < 0)
		return error_prepend(err, "%s", c->from->path) ?: fd;
	r = store_import(c->to,
			 &(struct store_source){.fd = fd,
						.digest = w->digest,
						.size = w->size,
						.link = c->options->link,
						.tick = tick,
						.arg = &ticker},
			 &imported, err);
	if (r < 0)
		return error_prepend(err, "%s", c->from->path) ?: r;
	if (c->digests)
		memcpy(c->digests + i * cairn_digest_size(c->to->alg), imported.digest.bytes,
		       cairn_digest_size(c->to->alg));
	atomic_fetch_add(&c->files, 1);
	atomic_fetch_add(&c->bytes, w->size);
	if (r) {
		atomic_fetch_add(&c->objects, 1);
		atomic_fetch_add(&c->new_bytes, w->size);
		atomic_fetch_add(&c->cloned, imported.cloned);
		atomic_fetch_add(&c->linked, imported.linked);
	}
	r = tick(&ticker);
	return r < 0 ? error_set(err, r, CAIRN_ERROR_SYSTEM, "cancelled") : 0;
}

static int run_one(void *arg, unsigned int worker, size_t i)
{
	struct copying *c = (struct copying *)arg;
	struct cairn_error err = {0};
	int r = copy_one(c, worker, i, &err);

	if (!r)
		return 0;
	pthread_mutex_lock(&c->lock);
	if (i < c->failed) {
		c->failed = i;
		c->error = err;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int transfer_copy(struct cairn_store *to, const struct cairn_store *from, const struct wants *w,
		  const struct cairn_transfer_options *options, uint8_t *digests,
		  struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct copying c = {
		.to = to,
		.from = from,
		.wants = w,
		.options = options,
		.digests = digests,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.failed = w->nr,
	};
	int r = parallel_for(MAX(options->jobs, 1u), w->nr, run_one, &c);

	pthread_mutex_destroy(&c.lock);
	if (r < 0) {
		if (err)
			*err = c.error;
		return r;
	}
	ret->objects += atomic_load(&c.objects);
	ret->bytes += atomic_load(&c.new_bytes);
	ret->cloned += atomic_load(&c.cloned);
	ret->linked += atomic_load(&c.linked);
	return 0;
}
