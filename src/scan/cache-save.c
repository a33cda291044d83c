/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A cache's bytes, from what was used of the old ones and what the scan has noted. */
#include <errno.h>
#include <time.h>
#include <xxhash.h>

#include "base/buf.h"
#include "scan/cache-internal.h"

/* An entry to be written: an old one, or a record. */
struct item {
	uint64_t ino;
	uint32_t index;
	uint16_t place; /* of this scan */
	bool old;
};

/* Lists that were written, by their bytes. */
struct list_table {
	struct buf lists; /* as on disk, but for the count of the pairs */
	uint32_t *slots;  /* list + 1 */
	uint32_t mask, nr;
};

struct output {
	struct scan_cache *c;
	const struct tree *tree;
	struct item *items;
	size_t nr_items;
	struct buf bytes;
	struct buf pairs; /* scratch */
	struct list_table table;
	uint8_t stamps[CACHE_STAMPS * CACHE_STAMP];
};

static void output_fini(struct output *o)
{
	free(o->items);
	free(o->table.slots);
	buf_fini(&o->table.lists);
	buf_fini(&o->bytes);
	buf_fini(&o->pairs);
}

/* --- what to write --------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b)
{
	const struct item *x = (const struct item *)a;
	const struct item *y = (const struct item *)b;

	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return (int)y->old - (int)x->old;
}

static int old_place_to_new(const struct scan_cache *c, unsigned int old)
{
	for (unsigned int i = 0; i < c->nr_places; i++)
		if (c->places[i].usable && c->places[i].old == (int)old)
			return (int)i;
	return -1;
}

/* All entries in order, each inode once. */
static int gather_items(struct output *o)
{
	struct scan_cache *c = o->c;
	size_t nr = 0;

	o->items = (struct item *)malloc((c->nr_entries + c->nr_records + 1) * sizeof(*o->items));
	if (!o->items)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->nr_entries; i++) {
		const uint8_t *e = cache_entry(c, i);
		int place = c->used[i] ? old_place_to_new(c, get_le16(e + 40)) : -1;

		if (place >= 0)
			o->items[nr++] = (struct item){.ino = get_le64(e),
						       .index = i,
						       .place = (uint16_t)place,
						       .old = true};
	}
	for (size_t i = 0; i < c->nr_records; i++)
		o->items[nr++] = (struct item){.ino = c->records[i].ino,
					       .index = (uint32_t)i,
					       .place = c->records[i].place};
	qsort(o->items, nr, sizeof(*o->items), compare_items);
	for (size_t i = 0; i < nr; i++) {
		const struct item *it = &o->items[i];
		const struct item *last = &o->items[o->nr_items - 1];

		if (!o->nr_items || last->place != it->place || last->ino != it->ino)
			o->items[o->nr_items++] = *it;
	}
	return 0;
}

/* Takes stamps; returns whether they are those that were loaded. */
static bool take_stamps(struct output *o, const struct scan_sink *sink)
{
	const struct scan_cache *c = o->c;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	for (unsigned int i = 0; sink && i < CACHE_STAMPS; i++) {
		uint8_t *stamp = o->stamps + (size_t)i * CACHE_STAMP;
		struct timespec ts;

		if (sink->stamp(sink->store, (uint8_t)i, &ts) < 0 || !cache_settled(&ts, &now))
			continue;
		put_le64(stamp, (uint64_t)ts.tv_sec);
		put_le32(stamp + 8, (uint32_t)ts.tv_nsec);
		put_le32(stamp + 12, 1);
	}
	if (!sink || !c->nr_stamps)
		return !sink == !c->nr_stamps;
	return !memcmp(o->stamps, c->stamps, sizeof(o->stamps));
}

/* Whether the loaded bytes say already all that there is to say. */
static bool is_up_to_date(const struct scan_cache *c)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < c->nr_entries; i++)
		used += c->used[i];
	for (unsigned int i = 0; i < c->nr_places; i++)
		if (c->places[i].usable && !c->places[i].same_mount && c->places[i].id.mount)
			return false;
	return c->data && !c->nr_records && used == c->nr_entries;
}

/* --- xattrs ---------------------------------------------------------------------------------- */

