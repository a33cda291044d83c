/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Removing what is not needed, a part of the store at a time (docs/design/gc.md).
 *
 *	who is there	flock LOCK_EX | LOCK_NB; else /proc/locks: only processes with leases?
 *	what is new	references are read again
 *	close the part, read the notes
 *	remove		unlinkat; objects, where others may come meanwhile, by renameat into STORE/cairn/trash
 *	who came	/proc/locks and references again: then back it goes, or the entry is made again
 *	open the part
 *
 * Killed in between, it leaves the part closed, which the next collection opens (writers do not wait for a
 * dead one), and objects in the trash, which it puts back.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/hex.h"
#include "store/gc-internal.h"
#include "store/lock.h"
#include "sys/dir.h"

#define TRASH       "trash"
#define TRASH_MODE  0700
#define LIST_BUFFER 65536
#define PAUSE_NS    20000000
#define GAP_SECONDS 0.1 /* at most, in which nobody else gets the lock */

/* --- who is there ---------------------------------------------------------------------------- */

static int blocked(const struct gc_place *p, const struct lock_holders *h)
{
	const struct gc *g = p->g;

	if (h->nr)
		return error_set(g->err, -EBUSY, CAIRN_ERROR_SYSTEM,
				 "%s: %s has it locked, nothing was removed", p->store->path,
				 h->text);
	return error_set(g->err, -EBUSY, CAIRN_ERROR_SYSTEM,
			 "%s: it is locked, and who has it cannot be seen from here; nothing was "
			 "removed",
			 p->store->path);
}

/* Whether all who are at work there have leases; else who has not. We have the lock, shared. */
static bool is_among_us(const struct gc_place *p, struct lock_holders *h)
{
	lock_look(p->store, p->lock, p->lease->dirfd, h);
	return h->known && !h->nr;
}

/* Whether only those with leases are at work there, or nobody. */
static bool try_lock(struct gc_place *p, struct lock_holders *h)
{
	/* Nobody can write there. */
	if (!p->lease)
		return true;
	p->exclusive = !flock(p->lock, LOCK_EX | LOCK_NB);
	if (p->exclusive || (errno != EWOULDBLOCK && errno != EINTR))
		return true; /* no locks here, nobody who respects them */
	if (flock(p->lock, LOCK_SH | LOCK_NB) < 0) {
		*h = (struct lock_holders){.known = true, .nr = 1, .text = "a collector"};
		return false;
	}
	return is_among_us(p, h);
}

static void unlock_all(const struct gc *g)
{
	for (unsigned int i = 0; i < g->nr_places; i++)
		if (g->places[i].lease)
			(void)flock(g->places[i].lock, LOCK_UN);
}

/* Returns the place that others have locked, or NULL. */
static const struct gc_place *try_all(struct gc *g, struct lock_holders *h)
{
	for (unsigned int i = 0; i < g->nr_places; i++)
		if (!try_lock(&g->places[i], h))
			return &g->places[i];
	return NULL;
}

static int read_notes(struct gc_place *p, uint8_t part)
{
	struct cairn_error *err = p->g->err;
	int r = p->lease ? lease_close_part(p->lease, part) : 0;

	p->closed = p->lease && !r;
	if (p->closed)
		r = lease_read_notes(p->lease, &p->notes);
	if (r == -EUCLEAN)
		return error_set(err, -EBUSY, CAIRN_ERROR_SYSTEM,
				 "%s/cairn/leases: somebody's lease is not as ours are, nothing "
				 "was removed",
				 p->store->path);
	return r < 0 ? error_errno(err, r, "read %s/cairn/leases", p->store->path) : 0;
}

static int enter(struct gc *g, uint8_t part)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const struct gc_place *locked;
	struct lock_holders holders;
	int r;

	while ((locked = try_all(g, &holders)) != NULL) {
		unlock_all(g);
		if (g->waited >= g->options->patience)
			return blocked(locked, &holders);
		(void)nanosleep(&pause, NULL);
		g->waited += PAUSE_NS / 1000000;
	}
	r = gc_mark(g);
	for (unsigned int i = 0; i < g->nr_places && !r; i++)
		r = read_notes(g->closing[i], part);
	return r;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Writers look now and then whether the store is free: without a gap that is longer than that they would meet
 * the lock of one part or the next, and give up before the collection ends. */
