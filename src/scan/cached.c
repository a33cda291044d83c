/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What a scan takes from the cache, and what it notes for the next.
 *
 * An entry counts if the inode has the size, mtime and ctime that it had, on a file system where that
 * proves that it is unchanged, and if the sink still has the object.
 */
#include <errno.h>

#include "scan/cache-internal.h"

/* The clock's tick is 1 to 10 ms; some file systems keep whole seconds, or two. */
#define TICK_NS       20000000
#define WHOLE_SECONDS 3

bool cache_settled(const struct timespec *ctime, const struct timespec *when)
{
	int64_t seconds = when->tv_sec - ctime->tv_sec;

	if (!ctime->tv_nsec)
		return seconds >= WHOLE_SECONDS;
	return seconds > 1 ||
	       (seconds >= 0 && seconds * 1000000000 + when->tv_nsec - ctime->tv_nsec > TICK_NS);
}

/* --- file systems ---------------------------------------------------------------------------- */

/* Looks for @p among the file systems of the loaded cache. */
static void recognise(const struct scan_cache *c, struct cache_place *p)
{
	p->old = -1;
	for (uint32_t i = 0; i < c->nr_old_places && !p->same_mount; i++) {
		const uint8_t *old = c->old_places + (size_t)i * CACHE_PLACE;

		if (get_le32(old) != p->id.type || get_le64(old + 8) != p->id.identity)
			continue;
		p->same_mount = c->same_boot && p->id.mount && get_le64(old + 16) == p->id.mount;
		if (p->same_mount || p->id.lasting)
			p->old = (int)i;
	}
}

void cache_enter(struct worker *w, dev_t dev, int fd)
{
	struct scan_cache *c = w->scan->cache;
	struct cache_place *p;
	unsigned int i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < c->nr_places && c->places[i].dev != dev; i++)
		;
	p = i < CACHE_PLACES_MAX ? &c->places[i] : NULL;
	if (p && i == c->nr_places) {
		*p = (struct cache_place){.dev = dev};
		p->usable = place_identify(fd, &p->id);
		recognise(c, p);
		c->nr_places++;
	}
	pthread_mutex_unlock(&c->lock);
	w->place = p && p->usable ? p : NULL;
}

/* --- looking up ------------------------------------------------------------------------------ */

static bool same_time(const struct timespec *ts, const uint8_t *sec, const uint8_t *nsec)
{
	return (uint64_t)ts->tv_sec == get_le64(sec) && (uint64_t)ts->tv_nsec == get_le32(nsec);
}

/* Whether the sink has the content @digests for sure. */
static bool is_present(struct worker *w, const uint8_t *digests, uint64_t size)
{
	const struct scan_sink *sink = w->scan->sink;
	struct scan_cache *c = w->scan->cache;
	struct cairn_digest digest = {.alg = (uint8_t)sink->alg};
	_Atomic uint8_t *state;
	struct timespec ts;

	memcpy(digest.bytes, digests + (w->scan->sink_slot ? 32 : 0), cairn_digest_size(sink->alg));
	state = &c->stamp_state[digest.bytes[0]];
	if (*state == STAMP_UNKNOWN) {
		const uint8_t *stamp = c->stamps + (size_t)digest.bytes[0] * CACHE_STAMP;
		bool same = c->nr_stamps && get_le32(stamp + 12) &&
			    !sink->stamp(sink->store, digest.bytes[0], &ts) &&
			    same_time(&ts, stamp, stamp + 8);

		*state = same ? STAMP_SAME : STAMP_OTHER;
	}
	if (*state == STAMP_SAME)
		return true;
	if (sink->has(sink->store, &digest, size, NULL) != 1)
		return false;
	atomic_fetch_add_explicit(&w->scan->hits, 1, memory_order_relaxed);
	return true;
}

/* The digest for the sink of the used entry @i, if it was taken because nothing had come or gone beside it;
 * else NULL. */
static const uint8_t *taken_on_trust(const struct scan *scan, uint32_t i)
{
	const struct scan_cache *c = scan->cache;
	const uint8_t *e = cache_entry(c, i);
	const uint8_t *digest = c->bytes + get_le64(e + 48) + (scan->sink_slot ? 32 : 0);

	return c->used[i] && e[42] == CACHE_DIGESTS && c->stamp_state[digest[0]] == STAMP_SAME
		       ? digest
		       : NULL;
}

static int keep_trusted(const struct scan *scan, struct cairn_error *err)
{
	const struct scan_cache *c = scan->cache;
	cleanup_free uint64_t *keys = (uint64_t *)malloc((c->nr_entries + 1) * sizeof(*keys));
	size_t nr = 0;

	if (!keys)
		return error_errno(err, -ENOMEM, "read %s", scan->path);
	for (uint32_t i = 0; i < c->nr_entries; i++) {
		const uint8_t *digest = taken_on_trust(scan, i);

		if (digest)
			memcpy(&keys[nr++], digest, sizeof(*keys));
	}
	return nr ? scan->sink->keep(scan->sink->store, keys, nr, err) : 0;
}