static int grow_slots(struct list_table *t, const struct buf *bytes)
{
	uint32_t mask = MAX(2 * t->mask + 1, 63u);
	uint32_t *slots;

	if (t->slots && t->nr < t->mask / 2)
		return 0;
	slots = (uint32_t *)calloc((size_t)mask + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->nr; i++) {
		const char *l = t->lists.data + (size_t)i * CACHE_LIST;
		uint64_t h = XXH3_64bits(bytes->data + get_le64(l), get_le32(l + 8));
		uint32_t at = (uint32_t)h & mask;

		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	return 0;
}

/* Number + 1 of the list whose pairs are in o->pairs, or a negative errno. */
static int64_t put_list(struct output *o, uint32_t nr_pairs)
{
	struct list_table *t = &o->table;
	uint8_t list[CACHE_LIST] = {0};
	uint32_t at;
	int r = grow_slots(t, &o->bytes);

	if (r < 0)
		return r;
	at = (uint32_t)XXH3_64bits(o->pairs.data, o->pairs.len) & t->mask;
	for (; t->slots[at]; at = (at + 1) & t->mask) {
		const char *l = t->lists.data + (size_t)(t->slots[at] - 1) * CACHE_LIST;

		if (get_le32(l + 8) == o->pairs.len &&
		    !memcmp(o->bytes.data + get_le64(l), o->pairs.data, o->pairs.len))
			return t->slots[at];
	}
	put_le64(list, o->bytes.len);
	put_le32(list + 8, (uint32_t)o->pairs.len);
	put_le32(list + 12, nr_pairs);
	r = buf_put(&t->lists, list, sizeof(list));
	if (!r)
		r = buf_put(&o->bytes, o->pairs.data, o->pairs.len);
	if (r < 0)
		return r;
	t->slots[at] = ++t->nr;
	return t->nr;
}

static int64_t put_old_list(struct output *o, uint32_t list)
{
	const uint8_t *l;
	int r;

	if (!list)
		return 0;
	l = o->c->lists + (size_t)(list - 1) * CACHE_LIST;
	o->pairs.len = 0;
	r = buf_put(&o->pairs, o->c->bytes + get_le64(l), get_le32(l + 8));
	return r < 0 ? r : put_list(o, get_le32(l + 12));
}

static int64_t put_tree_list(struct output *o, const struct xattr_list *l)
{
	o->pairs.len = 0;
	for (uint32_t i = 0; l && i < l->nr; i++) {
		const struct xattr *x = l->xattr[i];
		uint8_t head[3] = {x->name_len};
		int r;

		put_le16(head + 1, (uint16_t)x->value_len);
		r = buf_put(&o->pairs, head, sizeof(head));
		if (!r)
			r = buf_put(&o->pairs, x->name, x->name_len);
		if (!r)
			r = buf_put(&o->pairs, x->value, x->value_len);
		if (r < 0)
			return r;
	}
	return o->pairs.len ? put_list(o, l->nr) : 0;
}

/* --- entries --------------------------------------------------------------------------------- */

static void put_record(uint8_t *e, const struct cache_record *rec)
{
	put_le64(e, rec->ino);
	put_le64(e + 8, rec->size);
	put_le64(e + 16, (uint64_t)rec->mtime.tv_sec);
	put_le64(e + 24, (uint64_t)rec->ctime.tv_sec);
	put_le32(e + 32, (uint32_t)rec->mtime.tv_nsec);
	put_le32(e + 36, (uint32_t)rec->ctime.tv_nsec);
}

/* What the content of @n is in a cache. */
static const void *content_of(const struct output *o, const struct node *n, size_t *ret_len,
			      enum cache_what *ret)
{
	*ret_len = (size_t)n->size;
	*ret = CACHE_BYTES;
	if (S_ISLNK(n->mode))
		return n->symlink.target;
	if (S_ISREG(n->mode) && n->flags & NODE_INLINE)
		return n->inl.content;
	*ret = CACHE_DIGESTS;
	*ret_len = o->c->digest_size;
	if (S_ISREG(n->mode) && n->size)
		return n->file.digest;
	*ret = CACHE_NOTHING;
	*ret_len = 0;
	return "";
}

static int put_entry(struct output *o, const struct item *it, uint8_t *e)
{
	const struct scan_cache *c = o->c;
	enum cache_what what;
	const void *content;
	int64_t list;
	size_t len;

	if (it->old) {
		memcpy(e, cache_entry(c, it->index), CACHE_ENTRY);
		list = put_old_list(o, get_le32(e + 44));
		what = (enum cache_what)e[42];
		len = get_le32(e + 56);
		content = c->bytes + get_le64(e + 48);
	} else {
		const struct node *n = node_inode(c->records[it->index].node);

		put_record(e, &c->records[it->index]);
		list = put_tree_list(o, n->xattrs);
		content = content_of(o, n, &len, &what);
	}
	if (list < 0)
		return (int)list;
	put_le16(e + 40, it->place);
	e[42] = (uint8_t)what;
	put_le32(e + 44, (uint32_t)list);
	put_le64(e + 48, o->bytes.len);
	put_le32(e + 56, (uint32_t)len);
	return buf_put(&o->bytes, content, len);
}

/* --- all ------------------------------------------------------------------------------------- */

static void put_places(const struct scan_cache *c, uint8_t *p)
{
	for (unsigned int i = 0; i < c->nr_places; i++, p += CACHE_PLACE) {
		put_le32(p, c->places[i].id.type);
		put_le32(p + 4, c->places[i].id.lasting);
		put_le64(p + 8, c->places[i].id.identity);
		put_le64(p + 16, c->places[i].id.mount);
	}
}

static int put_all(struct output *o, bool stamps, void **ret, size_t *ret_size)
{
	const struct scan_cache *c = o->c;
	size_t places = c->nr_places * (size_t)CACHE_PLACE;
	size_t stamp_size = stamps ? sizeof(o->stamps) : 0;
	size_t head = CACHE_HEADER + places + stamp_size + o->nr_items * CACHE_ENTRY;
	cleanup_free uint8_t *data = (uint8_t *)calloc(1, head);
	uint8_t *more;
	int r = data ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < o->nr_items; i++)
		r = put_entry(o, &o->items[i],
			      data + CACHE_HEADER + places + stamp_size + i * CACHE_ENTRY);
	if (r < 0)
		return r;
	*ret_size = head + o->table.lists.len + o->bytes.len;
	if (*ret_size > SCAN_CACHE_SIZE_MAX)
		return 0;
	more = (uint8_t *)realloc(data, *ret_size);
	if (!more)
		return -ENOMEM;
	data = more;
	put_places(c, data + CACHE_HEADER);
	memcpy(data + CACHE_HEADER + places, o->stamps, stamp_size);
	if (o->table.lists.len)
		memcpy(data + head, o->table.lists.data, o->table.lists.len);
	if (o->bytes.len)
		memcpy(data + head + o->table.lists.len, o->bytes.data, o->bytes.len);

	put_le64(data, CACHE_MAGIC);
	put_le64(data + 16, *ret_size);
	put_le32(data + 24, (uint32_t)c->digest_size);
	put_le32(data + 28, c->nr_places);
	put_le32(data + 32, stamps ? CACHE_STAMPS : 0);
	put_le32(data + 36, (uint32_t)o->nr_items);
	put_le32(data + 40, o->table.nr);
	put_le64(data + 48, o->bytes.len);
	memcpy(data + 56, c->boot, sizeof(c->boot));
	put_le64(data + 8, XXH3_64bits(data + 16, *ret_size - 16));
	*ret = take_ptr(data);
	return 0;
}

int scan_cache_output(struct scan_cache *c, const struct tree *tree, const struct scan_sink *sink,
		      void **ret, size_t *ret_size)
{
	struct output o __attribute__((__cleanup__(output_fini))) = {
		.c = c,
		.tree = tree,
		.bytes = BUF_INIT(SCAN_CACHE_SIZE_MAX),
		.pairs = BUF_INIT(XATTR_TOTAL_MAX * 4),
		.table.lists = BUF_INIT(SCAN_CACHE_SIZE_MAX),
	};
	bool same_stamps = take_stamps(&o, sink);
	int r;

	*ret = NULL;
	if (is_up_to_date(c) && same_stamps)
		return 0;
	r = gather_items(&o);
	return r < 0 ? r : put_all(&o, sink != NULL, ret, ret_size);
}
