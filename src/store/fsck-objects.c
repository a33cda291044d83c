/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Reading every object.
 *
 * A thread takes directories, one after the other, and reads small objects one behind the other into a
 * buffer, of which all are hashed together; large ones go through in pieces.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/hex.h"
#include "base/parallel.h"
#include "digest/verity.h"
#include "store/fsck-internal.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "sys/pending.h"
#include "sys/verity.h"
#include "tree/tree.h"

#define LIST_BUFFER 65536
#define SMALL       ((size_t)128 << 10) /* bytes of an object; larger ones by themselves */
#define PIECE       ((size_t)128 << 10) /* of these */
#define WAITING     256                 /* objects that are hashed together, if there is room */

/* Between two reports of a thread. */
#define REPORT_FILES 64
#define REPORT_BYTES (1u << 20)

#define CHANGES "it changes while it is read"

#define CURSOR         "scrub"
#define CURSOR_SECONDS 2 /* between notes of where we are */

/* --- listing --------------------------------------------------------------------------------- */

struct listing {
	struct fsck *f;
	uint8_t prefix;
	int r;
};

static int add_object(void *arg, const char *name, size_t len, unsigned char type)
{
	struct listing *l = (struct listing *)arg;
	struct fsck *f = l->f;
	struct fsck_part *p = &f->part[l->prefix];
	char path[512];

	if (len != 2 * f->id_size - 2 || strspn(name, "0123456789abcdef") != len) {
		snprintf(path, sizeof(path), "objects/%02x/%.300s", l->prefix, name);
		return fsck_add(f, CAIRN_DAMAGE_STRAY, NULL, path, "not the name of an object");
	}
	if (type != DT_REG && type != DT_UNKNOWN) {
		snprintf(path, sizeof(path), "objects/%02x/%.300s", l->prefix, name);
		return fsck_add(f, CAIRN_DAMAGE_STRAY, NULL, path, "not a regular file");
	}
	if (p->nr == p->size) {
		uint32_t size = p->size ? 2 * p->size : 64;
		uint8_t *more = (uint8_t *)reallocarray(p->ids, size, f->id_size);

		if (!more)
			return -ENOMEM;
		p->ids = more;
		p->size = size;
	}
	p->ids[p->nr * f->id_size] = l->prefix;
	if (hex_get(name, p->ids + p->nr * f->id_size + 1, f->id_size - 1) < 0)
		return -EINVAL;
	p->nr++;
	return 0;
}

static int by_bytes(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(const size_t *)size);
}

static int list_part(void *arg, unsigned int worker, size_t i)
{
	struct fsck *f = (struct fsck *)arg;
	struct listing l = {.f = f, .prefix = (uint8_t)i};
	cleanup_free void *buffer = malloc(LIST_BUFFER);
	cleanup_fd int fd = store_open_part(f->store, (unsigned int)i);
	int r;

	(void)worker;
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0; /* list_top() tells what it is */
	if (fd < 0)
		return fd;
	r = buffer ? dir_list(fd, buffer, LIST_BUFFER, add_object, &l) : -ENOMEM;
	if (f->part[i].nr)
		qsort_r(f->part[i].ids, f->part[i].nr, f->id_size, by_bytes, &f->id_size);
	return r;
}

/* What lies beside the directories of objects. */
static int list_top(void *arg, const char *name, size_t len, unsigned char type)
{
	struct fsck *f = (struct fsck *)arg;
	const bool prefix = len == 2 && strspn(name, "0123456789abcdef") == 2;
	char path[300];

	snprintf(path, sizeof(path), "objects/%.256s", name);
	if (!strncmp(name, ".tmp-object-", 12))
		return fsck_add(f, CAIRN_DAMAGE_LEFTOVER, NULL, path,
				"an object that was not finished");
	if (!prefix && !f->store->bare)
		return fsck_add(f, CAIRN_DAMAGE_STRAY, NULL, path, "not a directory of objects");
	if (prefix && type != DT_DIR && type != DT_UNKNOWN)
		return fsck_add(f, CAIRN_DAMAGE_STRAY, NULL, path, "not a directory");
	return 0;
}

int fsck_list(struct fsck *f)
{
	cleanup_free void *buffer = malloc(LIST_BUFFER);
	int r;

	if (f->store->objects < 0)
		return 0;
	(void)lseek(f->store->objects, 0, SEEK_SET);
	r = buffer ? dir_list(f->store->objects, buffer, LIST_BUFFER, list_top, f) : -ENOMEM;
	if (!r)
		r = parallel_for(f->jobs, FSCK_PARTS, list_part, f);
	for (unsigned int i = 0; i < FSCK_PARTS; i++)
		f->total_files += f->part[i].nr;
	f->result->objects = f->total_files;
	return r < 0 ? error_errno(f->err, r, "list %s", f->store->objects_path) : 0;
}