static void leave(struct gc *g, uint8_t part)
{
	const struct timespec gap = {.tv_nsec = 2 * LOCK_PAUSE_NS};

	bool exclusive = false;

	for (unsigned int i = 0; i < g->nr_places; i++) {
		struct gc_place *p = &g->places[i];

		/* One that we could not close may be another collector's. */
		if (p->closed)
			lease_open_part(p->lease, part);
		p->closed = false;
		exclusive |= p->exclusive;
	}
	unlock_all(g);
	if (!exclusive || now() - g->last_gap < GAP_SECONDS)
		return;
	(void)nanosleep(&gap, NULL);
	g->last_gap = now();
}

/* --- entries --------------------------------------------------------------------------------- */

bool gc_is_noted(const struct gc *g, uint64_t key)
{
	bool noted = false;

	for (unsigned int i = 0; i < g->nr_places && !noted; i++)
		noted = notes_have(&g->places[i].notes, key);
	return noted;
}

static bool is_needed(const struct gc *g, const uint8_t *digest)
{
	uint64_t key = digest_key(digest);

	return gc_is_live(g, key) || gc_is_noted(g, key);
}

static uint64_t *removed_of(const struct gc *g, unsigned int kind)
{
	return kind == STORE_IMAGES ? &g->result->removed_images : &g->result->removed_streams;
}

/* With all that it leads to: an entry whose object went, when the stranger has gone in between, would be damage. */
static int put_entry_back(struct gc *g, unsigned int kind, const struct gc_entry *e)
{
	int r;

	gc_keep(g, (enum store_kind)kind, e);
	r = store_set_entry(g->store, (enum store_kind)kind, e->name, &e->id, g->err);

	*removed_of(g, kind) -= !r && *removed_of(g, kind);
	return r;
}

/* What strangers may need of the part's entries that were removed. */
struct regret {
	struct gc *g;
	uint8_t part;
};

static int regret_named(void *arg, const struct store_name *name)
{
	const struct regret *rg = (const struct regret *)arg;
	const struct gc_entry *e =
		name->problem ? NULL : gc_find_entry(rg->g->places, name->kind, name->target);

	if (!e || e->id.bytes[0] != rg->part || is_needed(rg->g, e->id.bytes))
		return 0;
	return put_entry_back(rg->g, name->kind, e);
}

/* Whoever came meanwhile may have seen an entry that we then took: he is still there, or has set a
 * reference to it. */
static int regret_entries(struct gc *g, uint8_t part)
{
	struct regret rg = {g, part};
	struct lock_holders others;
	int r = 0;

	if (is_among_us(g->places, &others)) {
		for (unsigned int kind = 0; kind < 2 && !r; kind++)
			r = store_list_refs(g->store, (enum store_kind)kind, regret_named, &rg,
					    g->err);
		return r;
	}
	for (unsigned int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < g->places->entries[kind].nr && !r; i++) {
			const struct gc_entry *e = &g->places->entries[kind].entry[i];

			if (e->id.bytes[0] == part && !is_needed(g, e->id.bytes))
				r = put_entry_back(g, kind, e);
		}
	return r;
}

static int drop_entries_of(struct gc *g, uint8_t part)
{
	for (unsigned int kind = 0; kind < 2; kind++) {
		for (size_t i = 0; i < g->places->entries[kind].nr; i++) {
			const struct gc_entry *e = &g->places->entries[kind].entry[i];
			struct cairn_error err = {0};
			int r;

			if (e->id.bytes[0] != part || is_needed(g, e->id.bytes))
				continue;
			r = store_drop_entry(g->store, (enum store_kind)kind, e->name, &err);
			if (r < 0 && r != -ENOENT) {
				*g->err = err;
				return r;
			}
			*removed_of(g, kind) += !r;
		}
	}
	return 0;
}

static int sweep_entries_of(struct gc *g, uint8_t part)
{
	int r = drop_entries_of(g, part), undone;

	if (g->places->exclusive)
		return r;
	undone = regret_entries(g, part);
	return r ? r : undone;
}

