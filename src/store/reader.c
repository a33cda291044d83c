/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The objects that a reader knows: found by name and digest, opened, forgotten when there are too many.
 *
 * Lock order: an object's lock, then the reader's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "store/reader-internal.h"
#include "store/trees.h"
#include "sys/verity.h"

#define PATH_LEN_MAX 4095

int reader_new(const struct cairn_store *const *stores, size_t nr,
	       const struct reader_options *options, struct reader **ret)
{
	cleanup(reader) struct reader *r = (struct reader *)calloc(1, sizeof(*r));
	struct rlimit limit;

	if (!r)
		return -ENOMEM;
	(void)pthread_mutex_init(&r->lock, NULL);
	r->options = *options;
	if (!r->options.leaves_max)
		r->options.leaves_max = READER_LEAVES_MAX;
	r->stores = (const struct cairn_store **)calloc(nr + 1, sizeof(*r->stores));
	r->has_verity = (bool *)calloc(nr + 1, sizeof(*r->has_verity));
	r->trees = (int *)calloc(nr + 1, sizeof(*r->trees));
	if (!r->stores || !r->has_verity || !r->trees)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const bool keep = options->flags & READER_KEEP_TREES;

		r->trees[i] = options->flags & READER_UNVERIFIED
				      ? -1
				      : trees_open_directory(stores[i], keep);
		r->nr_stores++;
		r->stores[i] = stores[i];
		r->has_verity[i] = stores[i]->objects >= 0 && verity_supported(stores[i]->objects);
	}
	r->small.max = READER_SMALL_MAX;
	r->small.max_charged = UINT64_MAX;
	r->large.max = READER_LARGE_MAX;
	r->large.max_charged = READER_TREES_MAX;
	/* Half of what the process may have is for others. */
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < 4096) {
		r->small.max = MIN(r->small.max, (unsigned int)limit.rlim_cur / 4);
		r->large.max = MIN(r->large.max, (unsigned int)limit.rlim_cur / 8);
	}
	*ret = take_ptr(r);
	return 0;
}

/* --- forgetting -------------------------------------------------------------------------------- */

static void object_free(struct reader_object *o)
{
	if (o->fd >= 0)
		close(o->fd);
	reader_forget_tree(o);
	(void)pthread_mutex_destroy(&o->lock);
	free(o);
}

static void unlink_use(struct reader_object *o)
{
	struct reader_list *l = o->list;

	*(o->newer ? &o->newer->older : &l->newest) = o->older;
	*(o->older ? &o->older->newer : &l->oldest) = o->newer;
	l->nr--;
	l->charged -= o->charged;
}

static void link_newest(struct reader_object *o)
{
	struct reader_list *l = o->list;

	o->newer = NULL;
	o->older = l->newest;
	*(l->newest ? &l->newest->newer : &l->oldest) = o;
	l->newest = o;
	l->nr++;
	l->charged += o->charged;
}

static void remove_object(struct reader *r, struct reader_object *o)
{
	struct reader_object **at = &r->buckets[o->hash % READER_BUCKETS];

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	unlink_use(o);
	object_free(o);
}

/* Those in use are as many as there are threads, and are passed over. */
static void trim(struct reader *r, struct reader_list *l)
{
	struct reader_object *o = l->oldest;

	while (o && (l->nr > l->max || l->charged > l->max_charged)) {
		struct reader_object *newer = o->newer;

		if (!o->refs)
			remove_object(r, o);
		o = newer;
	}
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	while (r->small.oldest)
		remove_object(r, r->small.oldest);
	while (r->large.oldest)
		remove_object(r, r->large.oldest);
	(void)pthread_mutex_destroy(&r->lock);
	for (size_t i = 0; i < r->nr_stores; i++)
		if (r->trees[i] >= 0)
			close(r->trees[i]);
	free(r->trees);
	free(r->stores);
	free(r->has_verity);
	free(r);
}

void reader_charge(struct reader *r, struct reader_object *o)
{
	uint64_t bytes = 0;

	if (o->tree)
		bytes = o->leaves ? o->m.tree_size : o->m.offset[0];
	pthread_mutex_lock(&r->lock);
	o->list->charged += bytes - o->charged;
	o->charged = bytes;
	trim(r, o->list);
	pthread_mutex_unlock(&r->lock);
}

/* --- opening ----------------------------------------------------------------------------------- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Opens it in the first store that has it. Returns the number of the store. */
static int find_file(const struct reader *r, const struct reader_object *o, int *ret_fd,
		     struct cairn_error *err)
{
	int fd = -ENOENT;

	for (size_t i = 0; i < r->nr_stores; i++) {
		fd = store_open_object(r->stores[i], o->path, err);
		if (fd >= 0) {
			*ret_fd = fd;
			return (int)i;
		}
		if (fd != -ENOENT)
			return fd;
	}
	return r->nr_stores ? fd : error_errno(err, fd, "open object %s", o->path);
}

/* What is known of the file that was just opened. */
static int settle_state(const struct reader *r, struct reader_object *o, int store, int fd,
			const struct stat *st, struct cairn_error *err)
{
	struct cairn_digest measured;

	if (!o->known_size) {
		int alg = o->digest.alg ? (int)o->digest.alg : CAIRN_SHA256;
		int k = merkle_init(&o->m, (enum cairn_alg)alg, (uint64_t)st->st_size);

		if (k < 0)
			return error_errno(err, k, "open object %s", o->path);
		o->known_size = true;
	}
	if ((uint64_t)st->st_size != o->m.size)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "object %s: has %lld bytes, expected %llu", o->path,
				 (long long)st->st_size, (unsigned long long)o->m.size);
	if (r->options.flags & READER_UNVERIFIED ||
	    (r->has_verity[store] && !verity_measure(fd, &measured) &&
	     !memcmp(&measured, &o->digest, sizeof(measured))))
		o->state = READER_ENFORCED;
	else if (o->state == READER_ENFORCED || (o->state == READER_BAD && !same_file(st, &o->st)))
		o->state = READER_NEW;
	return 0;
}

