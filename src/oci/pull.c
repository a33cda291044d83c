/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Layers into a store, side by side. */
#include "oci/pull.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/parallel.h"
#include "oci/chunked.h"
#include "oci/keep.h"
#include "oci/known.h"
#include "oci/push.h"
#include "sys/copy.h"

#define TELL_MS 100 /* between two reports of progress */
#define LAYERS_AT_ONCE                                                                             \
	6u /* of three threads and some 10 MiB each, and a window of zstd's of usually 8 */

struct job {
	const struct oci_image *image;
	const struct pull_options *options;
	struct pull *pull;
	struct known_layers *known;
	struct contents *contents; /* NULL: no layer needs it */
	size_t *order;             /* layers to be fetched, the largest first */
	size_t nr_order;
	struct cairn_error *errors; /* of each layer */
	atomic_bool stop;           /* one failed: the others need not go on */

	pthread_mutex_t lock; /* over all below */
	struct cairn_pull_layer *told;
	uint64_t last_told;
};

/* --- progress -------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Returns 0, or -ECANCELED when the user wants it. */
static int tell(struct job *j, size_t i, enum cairn_pull_state state, uint64_t done, uint64_t saved)
{
	const struct pull_options *o = j->options;
	uint64_t now;
	int r = 0;

	if (!o->progress)
		return 0;
	pthread_mutex_lock(&j->lock);
	now = now_ms();
	j->told[i].done = done;
	j->told[i].saved = saved;
	if (j->told[i].state != state || now - j->last_told >= TELL_MS) {
		j->told[i].state = state;
		j->last_told = now;
		r = o->progress(o->progress_arg, j->told, j->pull->nr_layers) ? -ECANCELED : 0;
	}
	pthread_mutex_unlock(&j->lock);
	return r;
}

/* --- one layer ------------------------------------------------------------------------------- */

struct fetch {
	struct job *job;
	size_t layer;
	struct layer_import *import;
	struct blob_keeper *keeper; /* NULL: the blob is not kept */
	uint64_t done;
	bool clones;                  /* files of an unpacked layer may be, so far */
	struct cairn_error malformed; /* code 0: it is not, so far */
};

/* @size more bytes have come. */
static int count(struct fetch *f, size_t size, struct cairn_error *err)
{
	int r;

	if (atomic_load_explicit(&f->job->stop, memory_order_relaxed))
		return error_errno(err, -ECANCELED, "layer");
	f->done += size;
	r = tell(f->job, f->layer, CAIRN_PULL_FETCHING, f->done, 0);
	return r < 0 ? error_errno(err, r, "layer") : 0;
}

static int take_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct fetch *f = (struct fetch *)arg;
	int r = count(f, size, err);

	if (r < 0)
		return r;
	if (f->keeper) {
		r = blob_keeper_feed(f->keeper, data, size, err);
		if (r < 0)
			return r;
	}
	/* What is malformed may have been broken on its way: the digest of the blob will tell, so all of it
	 * has to come. */
	if (f->malformed.code < 0)
		return 0;
	r = layer_import_feed(f->import, data, size, &f->malformed);
	if (r < 0 && f->malformed.kind == CAIRN_ERROR_SYSTEM) {
		if (err)
			*err = f->malformed;
		return r;
	}
	return 0;
}

/* --- a layer that lies unpacked somewhere ---------------------------------------------------- */

#define PIECE     (256u << 10)
#define CLONE_MIN (64u << 10) /* bytes; below, writing is cheaper than sharing */

static int take_bytes(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct fetch *f = (struct fetch *)arg;
	int r = count(f, size, err);

	return r < 0 ? r : layer_import_feed(f->import, data, size, err);
}

