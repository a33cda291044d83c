/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What is there, and what of it is needed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "base/parallel.h"
#include "erofs/reader.h"
#include "store/gc-internal.h"
#include "store/needs.h"
#include "store/splitstream.h"
#include "sys/dir.h"
#include "tree/tree.h"

#define LIST_BUFFER 65536

/* --- objects --------------------------------------------------------------------------------- */

struct listing {
	const struct cairn_store *store;
	struct gc_part *part;
	uint8_t prefix;
};

uint64_t gc_key(const struct cairn_store *s, uint8_t prefix, const char *name, size_t len)
{
	uint8_t bytes[8] = {prefix};

	if (len != 2 * cairn_digest_size(s->alg) - 2 || strspn(name, "0123456789abcdef") != len ||
	    hex_get(name, bytes + 1, sizeof(bytes) - 1) < 0)
		return 0;
	return digest_key(bytes);
}

static int list_object(void *arg, const char *name, size_t len, unsigned char type)
{
	struct listing *l = (struct listing *)arg;
	struct gc_part *p = l->part;
	uint64_t key = gc_key(l->store, l->prefix, name, len);

	if (!key || (type != DT_REG && type != DT_UNKNOWN))
		return 0; /* fsck tells it */
	if (p->nr == p->size) {
		uint32_t size = p->size ? 2 * p->size : 64;
		uint64_t *more = (uint64_t *)reallocarray(p->key, size, sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->key = more;
		p->size = size;
	}
	p->key[p->nr++] = key;
	return 0;
}

static int list_part(void *arg, unsigned int worker, size_t i)
{
	struct gc *g = (struct gc *)arg;
	struct gc_part *p = &g->part[i];
	struct listing l = {.store = g->store, .part = p, .prefix = (uint8_t)i};
	cleanup_fd int fd = store_open_part(g->store, (unsigned int)i);
	cleanup_free void *buffer = malloc(LIST_BUFFER);
	int r;

	(void)worker;
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	r = buffer ? dir_list(fd, buffer, LIST_BUFFER, list_object, &l) : -ENOMEM;
	if (r < 0 || !p->nr)
		return r;
	qsort(p->key, p->nr, sizeof(*p->key), compare_u64);
	p->live = (_Atomic uint64_t *)calloc(p->nr / 64 + 1, sizeof(*p->live));
	return p->live ? 0 : -ENOMEM;
}

int gc_list(struct gc *g)
{
	int r = parallel_for(g->jobs, GC_PARTS, list_part, g);

	if (r < 0)
		return error_errno(g->err, r, "list %s", g->store->objects_path);
	for (unsigned int i = 0; i < GC_PARTS; i++)
		g->result->objects += g->part[i].nr;
	return 0;
}

/* The first place whose key is not below @key. */
static uint32_t place_of(const struct gc_part *p, uint64_t key)
{
	uint32_t low = 0, high = p->nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (p->key[middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool gc_is_listed(const struct gc *g, uint64_t key)
{
	const struct gc_part *p = &g->part[key >> 56];
	uint32_t i = place_of(p, key);

	return i < p->nr && p->key[i] == key;
}

bool gc_is_live(const struct gc *g, uint64_t key)
{
	const struct gc_part *p = &g->part[key >> 56];
	uint32_t i = place_of(p, key);

	return i < p->nr && p->key[i] == key &&
	       atomic_load_explicit(&p->live[i / 64], memory_order_relaxed) >> i % 64 & 1;
}

static void mark(const struct gc *g, const uint8_t *digest)
{
	uint64_t key = digest_key(digest);
	const struct gc_part *p = &g->part[key >> 56];

	for (uint32_t i = place_of(p, key); i < p->nr && p->key[i] == key; i++)
		atomic_fetch_or_explicit(&p->live[i / 64], 1ull << i % 64, memory_order_relaxed);
}

/* --- images ---------------------------------------------------------------------------------- */

static int mark_object(void *arg, const uint8_t *digest)
{
	mark((const struct gc *)arg, digest);
	return 0;
}

static int mark_objects_of(const struct gc *g, int fd, struct cairn_error *err)
{
	struct image image;
	struct stat st;
	void *data;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "read the image");
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return error_errno(err, -errno, "read the image");
	r = image_open(&image, data, (uint64_t)st.st_size, err);
	if (!r)
		r = image_needs(&image, cairn_digest_size(g->store->alg), mark_object,
				(void *)(uintptr_t)g, err);
	munmap(data, (size_t)st.st_size);
	return r;
}

/* Errors of images that are read at the same time. */
struct reading {
	struct gc *g;
	struct cairn_error *errors;
};

static int read_image(void *arg, unsigned int worker, size_t i)
{
	const struct reading *rd = (const struct reading *)arg;
	const struct gc *g = rd->g;
	const struct gc_image *im = (const struct gc_image *)(const void *)g->images.data + i;
	struct cairn_error *err = &rd->errors[i];
	cleanup_fd int fd = store_open_image(im->store, &im->id, err);
	char hex[CAIRN_DIGEST_HEX_MAX];
	int r = fd;

	(void)worker;
	if (fd >= 0) {
		r = mark_objects_of(g, fd, err);
		cairn_digest_to_hex(&im->id, hex);
		if (r < 0)
			error_prepend(err, "image %s", hex);
	}
	if (r < 0 && im->store != g->store)
		error_prepend(err, "%s", im->store->path);
	return r;
}

static int read_images(struct gc *g)
{
	size_t nr = g->images.len / sizeof(struct gc_image);
	struct reading rd = {.g = g};
	int r;

	if (!nr)
		return 0;
	rd.errors = (struct cairn_error *)calloc(nr, sizeof(*rd.errors));
	if (!rd.errors)
		return error_errno(g->err, -ENOMEM, "read the images");
	r = parallel_for(g->jobs, nr, read_image, &rd);
	for (size_t i = 0; r < 0 && i < nr; i++) {
		if (!rd.errors[i].code)
			continue;
		if (g->err)
			*g->err = rd.errors[i];
		break;
	}
	free(rd.errors);
	g->images.len = 0;
	return r;
}

/* --- what leads to what ---------------------------------------------------------------------- */

const struct gc_entry *gc_find_entry(const struct gc_place *p, enum store_kind kind,
				     const char *name)
{
	const struct gc_entries *l = &p->entries[kind];
	size_t low = 0, high = l->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = strcmp(l->entry[middle].name, name);

		if (!c)
			return &l->entry[middle];
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int walk_stream(struct gc_place *p, const struct cairn_digest *id);

static int walk_image(struct gc_place *p, const struct cairn_digest *id)
{
	const struct gc_image image = {p->store, *id};
	struct gc *g = p->g;
	int r = keyset_add(&g->walked, digest_key(id->bytes));

	if (r <= 0)
		return r < 0 ? error_errno(g->err, r, "mark") : 0;
	mark(g, id->bytes);
	r = buf_put(&g->images, &image, sizeof(image));
	return r < 0 ? error_errno(g->err, r, "mark") : 0;
}

static int mark_part(void *arg, const struct cairn_digest *id)
{
	mark((const struct gc *)arg, id->bytes);
	return 0;
}

/* A stream may name other streams, and images. */
static int follow(void *arg, const struct cairn_digest *id)
{
	struct gc_place *p = (struct gc_place *)arg;
	uint64_t key = digest_key(id->bytes);

	mark(p->g, id->bytes);
	if (keyset_has(&p->entries[STORE_STREAMS].ids, key))
		return walk_stream(p, id);
	if (keyset_has(&p->entries[STORE_IMAGES].ids, key))
		return walk_image(p, id);
	return 0;
}

static int walk_stream(struct gc_place *p, const struct cairn_digest *id)
{
	struct splitstream *stream cleanup(splitstream) = NULL;
	char hex[CAIRN_DIGEST_HEX_MAX];
	struct gc *g = p->g;
	cleanup_fd int fd = -1;
	int r = keyset_add(&g->walked, digest_key(id->bytes));

	if (r <= 0)
		return r < 0 ? error_errno(g->err, r, "mark") : 0;
	mark(g, id->bytes);
	fd = store_open_image(p->store, id, g->err);
	if (fd < 0)
		return fd;
	r = splitstream_open(fd, g->store->alg, &stream, g->err);
	if (!r)
		r = splitstream_refs(stream, SPLITSTREAM_OBJECTS, mark_part, g, g->err);
	if (r < 0) {
		cairn_digest_to_hex(id, hex);
		error_prepend(g->err, "stream %s", hex);
		return r;
	}
	return splitstream_refs(stream, SPLITSTREAM_STREAMS, follow, p, g->err);
}

/* What is wrong in a child is told by a collection there. */
static bool tells(const struct gc_place *p)
{
	return !p->g->told && p->store == p->g->store;
}

static int add_entry(void *arg, const struct store_name *name)
{
	struct gc_place *p = (struct gc_place *)arg;
	struct gc *g = p->g;
	struct gc_entries *l = &p->entries[name->kind];

	if (name->problem) {
		if (tells(p))
			gc_note(g, "%s", name->problem);
		return 0;
	}
	if (l->nr == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		struct gc_entry *more =
			(struct gc_entry *)reallocarray(l->entry, size, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->entry = more;
		l->size = size;
	}
	l->entry[l->nr] = (struct gc_entry){
		.name = arena_dup(&g->arena, name->name, strlen(name->name)), .id = name->id};
	if (!l->entry[l->nr].name || keyset_add(&l->ids, digest_key(name->id.bytes)) < 0)
		return -ENOMEM;
	l->nr++;
	return 0;
}

static bool is_there(const struct gc_place *p, const struct cairn_digest *id)
{
	char path[OBJECT_PATH_MAX];
	cleanup_fd int fd = -1;

	object_path(path, id->bytes, cairn_digest_size((enum cairn_alg)id->alg));
	fd = store_open_object(p->store, path, NULL);
	return fd != -ENOENT;
}

static int walk_ref(void *arg, const struct store_name *name)
{
	struct gc_place *p = (struct gc_place *)arg;
	struct gc *g = p->g;
	const struct gc_entry *e =
		name->problem ? NULL : gc_find_entry(p, name->kind, name->target);

	if (!e || !is_there(p, &e->id)) {
		if (tells(p)) {
			g->result->dangling++;
			gc_note(g, "%s/refs/%s: dangling: %s", store_kind_name(name->kind),
				name->name,
				name->problem ? name->problem : "what it names is missing");
		}
		return 0;
	}
	g->roots++;
	return name->kind == STORE_IMAGES ? walk_image(p, &e->id) : walk_stream(p, &e->id);
}

/* --- roots ----------------------------------------------------------------------------------- */

/* Returns 1: it is in one of the places, and is kept; 0: in none; or a negative errno. */
static int walk_digest(struct gc *g, const struct cairn_digest *id)
{
	for (unsigned int i = 0; i < g->nr_places; i++) {
		struct gc_place *p = &g->places[i];
		int r;

		if (id->alg != (uint32_t)g->store->alg || !is_there(p, id))
			continue;
		g->roots++;
		r = walk_image(p, id);
		return r < 0 ? r : 1;
	}
	return 0;
}

static int walk_mounted(void *arg, const struct cairn_digest *id)
{
	return MIN(walk_digest((struct gc *)arg, id), 0);
}

static int walk_others(struct gc *g)
{
	const struct cairn_gc_options *o = g->options;
	char hex[CAIRN_DIGEST_HEX_MAX];
	int r = 0;

	for (size_t i = 0; i < o->nr_roots && r >= 0; i++) {
		r = walk_digest(g, &o->roots[i]);
		cairn_digest_to_hex(&o->roots[i], hex);
		if (!r && !g->told)
			gc_note(g, "the root %s is not in the store", hex);
	}
	/* They do not change: once is enough. */
	for (size_t i = 0; i < o->nr_images && r >= 0 && !g->told; i++) {
		r = mark_objects_of(g, o->images[i], g->err);
		g->roots++;
	}
	return r < 0 || !g->mounted ? MIN(r, 0) : g->mounted(walk_mounted, g);
}

static int mark_place(struct gc_place *p)
{
	struct gc *g = p->g;
	int r = 0;

	for (unsigned int kind = 0; kind < 2; kind++) {
		p->entries[kind].nr = 0;
		keyset_fini(&p->entries[kind].ids);
	}
	for (unsigned int kind = 0; kind < 2 && !r; kind++)
		r = store_list_entries(p->store, (enum store_kind)kind, add_entry, p, g->err);
	for (unsigned int kind = 0; kind < 2 && !r; kind++)
		r = store_list_refs(p->store, (enum store_kind)kind, walk_ref, p, g->err);
	if (r < 0 && p->store != g->store)
		error_prepend(g->err, "%s", p->store->path);
	return r;
}

void gc_keep(struct gc *g, enum store_kind kind, const struct gc_entry *e)
{
	const struct cairn_error words = *g->err;

	/* What cannot be read keeps itself. */
	mark(g, e->id.bytes);
	if (!(kind == STORE_IMAGES ? walk_image(g->places, &e->id)
				   : walk_stream(g->places, &e->id)))
		(void)read_images(g);
	*g->err = words;
}

/* An entry that is there after we have removed those that lead nowhere was made meanwhile, or given back by
 * another collector, to somebody who has no lease perhaps: it and what it leads to stay this time. */
static void keep_entries(struct gc *g)
{
	for (unsigned int kind = 0; kind < 2; kind++) {
		const struct gc_entries *l = &g->places->entries[kind];

		for (size_t i = 0; i < l->nr; i++)
			if (!keyset_has(&g->walked, digest_key(l->entry[i].id.bytes)))
				gc_keep(g, (enum store_kind)kind, &l->entry[i]);
	}
}

int gc_mark(struct gc *g)
{
	int r = 0;

	arena_fini(&g->arena);
	arena_init(&g->arena);
	for (unsigned int i = 0; i < g->nr_places && !r; i++)
		r = mark_place(&g->places[i]);
	if (!r)
		r = walk_others(g);
	if (!r)
		r = read_images(g);
	if (!r && g->swept)
		keep_entries(g);
	g->told = true;
	return r;
}
