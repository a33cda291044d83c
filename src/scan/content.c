/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The bytes of regular files: read once, hashed, and stored from what was hashed.
 *
 *	to 64 bytes	kept in the tree
 *	to SMALL_MAX	wait in one buffer until it is full, then all are hashed side by side
 *	larger		piece by piece. Whether the sink has it is known only at the end, and a tree
 *			that is stored again has mostly old files, a new tree mostly new ones: so
 *			what the files before were decides whether the pieces are written at once,
 *			in vain if that was wrong, or only hashed, and read again if it was wrong.
 *			To HOLD_MAX they are not written at once but kept until the digest is known
 *
 * Of a file above SMALL_MAX that has fs-verity the kernel knows the digest, and enforces it; it is read
 * only if the sink lacks it.
 *
 * Where the sink can share blocks with the source, a file is cloned first and the clone is read and
 * hashed: hashing the source would prove nothing about a clone made before or after it.
 */
#include <errno.h>

#include "scan/scan-internal.h"
#include "sys/copy.h"
#include "sys/io.h"
#include "sys/verity.h"

#define HOLD_MAX  (4u << 20)   /* bytes; each worker keeps as much memory */
#define PIECE     (128u << 10) /* bytes; stays in the processor's cache between read and hash */
#define CLONE_MIN (64u << 10)  /* bytes; below, writing is cheaper than sharing */

/* What a large file turned out to be. */
struct content {
	struct node *node;
	int fd;
	const struct stat *st;
	struct cairn_digest digests[VERITY_ALGS_MAX];
	bool clone;   /* by sharing blocks */
	bool again;   /* read before, and counted */
	size_t ahead; /* bytes that are in the buffer already */
};

static int changed(struct worker *w, const struct node *n)
{
	return scan_fail(w, n, -EAGAIN, CAIRN_ERROR_SYSTEM, "changed while it was read");
}

static int write_failed(struct worker *w, const struct node *n, int code)
{
	struct cairn_error err;

	(void)error_errno(&err, code, "copy to the store");
	return scan_abort(w, n, &err);
}

static int sink_failed(struct worker *w, const struct node *n, struct cairn_error *err)
{
	(void)error_prepend(err, "copy to the store");
	return scan_abort(w, n, err);
}

/* Whether the file is still what it was when it was opened: 1; else 0, and that is recorded. */
static int still(struct worker *w, const struct node *n, int fd, const struct stat *st)
{
	struct stat now;

	if (fstat(fd, &now) < 0) {
		(void)scan_fail_errno(w, n, -errno, "stat");
		return 0;
	}
	if (!same_state(st, &now)) {
		(void)changed(w, n);
		return 0;
	}
	return 1;
}

int content_set_digests(struct worker *w, struct node *n, const uint8_t *digests)
{
	uint8_t *p = (uint8_t *)arena_alloc_aligned(&w->shard->arena, w->scan->digests_size, 1);

	if (!p)
		return scan_out_of_memory(w);
	memcpy(p, digests, w->scan->digests_size);
	n->file.digest = p;
	n->flags |= NODE_OBJECT_PATH;
	if (w->scan->algs & CAIRN_ALG_BIT(CAIRN_SHA256))
		n->flags |= NODE_SHA256;
	if (w->scan->algs & CAIRN_ALG_BIT(CAIRN_SHA512))
		n->flags |= NODE_SHA512;
	return 0;
}

static int set_digests(struct worker *w, struct node *n, const struct cairn_digest *digests)
{
	uint8_t all[VERITY_ALGS_MAX * sizeof(digests->bytes)];
	uint8_t *p = all;

	for (unsigned int i = 0; i < w->scan->nr_algs; i++) {
		size_t size = cairn_digest_size((enum cairn_alg)digests[i].alg);

		memcpy(p, digests[i].bytes, size);
		p += size;
	}
	return content_set_digests(w, n, all);
}

static void count_object(struct worker *w, bool new, bool cloned, uint64_t size)
{
	struct scan *scan = w->scan;

	if (!new) {
		atomic_fetch_add_explicit(&scan->hits, 1, memory_order_relaxed);
		return;
	}
	atomic_fetch_add_explicit(&scan->new_objects, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&scan->new_bytes, size, memory_order_relaxed);
	if (cloned)
		atomic_fetch_add_explicit(&scan->reflinked, 1, memory_order_relaxed);
}

static int put(struct worker *w, struct node *n, const struct cairn_digest *digests,
	       const uint8_t *data)
{
	const struct scan_sink *sink = w->scan->sink;
	struct cairn_error err;
	int r;

	r = sink->put(sink->store, &digests[w->scan->sink_slot], data, (size_t)n->size, &err);
	if (r < 0)
		return sink_failed(w, n, &err);
	count_object(w, r, false, n->size);
	return 0;
}