/* The content of @fd, which is not to change or be cut short meanwhile: if so the tar has not its diff_id. */
static int feed_file(struct fetch *f, int fd, uint64_t size, struct cairn_error *err)
{
	char *piece cleanup_free = (char *)malloc(PIECE);
	uint64_t at = 0;

	if (!piece)
		return error_errno(err, -ENOMEM, "layer");
	while (at < size) {
		ssize_t n = pread(fd, piece, (size_t)MIN(size - at, (uint64_t)PIECE), (off_t)at);
		int r = n > 0 ? take_bytes(f, piece, (size_t)n, err)
			      : error_errno(err, n < 0 ? -errno : -EILSEQ, "read");

		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	return 0;
}

/* The object by sharing the blocks of @fd: then only the clone, which is ours alone, is read and hashed. -EOPNOTSUPP: no file
 * system that can. */
static int clone_file(struct fetch *f, int fd, uint64_t size, struct cairn_error *err)
{
	struct cairn_store *store = f->job->options->store;
	struct pull_layer *l = &f->job->pull->layers[f->layer];
	struct pending clone cleanup_pending = PENDING_INIT;
	struct cairn_digest id;
	int r = store_pending(store, &clone, err);

	if (r < 0)
		return r;
	r = copy_clone(fd, clone.fd);
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return -EOPNOTSUPP;
	if (r == 0)
		r = store_digest_fd(clone.fd, store->alg, &id);
	if (r < 0)
		return error_errno(err, r, "clone");
	r = layer_import_known(f->import, size, &id, err);
	if (r <= 0)
		return r < 0 ? r : -EOPNOTSUPP;
	r = feed_file(f, clone.fd, size, err);
	if (r == 0)
		r = store_commit(store, &clone, &id, size, err);
	if (r < 0)
		return r;
	l->new_objects += (uint64_t)r;
	l->new_bytes += r ? size : 0;
	return 0;
}

static int take_file(void *arg, int fd, uint64_t size, struct cairn_error *err)
{
	struct fetch *f = (struct fetch *)arg;
	int r = -EOPNOTSUPP;

	if (f->clones && size >= CLONE_MIN)
		r = clone_file(f, fd, size, err);
	if (r != -EOPNOTSUPP)
		return r;
	f->clones &= size < CLONE_MIN;
	return feed_file(f, fd, size, err);
}

static int unpacked_layer(struct job *j, size_t i, struct layer_import_options *options,
			  struct layer_import_result *result, struct cairn_error *err)
{
	struct pull_layer *l = &j->pull->layers[i];
	struct layer_import *im cleanup(layer_import) = NULL;
	struct fetch f = {.job = j, .layer = i, .clones = j->options->store != NULL};
	const struct source_sink sink = {take_bytes, take_file, &f};
	int r;

	if (j->options->keep_blobs)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "it lies unpacked there, and its blob is not to be had");
	options->compression = COMPRESSION_NONE;
	r = layer_import_new(options, &im, err);
	if (r < 0)
		return r;
	f.import = im;
	r = j->image->source->ops->layer(j->image->source, options->diff_id, &sink, err);
	l->fetched += f.done;
	return r < 0 ? r : layer_import_finish(im, &l->tree, result, err);
}

/* --- one of which only a part is fetched ----------------------------------------------------- */

static int tell_chunked(void *arg, uint64_t fetched, uint64_t saved)
{
	struct fetch *f = (struct fetch *)arg;
	struct pull_layer *l = &f->job->pull->layers[f->layer];

	if (atomic_load_explicit(&f->job->stop, memory_order_relaxed))
		return -ECANCELED;
	l->fetched = fetched;
	l->saved = saved;
	return tell(f->job, f->layer, CAIRN_PULL_FETCHING, fetched, saved);
}

/* What the options allow to be used of the tables of a layer. Returns 1, 0 or a negative errno. */
static int use_table(const struct job *j, size_t i, struct toc_place *ret, enum toc_kind *ret_kind,
		     struct cairn_error *err)
{
	const enum cairn_partial partial = j->options->partial;
	int kind = toc_place_of(&j->image->manifest->parts[i], ret, err);

	if (kind < 0)
		return kind;
	*ret_kind = (enum toc_kind)kind;
	if (j->options->keep_blobs || partial == CAIRN_PARTIAL_NONE)
		return 0;
	return kind == TOC_CHUNKED || (partial == CAIRN_PARTIAL_TABLE && ret->digest);
}

/* Only what is missing, where a table of contents tells what that is. -EOPNOTSUPP: as a whole. */
static int part_of_layer(struct job *j, size_t i, const struct layer_import_options *options,
			 struct layer_import_result *result, struct cairn_error *err)
{
	const struct oci_descriptor *d = &j->image->manifest->parts[i];
	struct pull_layer *l = &j->pull->layers[i];
	struct toc_place place;
	struct fetch f = {.job = j, .layer = i};
	struct chunked_pull chunked = {
		.source = j->image->source,
		.layer = d,
		.place = &place,
		.by_table = j->options->partial == CAIRN_PARTIAL_TABLE,
		.store = j->options->store,
		.contents = j->contents,
		.import = options,
		.progress = tell_chunked,
		.progress_arg = &f,
	};
	struct chunked_result found;
	int r = use_table(j, i, &place, &chunked.kind, err);