/* The parts that have entries to be removed. */
static int sweep_entries(struct gc *g)
{
	bool some[GC_PARTS] = {false};
	int r = 0;

	for (unsigned int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < g->places->entries[kind].nr; i++)
			some[g->places->entries[kind].entry[i].id.bytes[0]] |=
				!is_needed(g, g->places->entries[kind].entry[i].id.bytes);
	for (unsigned int i = 0; i < GC_PARTS && !r; i++) {
		if (!some[i])
			continue;
		r = enter(g, (uint8_t)i);
		if (!r)
			r = sweep_entries_of(g, (uint8_t)i);
		leave(g, (uint8_t)i);
	}
	return r;
}

/* --- objects --------------------------------------------------------------------------------- */

/* The garbage of one part: names of one length, one behind the other. */
struct garbage {
	struct gc *g;
	uint8_t prefix;
	int fd;          /* objects/xx */
	size_t name_len; /* of the names */
	struct buf names;
};

static void full_name(const struct garbage *gb, const char *name, char *out)
{
	*hex_put(out, &gb->prefix, 1) = '\0';
	memcpy(out + 2, name, gb->name_len + 1);
}

static int add_garbage(void *arg, const char *name, size_t len, unsigned char type)
{
	struct garbage *gb = (struct garbage *)arg;
	uint64_t key = gc_key(gb->g->store, gb->prefix, name, len);

	if (!key || (type != DT_REG && type != DT_UNKNOWN) || !gc_is_listed(gb->g, key) ||
	    gc_is_live(gb->g, key) || gc_is_noted(gb->g, key))
		return 0;
	return buf_put(&gb->names, name, len + 1);
}

static void count_one(const struct garbage *gb, int dirfd, const char *name)
{
	struct cairn_gc_result *res = gb->g->result;
	struct stat st;

	res->removed_objects++;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	res->removed_size += (uint64_t)st.st_size;
	res->removed_bytes += st.st_nlink == 1 ? (uint64_t)st.st_blocks * 512 : 0;
}