static int object_open(const struct reader *r, struct reader_object *o, struct cairn_error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int store, k;

	store = find_file(r, o, &fd, err);
	if (store < 0)
		return store;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "open object %s", o->path);
	k = settle_state(r, o, store, fd, &st, err);
	if (k < 0)
		return k;
	o->st = st;
	o->store = r->stores[store];
	o->trees = r->trees[store];
	o->fd = take_fd(&fd);
	return 0;
}

/* --- the table --------------------------------------------------------------------------------- */

static uint64_t key_hash(const struct reader_key *key, const char *path, uint32_t path_len)
{
	return XXH3_64bits(path, path_len) ^ get_le64(key->digest.bytes);
}

static struct reader_object *find(const struct reader *r, const struct reader_key *key,
				  const char *path, uint32_t path_len, uint64_t hash)
{
	struct reader_object *o = r->buckets[hash % READER_BUCKETS];

	while (o &&
	       (o->hash != hash || o->path_len != path_len || memcmp(o->path, path, path_len) ||
		memcmp(&o->digest, &key->digest, sizeof(o->digest)) ||
		(key->size != UINT64_MAX && o->m.size != key->size)))
		o = o->next;
	return o;
}

static struct reader_object *add(struct reader *r, const struct reader_key *key, const char *path,
				 uint32_t path_len, uint64_t hash)
{
	struct reader_object *o = (struct reader_object *)calloc(1, sizeof(*o) + path_len + 1);
	struct reader_object **bucket = &r->buckets[hash % READER_BUCKETS];

	if (!o)
		return NULL;
	memcpy(o->path, path, path_len);
	o->path_len = path_len;
	o->hash = hash;
	o->digest = key->digest;
	o->fd = o->tree_fd = -1;
	if (key->size != UINT64_MAX) {
		enum cairn_alg alg =
			(enum cairn_alg)(key->digest.alg ? key->digest.alg : CAIRN_SHA256);

		if (merkle_init(&o->m, alg, key->size) < 0) {
			free(o);
			return NULL;
		}
		o->known_size = true;
	}
	(void)pthread_mutex_init(&o->lock, NULL);
	o->list = key->size < READER_LARGE ? &r->small : &r->large;
	o->next = *bucket;
	*bucket = o;
	link_newest(o);
	return o;
}

/* The object in the table, in use. */
static struct reader_object *take(struct reader *r, const struct reader_key *key, const char *path,
				  uint32_t path_len)
{
	uint64_t hash = key_hash(key, path, path_len);
	struct reader_object *o;

	pthread_mutex_lock(&r->lock);
	o = find(r, key, path, path_len, hash);
	if (!o)
		o = add(r, key, path, path_len, hash);
	if (o) {
		o->refs++;
		if (o->list->newest != o) {
			unlink_use(o);
			link_newest(o);
		}
		trim(r, o->list);
	}
	pthread_mutex_unlock(&r->lock);
	return o;
}

/* Whether other threads may be reading from it. */
static bool is_shared(struct reader *r, const struct reader_object *o)
{
	unsigned int refs;

	pthread_mutex_lock(&r->lock);
	refs = o->refs;
	pthread_mutex_unlock(&r->lock);
	return refs > 1;
}

void reader_put(struct reader *r, struct reader_object *o)
{
	pthread_mutex_lock(&r->lock);
	o->refs--;
	pthread_mutex_unlock(&r->lock);
}

void reader_drop(struct reader *r, struct reader_object *o)
{
	pthread_mutex_lock(&r->lock);
	if (!--o->refs)
		remove_object(r, o);
	pthread_mutex_unlock(&r->lock);
}

int reader_get(struct reader *r, const struct reader_key *key, struct reader_object **ret,
	       struct cairn_error *err)
{
	const char *path = key->path;
	uint32_t path_len = key->path_len;
	struct reader_object *o;
	int k = 0;

	while (path_len && *path == '/') {
		path++;
		path_len--;
	}
	if (!path_len || path_len > PATH_LEN_MAX || memchr(path, '\0', path_len))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "the path of an object is not one");
	if (!key->digest.alg && !(r->options.flags & READER_UNVERIFIED))
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "object %.*s: there is no digest to verify it by", (int)path_len,
				 path);

	o = take(r, key, path, path_len);
	if (!o)
		return error_errno(err, -ENOMEM, "open object %.*s", (int)path_len, path);
	pthread_mutex_lock(&o->lock);
	if (o->fd >= 0 && o->stale && !is_shared(r, o)) {
		close(o->fd);
		o->fd = -1;
	}
	if (o->fd < 0) {
		k = object_open(r, o, err);
		o->stale = k < 0;
	}
	if (!k && o->state == READER_BAD)
		k = reader_bad_digest(o, err);
	pthread_mutex_unlock(&o->lock);
	if (k < 0) {
		reader_put(r, o);
		return k;
	}
	*ret = o;
	return 0;
}

int reader_trees(const struct reader *r, size_t store)
{
	return r->trees[store];
}

uint64_t reader_object_size(const struct reader_object *o)
{
	return o->m.size;
}

bool reader_object_enforced(const struct reader_object *o)
{
	return o->state == READER_ENFORCED;
}

int reader_object_fd(const struct reader_object *o)
{
	return o->fd;
}