bool fsck_has(const struct fsck *f, const uint8_t *id)
{
	const struct fsck_part *p = &f->part[id[0]];
	uint32_t low = 0, high = p->nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int c = memcmp(p->ids + middle * f->id_size, id, f->id_size);

		if (!c)
			return true;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* --- reading --------------------------------------------------------------------------------- */

struct worker {
	struct fsck *f;
	struct verity_batch *batch;
	struct verity verity;
	uint8_t *buffer;
	size_t size, used;
	unsigned int nr;
	unsigned int files; /* not yet reported, as are these */
	uint64_t bytes;
	bool no_atime_refused;
	struct waiting {
		struct cairn_digest want;
		bool unsealed; /* it has no fs-verity and must */
	} waiting[WAITING];
	struct cairn_digest got[WAITING];
};

static void worker_fini(struct worker *w)
{
	if (!w)
		return;
	verity_batch_free(w->batch);
	verity_fini(&w->verity);
	free(w->buffer);
	free(w);
}

static struct worker *worker_new(struct fsck *f)
{
	struct worker *w = (struct worker *)calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->f = f;
	w->size = io_batch_size();
	w->buffer = (uint8_t *)io_buffer(w->size);
	if (!w->buffer || verity_batch_new(CAIRN_ALG_BIT(f->store->alg), &w->batch) < 0 ||
	    verity_init(&w->verity, CAIRN_ALG_BIT(f->store->alg)) < 0) {
		worker_fini(w);
		return NULL;
	}
	return w;
}

static int bad(struct fsck *f, const struct cairn_digest *id, const char *text)
{
	return fsck_add(f, CAIRN_DAMAGE_OBJECT, id, NULL, "%s", text);
}

/* That it has no fs-verity is all that is wrong with it. */
static int unsealed(struct fsck *f, const struct cairn_digest *id)
{
	return fsck_add(f, CAIRN_DAMAGE_VERITY, id, NULL,
			"has no fs-verity, which all have in this store");
}

static int compare(struct fsck *f, const struct waiting *wt, const struct cairn_digest *got)
{
	if (memcmp(wt->want.bytes, got->bytes, f->id_size))
		return bad(f, &wt->want, "its content does not have its digest");
	return wt->unsealed ? unsealed(f, &wt->want) : 0;
}

static int flush(struct worker *w)
{
	int r = 0;

	verity_batch_flush(w->batch);
	for (unsigned int i = 0; i < w->nr && !r; i++)
		r = compare(w->f, &w->waiting[i], &w->got[i]);
	w->nr = 0;
	w->used = 0;
	return r;
}

/* Tells how far we are. */
static int report(struct worker *w)
{
	struct fsck *f = w->f;
	const struct cairn_fsck_options *o = f->options;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	f->files += w->files;
	f->bytes += w->bytes;
	w->files = 0;
	w->bytes = 0;
	if (o->progress && o->progress(o->progress_arg, f->files, f->bytes, f->total_files, 0))
		r = -ECANCELED;
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int read_large(struct worker *w, int fd, const struct waiting *wt, size_t size)
{
	struct cairn_digest got[VERITY_ALGS_MAX];
	size_t done = 0;
	int r = flush(w);

	while (!r) {
		const size_t want = MIN(size - done, PIECE);
		ssize_t n = pread_full(fd, w->buffer, want, (off_t)done);

		if (n != (ssize_t)want) {
			(void)verity_final(&w->verity, got);
			return bad(w->f, &wt->want, n < 0 ? strerror((int)-n) : CHANGES);
		}
		done += want;
		w->bytes += want;
		if (done == size) {
			(void)verity_finish(&w->verity, w->buffer, want, got);
			return compare(w->f, wt, &got[0]);
		}
		verity_update(&w->verity, w->buffer, want);
		if (w->bytes >= REPORT_BYTES)
			r = report(w);
	}
	(void)verity_final(&w->verity, got);
	return r;
}

static int read_small(struct worker *w, int fd, const struct waiting *wt, size_t size)
{
	ssize_t n;
	int r;

	if (w->nr == WAITING || w->used + size > w->size) {
		r = flush(w);
		if (r < 0)
			return r;
	}
	n = pread_full(fd, w->buffer + w->used, size, 0);
	if (n < 0)
		return bad(w->f, &wt->want, strerror((int)-n));
	if ((size_t)n != size)
		return bad(w->f, &wt->want, CHANGES);
	w->waiting[w->nr] = *wt;
	verity_batch_add(w->batch, w->buffer + w->used, size, &w->got[w->nr]);
	w->nr++;
	w->used = MIN(ROUND_UP(w->used + size, (size_t)IO_ALIGN), w->size);
	w->bytes += size;
	return 0;
}

/* fs-verity, right where it is @on. *@ret: it is not on, and must be. Returns 0 or a negative errno. */
static int check_verity(struct fsck *f, int fd, bool on, const struct cairn_digest *id, bool *ret)
{
	struct cairn_digest measured;
	int r = on ? verity_measure(fd, &measured) : -ENODATA;

	*ret = r == -ENODATA && f->store->secure;
	if (!r && memcmp(measured.bytes, id->bytes, f->id_size))
		return bad(f, id, "its fs-verity digest is another one");
	return r == -EINVAL ? bad(f, id, "its fs-verity has other parameters") : 0;
}

static int read_object(struct worker *w, int dirfd, const struct cairn_digest *id)
{
	struct fsck *f = w->f;
	struct waiting wt = {.want = *id};
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;
	struct statx st;
	int r;

	w->files++;
	object_path(path, id->bytes, f->id_size);
	fd = open_quietly(dirfd, path + 3, &w->no_atime_refused);
	if (fd == -ENOENT)
		return 0; /* collected meanwhile */
	if (fd < 0)
		return bad(f, id, strerror(-fd));
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &st) < 0)
		return bad(f, id, strerror(errno));
	if (!S_ISREG(st.stx_mode))
		return bad(f, id, "not a regular file");
	r = check_verity(f, fd, st.stx_attributes & STATX_ATTR_VERITY, id, &wt.unsealed);
	if (r < 0)
		return r;
	if (f->options->flags & CAIRN_FSCK_METADATA_ONLY)
		return wt.unsealed ? unsealed(f, id) : 0;
	return st.stx_size > SMALL ? read_large(w, fd, &wt, (size_t)st.stx_size)
				   : read_small(w, fd, &wt, (size_t)st.stx_size);
}