	if (r == 0 && chunked.by_table && !j->options->keep_blobs)
		l->whole = "it has no table of contents that the manifest pins";
	if (r <= 0 || !j->contents || j->options->store->empty)
		return r < 0 ? r : -EOPNOTSUPP;
	r = chunked_pull(&chunked, &l->tree, &found, err);
	if (r == -EOPNOTSUPP && chunked.by_table)
		l->whole = found.whole;
	if (r < 0)
		return r;
	if (found.by_table)
		(void)toc_key_of(d, l->toc);
	*result = found.import;
	return 0;
}

static void note_hashed(void *arg, const uint8_t sha256[32], const struct cairn_digest *id)
{
	contents_add((struct contents *)arg, sha256, id);
}

static int whole_layer(struct job *j, size_t i, struct layer_import_options *options,
		       struct layer_import_result *result, struct cairn_error *err)
{
	const struct oci_descriptor *d = &j->image->manifest->parts[i];
	struct pull_layer *l = &j->pull->layers[i];
	struct layer_import *im cleanup(layer_import) = NULL;
	struct blob_keeper keeper cleanup_blob_keeper = {0};
	struct fetch f = {.job = j, .layer = i};
	struct toc_place place;
	enum toc_kind kind;
	int r;

	/* When it is updated tables will ask for its files by their SHA-256. */
	if (j->contents && use_table(j, i, &place, &kind, NULL) == 1) {
		options->hashed = note_hashed;
		options->hashed_arg = j->contents;
	}
	r = layer_import_new(options, &im, err);
	if (r == 0 && j->options->keep_blobs && j->options->store) {
		f.keeper = &keeper;
		r = blob_keeper_begin(&keeper, j->options->store, err);
	}
	if (r < 0)
		return r;
	f.import = im;
	r = oci_source_blob(j->image->source, d, take_piece, &f, err);
	l->fetched += f.done;
	if (r == 0 && f.malformed.code < 0) {
		if (err)
			*err = f.malformed;
		r = f.malformed.code;
	}
	if (r == 0)
		r = layer_import_finish(im, &l->tree, result, err);
	return r == 0 && f.keeper ? blob_keeper_end(&keeper, &l->blob, err) : r;
}

static int fetch_once(struct job *j, size_t i, struct cairn_error *err)
{
	struct pull_layer *l = &j->pull->layers[i];
	struct layer_import_result result;
	struct layer_import_options options = {
		.profile = j->options->profile,
		.store = j->options->store,
		.algs = j->options->algs,
		.keep = j->options->store != NULL,
		.threads = j->options->jobs > 1,
		.diff_id = j->image->config->diff_ids[i],
	};
	int r;

	l->new_objects = l->new_bytes = 0;
	l->whole = NULL;
	if (j->image->source->ops->layer) {
		r = unpacked_layer(j, i, &options, &result, err);
	} else {
		r = part_of_layer(j, i, &options, &result, err);
		if (r == -EOPNOTSUPP)
			r = whole_layer(j, i, &options, &result, err);
	}
	if (r < 0)
		return r;
	l->stream = result.stream;
	l->stats = result.stats;
	l->size = result.size;
	l->new_objects += result.new_objects;
	l->new_bytes += result.new_bytes;
	return tell(j, i, CAIRN_PULL_DONE, l->fetched, l->saved);
}

/* What was broken on its way may be whole the second time. */
static int fetch_layer(void *arg, unsigned int worker, size_t at)
{
	struct job *j = (struct job *)arg;
	size_t i = j->order[at];
	struct cairn_error *err = &j->errors[i];
	int r = fetch_once(j, i, err);

	(void)worker;
	if (r == -EILSEQ && !atomic_load(&j->stop))
		r = fetch_once(j, i, err);
	if (r < 0) {
		error_prepend(err, "layer %zu, %.19s", i, j->image->manifest->parts[i].digest);
		atomic_store(&j->stop, true);
		return r;
	}
	return 0;
}

/* --- what is to be done ---------------------------------------------------------------------- */

/* A blob that was kept before stays with every image that has it. */
static void known_blob(struct job *j, size_t i)
{
	struct cairn_store *store = j->options->store;
	struct cairn_digest id;
	char name[OCI_DIGEST_MAX + 16];

	snprintf(name, sizeof(name), STORE_BLOB_PREFIX "%s", j->image->manifest->parts[i].digest);
	if (store_entry(store, STORE_STREAMS, name, &id, NULL) == 0 &&
	    store_use_stream(store, &id, NULL) == 0)
		j->pull->layers[i].blob = id;
}