static int remove_directly(const struct garbage *gb)
{
	for (const char *name = gb->names.data; name < gb->names.data + gb->names.len;
	     name += gb->name_len + 1) {
		count_one(gb, gb->fd, name);
		if (unlinkat(gb->fd, name, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* Puts an object back, unless it has been made anew, or a collector that began since has done it. */
static int put_back(int trash, const char *trashed, int dirfd, const char *name)
{
	if (linkat(trash, trashed, dirfd, name, 0) < 0 && errno != EEXIST)
		return renameat(trash, trashed, dirfd, name) < 0 && errno != ENOENT ? -errno : 0;
	return unlinkat(trash, trashed, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_by_trash(const struct garbage *gb)
{
	struct gc *g = gb->g;
	char trashed[CAIRN_DIGEST_HEX_MAX];
	struct lock_holders holders;
	bool others;
	int r;

	for (const char *name = gb->names.data; name < gb->names.data + gb->names.len;
	     name += gb->name_len + 1) {
		full_name(gb, name, trashed);
		if (renameat(gb->fd, name, g->trash, trashed) < 0 && errno != ENOENT)
			return -errno;
	}
	/* Whoever came meanwhile may have seen what we took: he is still there, or has set a reference. */
	others = !is_among_us(g->places, &holders);
	r = gc_mark(g);
	for (const char *name = gb->names.data; name < gb->names.data + gb->names.len;
	     name += gb->name_len + 1) {
		int failed = 0;

		full_name(gb, name, trashed);
		if (r < 0 || others ||
		    gc_is_live(g, gc_key(g->store, gb->prefix, name, gb->name_len)))
			failed = put_back(g->trash, trashed, gb->fd, name);
		else {
			count_one(gb, g->trash, trashed);
			failed = unlinkat(g->trash, trashed, 0) < 0 && errno != ENOENT ? -errno : 0;
		}
		if (failed && !r)
			r = failed;
	}
	return r;
}

static int list_garbage(struct garbage *gb)
{
	cleanup_free void *buffer = malloc(LIST_BUFFER);

	return buffer ? dir_list(gb->fd, buffer, LIST_BUFFER, add_garbage, gb) : -ENOMEM;
}

static bool has_garbage(const struct gc_part *p)
{
	for (uint32_t i = 0; i < p->nr; i++)
		if (!(atomic_load_explicit(&p->live[i / 64], memory_order_relaxed) >> i % 64 & 1))
			return true;
	return false;
}

static int sweep_part(struct gc *g, uint8_t part)
{
	struct garbage gb = {.g = g,
			     .prefix = part,
			     .name_len = 2 * cairn_digest_size(g->store->alg) - 2,
			     .names = BUF_INIT(SIZE_MAX / 2)};
	int r;

	gb.fd = store_open_part(g->store, part);
	if (gb.fd < 0)
		return gb.fd == -ENOENT ? 0 : gb.fd;
	r = list_garbage(&gb);
	if (!r && gb.names.len)
		r = g->places->exclusive ? remove_directly(&gb) : remove_by_trash(&gb);
	buf_fini(&gb.names);
	close(gb.fd);
	return r;
}

static int sweep_objects(struct gc *g)
{
	int r = 0;

	for (unsigned int i = 0; i < GC_PARTS && !r; i++) {
		const struct cairn_gc_result *res = g->result;

		if (!has_garbage(&g->part[i]))
			continue;
		r = enter(g, (uint8_t)i);
		if (!r) {
			r = sweep_part(g, (uint8_t)i);
			if (r < 0 && !g->err->code)
				r = error_errno(g->err, r, "remove from %s/%02x",
						g->store->objects_path, i);
		}
		leave(g, (uint8_t)i);
		if (!r && g->options->progress &&
		    g->options->progress(g->options->note_arg, res->removed_objects,
					 res->removed_bytes, 0, 0))
			r = -ECANCELED;
	}
	return r;
}

int gc_count(struct gc *g)
{
	/* What those at work use is no garbage. */
	for (unsigned int i = 0; i < g->nr_places; i++)
		(void)lease_peek(g->places[i].store, &g->places[i].notes);
	g->result->removed_objects = g->result->removed_bytes = g->result->removed_size = 0;
	for (unsigned int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < g->places->entries[kind].nr; i++)
			*removed_of(g, kind) +=
				!is_needed(g, g->places->entries[kind].entry[i].id.bytes);
	for (unsigned int i = 0; i < GC_PARTS; i++) {
		struct garbage gb = {.g = g,
				     .prefix = (uint8_t)i,
				     .name_len = 2 * cairn_digest_size(g->store->alg) - 2,
				     .names = BUF_INIT(SIZE_MAX / 2)};
		int r;

		if (!has_garbage(&g->part[i]))
			continue;
		gb.fd = store_open_part(g->store, i);
		if (gb.fd < 0)
			continue;
		r = list_garbage(&gb);
		for (const char *name = gb.names.data; !r && name < gb.names.data + gb.names.len;
		     name += gb.name_len + 1)
			count_one(&gb, gb.fd, name);
		buf_fini(&gb.names);
		close(gb.fd);
		if (r < 0)
			return error_errno(g->err, r, "list %s", g->store->objects_path);
	}
	return 0;
}

/* --- what the dead have left ----------------------------------------------------------------- */

/* Of a collector that died with objects in the trash. */
static int restore_one(void *arg, const char *name, size_t len, unsigned char type)
{
	struct gc *g = (struct gc *)arg;
	struct cairn_digest id;
	cleanup_fd int dirfd = -1;

	(void)type;
	if (len != 2 * cairn_digest_size(g->store->alg) || cairn_digest_from_hex(name, &id) < 0)
		return 0;
	dirfd = store_open_part(g->store, id.bytes[0]);
	g->restored++;
	return dirfd < 0 ? dirfd : put_back(g->trash, name, dirfd, name + 2);
}

static int restore_trash(struct gc *g)
{
	_Alignas(8) char buffer[8192];
	int r;

	/* A list that changes while it is read may leave something out: again until it is empty. */
	do {
		uint64_t before = g->restored;

		(void)lseek(g->trash, 0, SEEK_SET);
		r = dir_list(g->trash, buffer, sizeof(buffer), restore_one, g);
		if (g->restored == before)
			break;
	} while (!r);
	return r < 0 ? error_errno(g->err, r, "put back what is in %s/cairn/" TRASH, g->store->path)
		     : 0;
}

static int drop_temporary(void *arg, const char *name, size_t len, unsigned char type)
{
	struct gc *g = (struct gc *)arg;

	(void)len;
	if (type == DT_DIR || (strncmp(name, ".tmp-object-", 12) && strncmp(name, ".symlink-", 9) &&
			       strncmp(name, ".tmp-meta-", 10)))
		return 0;
	g->result->leftovers += !unlinkat(g->dropping, name, 0);
	return 0;
}

/* Temporary names are nobody's when nobody is at work. */
static void drop_leftovers(struct gc *g)
{
	_Alignas(8) char buffer[8192];

	if (flock(g->places->lock, LOCK_EX | LOCK_NB) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		g->dropping = i ? g->store->objects : g->store->dirfd;
		if (g->dropping < 0)
			continue;
		(void)lseek(g->dropping, 0, SEEK_SET);
		(void)dir_list(g->dropping, buffer, sizeof(buffer), drop_temporary, g);
	}
	(void)flock(g->places->lock, LOCK_UN);
}

static int begin_place(struct gc_place *p)
{
	struct gc *g = p->g;
	int r;

	p->lock = openat(p->store->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock < 0)
		return error_errno(g->err, -errno, "open %s", p->store->path);
	r = lease_new(p->store, LEASE_COLLECTOR, &p->lease);
	/* A child where nobody can write has no writers. */
	if (r == -EROFS && p != g->places)
		return 0;
	if (r < 0)
		return error_errno(g->err, r, "make a lease in %s/cairn", p->store->path);
	g->result->leftovers += lease_clean(p->lease);
	return 0;
}

static int by_directory(const void *a, const void *b)
{
	const struct gc_place *const *x = (const struct gc_place *const *)a;
	const struct gc_place *const *y = (const struct gc_place *const *)b;

	return memcmp(&(*x)->directory, &(*y)->directory, sizeof((*x)->directory));
}

/* Of two collectors each of which has the other's store as a child both close parts in this order. */
static int order_places(struct gc *g)
{
	g->closing = (struct gc_place **)calloc(g->nr_places, sizeof(*g->closing));
	if (!g->closing)
		return error_errno(g->err, -ENOMEM, "collect in %s", g->store->path);
	for (unsigned int i = 0; i < g->nr_places; i++) {
		struct stat st;

		if (fstat(g->places[i].lock, &st) < 0)
			return error_errno(g->err, -errno, "stat %s", g->places[i].store->path);
		g->places[i].directory[0] = st.st_dev;
		g->places[i].directory[1] = st.st_ino;
		g->closing[i] = &g->places[i];
	}
	qsort(g->closing, g->nr_places, sizeof(*g->closing), by_directory);
	return 0;
}

int gc_begin(struct gc *g)
{
	int r = 0;

	for (unsigned int i = 0; i < g->nr_places && !r; i++)
		r = begin_place(&g->places[i]);
	if (!r)
		r = order_places(g);
	if (r < 0)
		return r;
	g->trash = store_own_dir(g->store, TRASH, TRASH_MODE);
	if (g->trash < 0)
		return error_errno(g->err, g->trash, "open %s/cairn/" TRASH, g->store->path);
	return restore_trash(g);
}

int gc_sweep(struct gc *g)
{
	int r = sweep_entries(g);

	g->swept = true;
	if (!r)
		r = sweep_objects(g);
	if (!r)
		drop_leftovers(g);
	return r;
}

void gc_end(struct gc *g)
{
	for (unsigned int i = 0; i < g->nr_places; i++) {
		struct gc_place *p = &g->places[i];

		if (p->lease)
			g->result->leftovers += lease_clean(p->lease);
		lease_end(p->lease);
		if (p->lock >= 0)
			close(p->lock);
	}
	if (g->trash >= 0)
		close(g->trash);
}