static void digest_at(const struct fsck *f, unsigned int part, uint32_t i, struct cairn_digest *ret)
{
	*ret = (struct cairn_digest){.alg = f->store->alg};
	memcpy(ret->bytes, f->part[part].ids + (size_t)i * f->id_size, f->id_size);
}

struct reading {
	struct fsck *f;
	struct worker **workers;
	struct fsck_entries *images;
	uint8_t order[FSCK_PARTS];     /* of the parts */
	size_t starts[FSCK_PARTS + 1]; /* images->by_id[starts[i]..starts[i + 1]) are in part i */
};

static int by_id(const void *a, const void *b)
{
	const struct fsck_entry *x = *(const struct fsck_entry *const *)a;
	const struct fsck_entry *y = *(const struct fsck_entry *const *)b;

	return memcmp(x->id.bytes, y->id.bytes, sizeof(x->id.bytes));
}

/* Where the images are among the objects. To check one takes a while, so parts with images come first. */
static int place_images(struct reading *rd)
{
	struct fsck_entries *l = rd->images;
	size_t nr = 0, first = 0;

	l->by_id = (struct fsck_entry **)calloc(l->nr + 1, sizeof(struct fsck_entry *));
	if (!l->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < l->nr; i++)
		l->by_id[i] = &l->entry[i];
	qsort(l->by_id, l->nr, sizeof(struct fsck_entry *), by_id);
	for (unsigned int i = 0; i < FSCK_PARTS; i++) {
		rd->starts[i] = nr;
		while (nr < l->nr && l->by_id[nr]->id.bytes[0] == i)
			nr++;
		if (nr > rd->starts[i])
			rd->order[first++] = (uint8_t)i;
	}
	rd->starts[FSCK_PARTS] = nr;
	for (unsigned int i = 0; i < FSCK_PARTS; i++)
		if (rd->starts[i + 1] == rd->starts[i])
			rd->order[first++] = (uint8_t)i;
	return 0;
}

/* Checks the image @e, whose object has just been read. */
static int check_now(struct worker *w, struct fsck_entries *images, struct fsck_entry *e)
{
	int r = flush(w);

	return r ? r : fsck_check_image(images, e);
}

static int read_part(void *arg, unsigned int worker, size_t i)
{
	const struct reading *rd = (const struct reading *)arg;
	const unsigned int part = rd->order[i];
	size_t image = rd->starts[part];
	struct worker *w = rd->workers[worker];
	struct fsck *f = rd->f;
	cleanup_fd int fd = -1;
	int r = 0;

	if (!f->part[part].nr)
		return 0;
	fd = store_open_part(f->store, part);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	for (uint32_t k = 0; k < f->part[part].nr && !r; k++) {
		struct cairn_digest id;

		digest_at(f, part, k, &id);
		r = read_object(w, fd, &id);
		for (; !r && image < rd->starts[part + 1]; image++) {
			struct fsck_entry *e = rd->images->by_id[image];
			int c = memcmp(e->id.bytes, id.bytes, f->id_size);
			if (c > 0)
				break;
			if (!c)
				r = check_now(w, rd->images, e);
		}
		if (!r && (w->files >= REPORT_FILES || w->bytes >= REPORT_BYTES))
			r = report(w);
	}
	return r;
}