static int load_known(struct job *j, size_t i, struct cairn_error *err)
{
	struct pull_layer *l = &j->pull->layers[i];
	int fd cleanup_fd = -1, r;

	known_blob(j, i);
	if (j->options->keep_blobs && !l->blob.alg)
		return 0;
	fd = known_layer_open(j->known, j->image->config->diff_ids[i], &l->stream, err);
	if (fd == -ENOENT && j->options->partial == CAIRN_PARTIAL_TABLE &&
	    !j->options->keep_blobs && toc_key_of(&j->image->manifest->parts[i], l->toc)) {
		fd = known_table_open(j->known, l->toc, &l->stream);
		if (fd < 0)
			l->toc[0] = '\0';
	}
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = layer_load(fd, j->options->profile, &l->tree, &l->stats, err);
	if (r < 0)
		return r;
	l->known = true;
	return tell(j, i, CAIRN_PULL_KNOWN, 0, 0);
}

static void sort_order(struct job *j)
{
	const struct oci_descriptor *parts = j->image->manifest->parts;

	/* A few dozen at most. */
	for (size_t i = 1; i < j->nr_order; i++) {
		size_t layer = j->order[i], k = i;

		for (; k && parts[j->order[k - 1]].size < parts[layer].size; k--)
			j->order[k] = j->order[k - 1];
		j->order[k] = layer;
	}
}

/* Whether two layers are one. What a table may vouch for is not known by the diff_id that the config claims. */
static bool is_same(const struct job *j, size_t a, size_t b)
{
	const struct oci_descriptor *parts = j->image->manifest->parts;
	const char *const *diff_ids = j->image->config->diff_ids;
	char keys[2][TOC_KEY_MAX] = {"", ""};

	if (j->options->partial == CAIRN_PARTIAL_TABLE) {
		(void)toc_key_of(&parts[a], keys[0]);
		(void)toc_key_of(&parts[b], keys[1]);
	}
	return !strcmp(diff_ids[a], diff_ids[b]) && !strcmp(keys[0], keys[1]);
}

static int plan(struct job *j, struct cairn_error *err)
{
	struct toc_place place;

	for (size_t i = 0; i < j->pull->nr_layers; i++) {
		struct pull_layer *l = &j->pull->layers[i];
		const struct oci_descriptor *d = &j->image->manifest->parts[i];
		int r = 0;

		if (oci_kind_of(d->media_type) != OCI_KIND_LAYER)
			return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
					 "layer %zu: of type '%.100s'", i, d->media_type);
		if (toc_place_of(d, &place, err) < 0) {
			error_prepend(err, "layer %zu", i);
			return -EINVAL;
		}
		for (l->same_as = 0; l->same_as < i; l->same_as++) {
			if (is_same(j, l->same_as, i))
				break;
		}
		j->told[i].size = d->size;
		if (l->same_as == i && j->options->store && !j->options->again)
			r = load_known(j, i, err);
		if (r < 0) {
			error_prepend(err, "layer %zu", i);
			return r;
		}
		if (l->same_as == i && !l->tree)
			j->order[j->nr_order++] = i;
	}
	sort_order(j);
	return 0;
}

/* Compressed layers are no larger than what they become. */
static int check_space(const struct job *j, struct cairn_error *err)
{
	struct cairn_store *store = j->options->store;
	uint64_t needed = 0, there;
	struct statvfs st;

	if (!store || fstatvfs(store->dirfd, &st) < 0)
		return 0;
	for (size_t i = 0; i < j->nr_order; i++)
		needed += j->image->manifest->parts[j->order[i]].size;
	there = (uint64_t)st.f_bavail * st.f_frsize;
	if (needed <= there)
		return 0;
	return error_set(err, -ENOSPC, CAIRN_ERROR_SYSTEM,
			 "the layers to be fetched have %llu MiB, compressed; %s has room for %llu",
			 (unsigned long long)(needed >> 20), store->path,
			 (unsigned long long)(there >> 20));
}

const char *pull_layer_key(const struct pull *p, size_t i)
{
	const struct pull_layer *l = &p->layers[p->layers[i].same_as];

	return *l->toc ? l->toc : p->image->config->diff_ids[i];
}