/* --- small files ----------------------------------------------------------------------------- */

/* Tells the sink which contents come next. */
static int announce(struct worker *w, const struct small_file *f, unsigned int nr)
{
	const struct scan_sink *sink = w->scan->sink;
	uint64_t keys[BATCH_FILES];
	struct cairn_error err;

	for (unsigned int i = 0; i < nr; i++)
		memcpy(&keys[i], f[i].digests[w->scan->sink_slot].bytes, sizeof(*keys));
	return sink->keep(sink->store, keys, nr, &err) < 0 ? sink_failed(w, NULL, &err) : 0;
}

int content_flush(struct worker *w)
{
	unsigned int nr = w->nr_small;
	int r;

	for (unsigned int i = 0; i < nr; i++) {
		struct small_file *f = &w->small[i];

		verity_batch_add(w->batch, f->data, (size_t)f->node->size, f->digests);
	}
	verity_batch_flush(w->batch);
	w->nr_small = 0;
	w->used = 0;
	r = nr && w->scan->sink ? announce(w, w->small, nr) : 0;
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < nr; i++) {
		struct small_file *f = &w->small[i];

		r = set_digests(w, f->node, f->digests);
		if (!r && w->scan->sink)
			r = put(w, f->node, f->digests, f->data);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Takes the content of @size bytes that is next in the buffer. */
static int keep(struct worker *w, struct node *n, size_t size)
{
	const uint8_t *data = w->buffer + w->used;
	struct small_file *f;

	w->bytes += size;
	if (size <= CAIRN_INLINE_DEFAULT) {
		n->inl.content = (const uint8_t *)arena_dup(&w->shard->arena, data, size);
		n->flags |= NODE_INLINE;
		return n->inl.content ? 0 : scan_out_of_memory(w);
	}
	f = &w->small[w->nr_small++];
	f->node = n;
	f->data = data;
	/* Contents begin on cache lines, see io_buffer(). */
	w->used = MIN(ROUND_UP(w->used + size, (size_t)IO_ALIGN), w->buffer_size);
	return 0;
}

static int make_room(struct worker *w)
{
	if (w->nr_small < BATCH_FILES && w->buffer_size - w->used >= SMALL_MAX)
		return 0;
	return content_flush(w);
}

static int read_small(struct worker *w, struct node *n, int fd, const struct stat *st)
{
	size_t size = (size_t)st->st_size;
	ssize_t got;
	int r;

	r = make_room(w);
	if (r < 0)
		return r;
	got = pread_full(fd, w->buffer + w->used, size, 0);
	if (got < 0)
		return scan_fail_errno(w, n, (int)got, "read");
	if ((size_t)got != size)
		return changed(w, n);
	return still(w, n, fd, st) ? keep(w, n, size) : 0;
}

int content_read_ahead(struct worker *w, int fd, size_t *ret)
{
	ssize_t got;
	int r;

	r = make_room(w);
	if (r < 0)
		return r;
	got = read(fd, w->buffer + w->used, SMALL_MAX);
	/* An error will be met again. */
	*ret = got > 0 ? (size_t)got : 0;
	return 0;
}

/* --- large files ----------------------------------------------------------------------------- */

static int make_large_space(struct worker *w)
{
	if (w->piece)
		return 0;
	if (verity_init(&w->stream, w->scan->algs) < 0)
		return scan_out_of_memory(w);
	w->piece = (uint8_t *)io_buffer(PIECE);
	return w->piece ? 0 : scan_out_of_memory(w);
}

/* Whether @size bytes at @offset could be read; if not, that is recorded. */
static bool read_at(struct worker *w, struct content *c, int from, uint8_t *data, size_t size,
		    uint64_t offset)
{
	ssize_t got = pread_full(from, data, size, (off_t)offset);

	if (got == (ssize_t)size)
		return true;
	if (got < 0)
		(void)scan_fail_errno(w, c->node, (int)got, "read");
	else
		(void)changed(w, c->node);
	return false;
}

/* The next *@size bytes, or fewer, at @offset; NULL: failed, which is recorded. */
static const uint8_t *read_piece(struct worker *w, struct content *c, int from, uint64_t offset,
				 size_t *size)
{
	if (c->ahead) {
		*size = c->ahead;
		c->ahead = 0;
		return w->buffer + w->used;
	}
	return read_at(w, c, from, w->piece, *size, offset) ? w->piece : NULL;
}

/* The piece at @done of the content; behind the last one its digests are known. */
static void hash_piece(struct worker *w, struct content *c, const uint8_t *data, uint64_t done,
		       size_t size)
{
	if (done + size == (uint64_t)c->st->st_size)
		(void)verity_finish(&w->stream, data, size, c->digests);
	else
		verity_update(&w->stream, data, size);
}

/* Makes ready for another content in the middle of one. */
static void forget_pieces(struct worker *w)
{
	struct cairn_digest digests[VERITY_ALGS_MAX];

	(void)verity_final(&w->stream, digests);
}

static int stream_pieces(struct worker *w, struct content *c, int from, struct pending *p)
{
	uint64_t size = (uint64_t)c->st->st_size;
	bool sparse = (uint64_t)c->st->st_blocks * 512 < size;
	uint64_t written = 0;
	uint64_t done = 0;
	int r;

	while (done < size) {
		size_t want = (size_t)MIN(size - done, (uint64_t)PIECE);
		const uint8_t *data = read_piece(w, c, from, done, &want);

		if (!data)
			return 0;
		hash_piece(w, c, data, done, want);
		if (p) {
			r = copy_append(p->fd, data, want, sparse, &written);
			if (r < 0)
				return write_failed(w, c->node, r);
		}
		done += want;
		w->bytes += c->again ? 0 : want;
		r = scan_progress(w);
		if (r < 0)
			return r;
	}
	if (p && sparse) {
		r = copy_end(p->fd, written);
		if (r < 0)
			return write_failed(w, c->node, r);
	}
	return still(w, c->node, c->fd, c->st);
}

/* Hashes the file open at @from, and (@p) writes it there. Returns 1, with its digests in @c; 0 if it
 * failed by itself, which is recorded; or a negative errno. */
static int stream(struct worker *w, struct content *c, int from, struct pending *p)
{
	int r = stream_pieces(w, c, from, p);

	if (r <= 0)
		forget_pieces(w);
	return r;
}

/* Whether the sink could share the blocks of files like this one. Found out by trying, once for each
 * file system that the worker comes to. */
static bool try_clone(struct worker *w, int fd, const struct stat *st)
{
	const struct scan_sink *sink = w->scan->sink;
	cleanup_pending struct pending p = PENDING_INIT;
	struct cairn_error err;
	int r;

	if (sink->begin(sink->store, &p, &err) < 0)
		return false;
	r = copy_clone(fd, p.fd);
	w->clone_known = r != -EINVAL;
	w->clone_dev = st->st_dev;
	w->can_clone = !r;
	return w->can_clone;
}

static bool may_clone(struct worker *w, int fd, const struct stat *st)
{
	if (!w->scan->sink || st->st_size < CLONE_MIN)
		return false;
	if (w->clone_known && w->clone_dev == st->st_dev)
		return w->can_clone;
	return try_clone(w, fd, st);
}

/* Hashes and stores at once. Returns as stream(). */
static int copy_large(struct worker *w, struct content *c)
{
	const struct scan_sink *sink = w->scan->sink;
	cleanup_pending struct pending p = PENDING_INIT;
	struct cairn_error err;
	int r;

	r = sink->begin(sink->store, &p, &err);
	if (r < 0)
		return sink_failed(w, c->node, &err);
	if (c->clone) {
		r = copy_clone(c->fd, p.fd);
		if (r < 0 && r != -EOPNOTSUPP && r != -EINVAL)
			return write_failed(w, c->node, r);
		c->clone = !r;
	}

	if (c->clone)
		c->ahead = 0;
	r = c->clone ? stream(w, c, p.fd, NULL) : stream(w, c, c->fd, &p);
	if (r <= 0)
		return r;
	r = sink->commit(sink->store, &p, &c->digests[w->scan->sink_slot], (uint64_t)c->st->st_size,
			 &err);
	if (r < 0)
		return sink_failed(w, c->node, &err);
	count_object(w, r, c->clone, (uint64_t)c->st->st_size);
	return 1;
}

/* From memory: small enough to keep until its digest is known. */
static int hold(struct worker *w, struct content *c)
{
	const struct scan_sink *sink = w->scan->sink;
	struct cairn_error err;
	uint64_t key;
	size_t size = (size_t)c->st->st_size;
	size_t done = 0;
	int r;

	if (!w->whole)
		w->whole = (uint8_t *)io_buffer(HOLD_MAX);
	if (!w->whole)
		return scan_out_of_memory(w);

	if (c->ahead) {
		done = c->ahead;
		memcpy(w->whole, w->buffer + w->used, done);
		hash_piece(w, c, w->whole, 0, done);
	}
	while (done < size) {
		size_t want = MIN(size - done, (size_t)PIECE);

		if (!read_at(w, c, c->fd, w->whole + done, want, done)) {
			forget_pieces(w);
			return 0;
		}
		hash_piece(w, c, w->whole + done, done, want);
		done += want;
	}
	if (!still(w, c->node, c->fd, c->st))
		return 0;
	w->bytes += size;
	memcpy(&key, c->digests[w->scan->sink_slot].bytes, sizeof(key));
	if (sink->keep(sink->store, &key, 1, &err) < 0)
		return sink_failed(w, c->node, &err);
	r = put(w, c->node, c->digests, w->whole);
	return r < 0 ? r : 1;
}

static bool probably_new(const struct scan *scan)
{
	unsigned long long hits = atomic_load_explicit(&scan->hits, memory_order_relaxed);
	unsigned long long new = atomic_load_explicit(&scan->new_objects, memory_order_relaxed);

	return hits + new ? new > hits : scan->sink->empty;
}

/* Hashes first; a second read only where the sink turns out to lack it. */
static int hash_then_copy(struct worker *w, struct content *c)
{
	const struct scan_sink *sink = w->scan->sink;
	struct cairn_digest first[VERITY_ALGS_MAX];
	struct cairn_error err;
	int r;

	r = stream(w, c, c->fd, NULL);
	if (r <= 0)
		return r;
	r = sink->has(sink->store, &c->digests[w->scan->sink_slot], (uint64_t)c->st->st_size, &err);
	if (r < 0)
		return sink_failed(w, c->node, &err);
	if (r) {
		count_object(w, false, false, 0);
		return 1;
	}

	memcpy(first, c->digests, sizeof(first));
	c->again = true;
	r = copy_large(w, c);
	if (r <= 0)
		return r;
	return memcmp(first, c->digests, w->scan->nr_algs * sizeof(*first)) ? changed(w, c->node)
									    : 1;
}

/* Whether the kernel enforces a digest of the file, and nobody needs its bytes. Returns as stream(). */
static int ask_kernel(struct worker *w, struct content *c)
{
	const struct scan *scan = w->scan;
	const struct scan_sink *sink = scan->sink;
	struct cairn_error err;
	int r;

	if (scan->nr_algs > 1 ||
	    scan->options->flags & (CAIRN_SCAN_NO_CACHE | CAIRN_SCAN_VERIFY_CACHE) ||
	    verity_measure(c->fd, c->digests) < 0 || CAIRN_ALG_BIT(c->digests[0].alg) != scan->algs)
		return 0;
	if (!sink)
		return 1;
	r = sink->has(sink->store, c->digests, (uint64_t)c->st->st_size, &err);
	if (r < 0)
		return sink_failed(w, c->node, &err);
	if (r)
		count_object(w, false, false, 0);
	return r;
}

static int read_large(struct worker *w, struct node *n, int fd, const struct stat *st, bool clone,
		      size_t ahead)
{
	struct content c = {.node = n, .fd = fd, .st = st, .clone = clone, .ahead = ahead};
	int r;

	r = ask_kernel(w, &c);
	if (r)
		return r < 0 ? r : set_digests(w, n, c.digests);
	r = make_large_space(w);
	if (r < 0)
		return r;
	if (!w->scan->sink)
		r = stream(w, &c, fd, NULL);
	else if (!probably_new(w->scan))
		r = hash_then_copy(w, &c);
	else if (st->st_size <= HOLD_MAX && !clone)
		r = hold(w, &c);
	else
		r = copy_large(w, &c);
	return r <= 0 ? r : set_digests(w, n, c.digests);
}

/* --- all ------------------------------------------------------------------------------------- */

/*
 * What was read before the facts were asked for belongs to them if nothing has changed the file since
 * then, and whatever does sets its ctime to the time of the change. The clock is the one that the file
 * system uses; some keep whole seconds only.
 */
static bool not_changed_since(const struct timespec *since, const struct stat *st)
{
	return st->st_ctim.tv_sec < since->tv_sec - 2;
}

int content_read(struct worker *w, struct node *n, int fd, const struct stat *st, size_t ahead)
{
	size_t size = (size_t)st->st_size;
	bool clone;

	if (!size)
		return 0;
	/* Else what was read is of no use: the file was longer, or shorter, then. */
	if (ahead != MIN(size, (size_t)SMALL_MAX) || !not_changed_since(&w->since, st))
		ahead = 0;
	if (size > SMALL_MAX)
		return read_large(w, n, fd, st, may_clone(w, fd, st), ahead);
	/* An old content is found to be so soonest together with others. */
	clone = may_clone(w, fd, st) && probably_new(w->scan);
	if (clone)
		return read_large(w, n, fd, st, true, 0);
	return ahead ? keep(w, n, ahead) : read_small(w, n, fd, st);
}

int content_init(struct worker *w)
{
	int r = verity_batch_new(w->scan->algs, &w->batch);

	if (r < 0)
		return r;
	w->small = (struct small_file *)malloc(BATCH_FILES * sizeof(*w->small));
	w->buffer_size = io_batch_size();
	w->buffer = (uint8_t *)io_buffer(w->buffer_size);
	return w->small && w->buffer ? 0 : -ENOMEM;
}

void content_fini(struct worker *w)
{
	verity_batch_free(w->batch);
	verity_fini(&w->stream);
	free(w->small);
	free(w->buffer);
	free(w->piece);
	free(w->whole);
}