/* What a thread has left. */
static int finish(struct worker *w)
{
	int r = flush(w);

	return r ? r : report(w);
}

int fsck_read(struct fsck *f, struct fsck_entries *images)
{
	const unsigned int jobs = MAX(f->jobs, 1u);
	struct reading rd = {.f = f, .images = images};
	int r = place_images(&rd);

	rd.workers = (struct worker **)calloc(jobs, sizeof(struct worker *));
	for (unsigned int i = 0; rd.workers && i < jobs && !r; i++) {
		rd.workers[i] = worker_new(f);
		r = rd.workers[i] ? 0 : -ENOMEM;
	}
	if (rd.workers && !r)
		r = parallel_for(jobs, FSCK_PARTS, read_part, &rd);
	for (unsigned int i = 0; rd.workers && i < jobs && !r; i++)
		r = finish(rd.workers[i]);
	for (unsigned int i = 0; rd.workers && i < jobs; i++)
		worker_fini(rd.workers[i]);
	if (!rd.workers)
		r = -ENOMEM;
	free(rd.workers);
	f->result->bytes = f->bytes;
	return r < 0 ? error_errno(f->err, r, "read %s", f->store->objects_path) : 0;
}

/* --- scrubbing ------------------------------------------------------------------------------- */

static void note_cursor(const struct fsck *f, const struct cairn_digest *id)
{
	cleanup_fd int dirfd = store_own_dir(f->store, NULL, 0755);
	struct pending p cleanup_pending = PENDING_INIT;
	char hex[CAIRN_DIGEST_HEX_MAX];

	if (dirfd < 0)
		return;
	if (!id) {
		(void)unlinkat(dirfd, CURSOR, 0);
		return;
	}
	if (pending_open(dirfd, ".tmp-scrub-", 0644, &p) < 0)
		return;
	cairn_digest_to_hex(id, hex);
	if (!write_all(p.fd, hex, strlen(hex)))
		(void)pending_replace(&p, CURSOR);
}

/* Where the last scrub stopped; without one the beginning. */
static void read_cursor(const struct fsck *f, struct cairn_digest *ret)
{
	cleanup_fd int dirfd = store_own_dir(f->store, NULL, 0);
	char hex[CAIRN_DIGEST_HEX_MAX] = "";
	cleanup_fd int fd = -1;
	struct cairn_digest id;

	*ret = (struct cairn_digest){.alg = f->store->alg};
	fd = dirfd < 0 ? -1 : open_beneath(dirfd, CURSOR, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && read_full(fd, hex, sizeof(hex) - 1) > 0 &&
	    !cairn_digest_from_hex(hex, &id) && id.alg == (uint32_t)f->store->alg)
		*ret = id;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Sleeps until so many bytes may have been read; not for long at a time, for the user may cancel. */
static int keep_rate(struct worker *w, double start)
{
	const struct fsck *f = w->f;
	const struct timespec pause = {.tv_nsec = 20000000};
	int r = 0;

	while (f->options->rate && !r &&
	       (double)f->bytes / (double)f->options->rate > now() - start + 0.01) {
		(void)nanosleep(&pause, NULL);
		r = report(w);
	}
	return r;
}

int fsck_scrub(struct fsck *f)
{
	struct worker *w = worker_new(f);
	struct cairn_digest from, id = {0};
	const double start = now();
	double noted = start;
	int r = w ? 0 : -ENOMEM;

	read_cursor(f, &from);
	f->result->objects = 0;
	for (unsigned int i = from.bytes[0]; i < FSCK_PARTS && !r; i++) {
		cleanup_fd int fd = f->part[i].nr ? store_open_part(f->store, i) : -1;

		for (uint32_t k = 0; fd >= 0 && k < f->part[i].nr && !r; k++) {
			digest_at(f, i, k, &id);
			if (memcmp(id.bytes, from.bytes, f->id_size) < 0)
				continue;
			r = read_object(w, fd, &id);
			if (!r)
				r = report(w);
			f->result->objects++;
			if (!r)
				r = keep_rate(w, start);
			if (!r && now() - noted > CURSOR_SECONDS) {
				r = flush(w);
				note_cursor(f, &id);
				noted = now();
			}
		}
	}
	if (w && (!r || r == -ECANCELED)) {
		int failed = flush(w);

		r = failed ? failed : r;
	}
	if (r == -ECANCELED)
		note_cursor(f, &id);
	else if (!r)
		note_cursor(f, NULL);
	worker_fini(w);
	f->result->bytes = f->bytes;
	f->result->complete = !r;
	if (r == -ECANCELED)
		f->cancelled = true;
	return r < 0 && r != -ECANCELED ? error_errno(f->err, r, "read %s", f->store->objects_path)
					: 0;
}