/* Looks for the content itself, as nothing else tells any more. */
static int look_again(const struct scan *scan, uint32_t i, const uint8_t *bytes,
		      struct cairn_error *err)
{
	const struct scan_sink *sink = scan->sink;
	struct cairn_digest digest = {.alg = (uint8_t)sink->alg};
	int r;

	memcpy(digest.bytes, bytes, cairn_digest_size(sink->alg));
	r = sink->has(sink->store, &digest, get_le64(cache_entry(scan->cache, i) + 8), err);
	return r < 0 ? r : r ? 0 : -ESTALE;
}

int cache_confirm(const struct scan *scan, struct cairn_error *err)
{
	struct scan_cache *c = scan->cache;
	bool same[CACHE_STAMPS];
	struct timespec ts;
	int r = keep_trusted(scan, err);

	for (unsigned int i = 0; !r && i < CACHE_STAMPS; i++) {
		const uint8_t *stamp = c->stamps + (size_t)i * CACHE_STAMP;

		same[i] = c->stamp_state[i] == STAMP_SAME &&
			  !scan->sink->stamp(scan->sink->store, (uint8_t)i, &ts) &&
			  same_time(&ts, stamp, stamp + 8);
	}
	for (uint32_t i = 0; !r && i < c->nr_entries; i++) {
		const uint8_t *digest = taken_on_trust(scan, i);

		if (digest && !same[digest[0]])
			r = look_again(scan, i, digest, err);
	}
	return r;
}

static enum cache_what what_of(mode_t mode, uint64_t size)
{
	if (S_ISLNK(mode))
		return CACHE_BYTES;
	if (!S_ISREG(mode) || !size)
		return CACHE_NOTHING;
	return size <= CAIRN_INLINE_DEFAULT ? CACHE_BYTES : CACHE_DIGESTS;
}

/* The entry that tells what the file @st is; -1: none. */
static int64_t look_up(struct worker *w, const struct stat *st)
{
	const struct scan_cache *c = w->scan->cache;
	const uint8_t *e;
	int64_t i;

	if (!w->place || w->place->old < 0 || w->place->dev != st->st_dev)
		return -1;
	i = cache_find(c, (unsigned int)w->place->old, st->st_ino);
	if (i < 0)
		return -1;
	e = cache_entry(c, (uint32_t)i);
	if ((uint64_t)st->st_size != get_le64(e + 8) || !same_time(&st->st_ctim, e + 24, e + 36) ||
	    !same_time(&st->st_mtim, e + 16, e + 32) ||
	    what_of(st->st_mode, (uint64_t)st->st_size) != (enum cache_what)e[42])
		return -1;
	/* Whole seconds are also what tools that make file systems write, not the kernel. */
	if (!w->place->same_mount && !st->st_ctim.tv_nsec)
		return -1;
	return i;
}

static const uint8_t *bytes_of(const struct scan_cache *c, const uint8_t *e)
{
	return c->bytes + get_le64(e + 48);
}

static bool is_usable(struct worker *w, const uint8_t *e, mode_t mode)
{
	const uint8_t *bytes = bytes_of(w->scan->cache, e);

	if (S_ISLNK(mode))
		return !memchr(bytes, '\0', get_le32(e + 56));
	return e[42] != CACHE_DIGESTS || !w->scan->sink || is_present(w, bytes, get_le64(e + 8));
}

/* --- taking ---------------------------------------------------------------------------------- */

/* The xattrs of an entry, made once for each list and worker. Returns 1; 0: they are not right; or a
 * negative errno that ends the scan. */
static int take_xattrs(struct worker *w, const uint8_t *e, const struct xattr_list **ret)
{
	struct scan_cache *c = w->scan->cache;
	uint32_t list = get_le32(e + 44);
	cleanup_free struct xattr_input *in = NULL;
	size_t nr;

	*ret = NULL;
	if (!list)
		return 1;
	if (!w->lists)
		w->lists = (const struct xattr_list **)calloc(c->nr_lists, sizeof(*w->lists));
	if (!w->lists)
		return scan_out_of_memory(w);
	if (!w->lists[list - 1]) {
		in = (struct xattr_input *)malloc(cache_list_nr(c, list - 1) * sizeof(*in));
		if (!in)
			return scan_out_of_memory(w);
		nr = cache_list_pairs(c, list - 1, in);
		if (tree_xattrs(w->shard, in, nr, &w->lists[list - 1]) < 0)
			return 0;
	}
	*ret = w->lists[list - 1];
	return 1;
}