/* --- names ----------------------------------------------------------------------------------- */

/* Of all layers that were read now, whatever became of the others. */
static int name_layers(struct job *j, struct cairn_error *err)
{
	struct cairn_store *store = j->options->store;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < j->nr_order; i++)
		any |= j->pull->layers[j->order[i]].tree != NULL;
	if (!store || !any)
		return 0;
	for (size_t i = 0; i < j->nr_order && r == 0; i++) {
		const struct pull_layer *l = &j->pull->layers[j->order[i]];
		const char *key = pull_layer_key(j->pull, j->order[i]);
		char name[LAYER_NAME_MAX];

		if (!l->tree)
			continue;
		layer_stream_name(key, name);
		r = names_batch_entry(j->options->names, STORE_STREAMS, name, &l->stream, err);
		if (r == 0 && l->blob.alg) {
			snprintf(name, sizeof(name), STORE_BLOB_PREFIX "%s",
				 j->image->manifest->parts[j->order[i]].digest);
			r = names_batch_entry(j->options->names, STORE_STREAMS, name, &l->blob,
					      err);
		}
		if (r == 0)
			known_layers_add(j->known, key, &l->stream);
	}
	known_layers_save(j->known);
	return r;
}

/* --- all ------------------------------------------------------------------------------------- */

/* The error of the first layer that failed by itself. */
static int first_error(const struct job *j, int r, struct cairn_error *err)
{
	for (size_t i = 0; i < j->pull->nr_layers; i++) {
		if (j->errors[i].code < 0 && j->errors[i].code != -ECANCELED) {
			if (err)
				*err = j->errors[i];
			return j->errors[i].code;
		}
	}
	return error_errno(err, r, "pull");
}

/* Whether contents of the store can take the place of some that would be fetched, or of some that will be. */
static int open_contents(struct job *j, struct cairn_error *err)
{
	struct cairn_store *store = j->options->store;
	struct toc_place place;
	enum toc_kind kind;

	if (!store)
		return 0;
	for (size_t i = 0; i < j->nr_order; i++) {
		if (use_table(j, j->order[i], &place, &kind, NULL) == 1)
			return contents_open(store, &j->contents, err);
	}
	return 0;
}

static int run(struct job *j, struct cairn_error *err)
{
	struct cairn_error naming = {0};
	int r = plan(j, err), named;

	if (r == 0)
		r = check_space(j, err);
	if (r == 0)
		r = open_contents(j, err);
	if (r < 0)
		return r;
	r = parallel_for(MIN(MAX(j->options->jobs, 1u), LAYERS_AT_ONCE), j->nr_order, fetch_layer,
			 j);
	if (r < 0)
		r = first_error(j, r, err);
	named = name_layers(j, &naming);
	if (j->contents)
		contents_save(j->contents);
	if (r == 0 && named < 0) {
		if (err)
			*err = naming;
		r = named;
	}
	return r;
}

int pull_layers(const struct oci_image *image, const struct pull_options *options, struct pull *ret,
		struct cairn_error *err)
{
	size_t nr = image->manifest->nr_parts;
	struct pull pull = {.image = image, .nr_layers = nr};
	struct job j = {.image = image,
			.options = options,
			.pull = &pull,
			.lock = PTHREAD_MUTEX_INITIALIZER};
	int r = -ENOMEM;

	pull.layers = (struct pull_layer *)calloc(nr + 1, sizeof(*pull.layers));
	j.order = (size_t *)calloc(nr + 1, sizeof(*j.order));
	j.errors = (struct cairn_error *)calloc(nr + 1, sizeof(*j.errors));
	j.told = (struct cairn_pull_layer *)calloc(nr + 1, sizeof(*j.told));
	if (!pull.layers || !j.order || !j.errors || !j.told)
		error_errno(err, r, "pull");
	else if (options->store)
		r = known_layers_open(options->store, &j.known, err);
	else
		r = 0;
	if (r == 0)
		r = run(&j, err);
	known_layers_free(j.known);
	contents_close(j.contents);
	free(j.order);
	free(j.errors);
	free(j.told);
	if (r < 0) {
		pull_fini(&pull);
		return r;
	}
	*ret = pull;
	return 0;
}

void pull_fini(struct pull *p)
{
	for (size_t i = 0; p->layers && i < p->nr_layers; i++)
		tree_free(p->layers[i].tree);
	free(p->layers);
	p->layers = NULL;
}