static int take_content(struct worker *w, struct node *n, const uint8_t *e)
{
	const uint8_t *bytes = bytes_of(w->scan->cache, e);
	size_t len = get_le32(e + 56);

	if (S_ISLNK(n->mode)) {
		n->symlink.target = arena_dup(&w->shard->arena, bytes, len);
		return n->symlink.target ? 0 : scan_out_of_memory(w);
	}
	if (e[42] == CACHE_BYTES) {
		n->inl.content = (const uint8_t *)arena_dup(&w->shard->arena, bytes, len);
		n->flags |= NODE_INLINE;
		return n->inl.content ? 0 : scan_out_of_memory(w);
	}
	return e[42] == CACHE_DIGESTS ? content_set_digests(w, n, bytes) : 0;
}

int cached_xattrs(struct worker *w, struct node *n, const struct stat *st)
{
	struct scan_cache *c = w->scan->cache;
	int64_t i = w->scan->verify_cache ? -1 : look_up(w, st);
	int r;

	if (i < 0)
		return 0;
	r = take_xattrs(w, cache_entry(c, (uint32_t)i), &n->xattrs);
	if (r > 0)
		c->used[i] = 1;
	return r;
}

int cached_entry(struct worker *w, struct node *n, const struct stat *st)
{
	struct scan_cache *c = w->scan->cache;
	int64_t i = w->scan->verify_cache ? -1 : look_up(w, st);
	const struct xattr_list *xattrs;
	const uint8_t *e;
	int r;

	if (i < 0)
		return 0;
	e = cache_entry(c, (uint32_t)i);
	if (!is_usable(w, e, st->st_mode))
		return 0;
	r = take_xattrs(w, e, &xattrs);
	if (r <= 0)
		return r;
	r = claim_name(w, n, st);
	if (r)
		return r;
	node_set_facts(w, n, st);
	n->xattrs = xattrs;
	c->used[i] = 1;
	if (S_ISREG(st->st_mode)) {
		w->files++;
		w->cached++;
	}
	r = take_content(w, n, e);
	return r < 0 ? r : 1;
}

/* --- noting ---------------------------------------------------------------------------------- */

int cache_note(struct worker *w, struct node *n, const struct stat *st)
{
	int64_t known;

	if (!w->place || w->place->dev != st->st_dev || !cache_settled(&st->st_ctim, &w->since))
		return 0;
	if (w->nr_records == w->max_records) {
		size_t max = MAX(2 * w->max_records, (size_t)1024);
		struct cache_record *records =
			(struct cache_record *)realloc(w->records, max * sizeof(*records));

		if (!records)
			return scan_out_of_memory(w);
		w->records = records;
		w->max_records = max;
	}
	known = w->scan->verify_cache ? look_up(w, st) : -1;
	w->records[w->nr_records++] = (struct cache_record){
		.node = n,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
		.place = (uint16_t)(w->place - w->scan->cache->places),
		.known = (uint32_t)(known + 1),
	};
	return 0;
}

/* --- proving --------------------------------------------------------------------------------- */

static bool same_xattrs(const struct scan_cache *c, const uint8_t *e, const struct xattr_list *l)
{
	uint32_t list = get_le32(e + 44);
	cleanup_free struct xattr_input *in = NULL;
	size_t nr;

	if (!list || !l)
		return !list && !l;
	if (cache_list_nr(c, list - 1) != l->nr)
		return false;
	in = (struct xattr_input *)malloc(l->nr * sizeof(*in));
	nr = in ? cache_list_pairs(c, list - 1, in) : 0;
	for (size_t i = 0; i < nr; i++)
		if (compare_bytes(in[i].name, in[i].name_len, l->xattr[i]->name,
				  l->xattr[i]->name_len) ||
		    compare_bytes(in[i].value, in[i].value_len, l->xattr[i]->value,
				  l->xattr[i]->value_len))
			return false;
	return nr == l->nr;
}

static bool same_content(const struct scan_cache *c, const uint8_t *e, const struct node *n)
{
	const void *bytes;

	switch (e[42]) {
	case CACHE_NOTHING:
		return true;
	case CACHE_DIGESTS:
		bytes = n->file.digest;
		break;
	default:
		bytes = S_ISLNK(n->mode) ? (const void *)n->symlink.target
					 : (const void *)n->inl.content;
	}
	return !memcmp(bytes, bytes_of(c, e), get_le32(e + 56));
}

const struct node *cache_refuted(const struct scan_cache *c)
{
	const struct node *first = NULL;

	for (size_t i = 0; i < c->nr_records; i++) {
		const struct cache_record *rec = &c->records[i];
		const struct node *n = node_inode(rec->node);
		const uint8_t *e;

		if (!rec->known)
			continue;
		e = cache_entry(c, rec->known - 1);
		if (same_content(c, e, n) && same_xattrs(c, e, n->xattrs))
			continue;
		if (!first || node_precedes(n, first))
			first = n;
	}
	return first;
}
