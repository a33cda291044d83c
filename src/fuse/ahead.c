/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Reading ahead, from file to file.
 *
 * Whoever reads all of a tree reads the files of a directory in the order of their names, in
 * which their inodes lie in the image; and with small files most of the time would go into
 * asking and answering. So when several files were read that lie one behind the other, the
 * contents of the next ones are put into the kernel's cache (FUSE_NOTIFY_STORE) before the
 * answer is given. They are verified as what is asked for is; what is wrong is left out, to be
 * told when it is asked for.
 *
 *  1. The kernel may make the one who stores wait for a page that another request is about to
 *     fill. So one thread at a time does it, nobody waits for that one, and there are others.
 *  2. Which file is the next is a guess. A wrong one costs time: the kernel takes contents only
 *     of files that it knows by their number, and they are those that reading that number would
 *     give.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "erofs/format.h"
#include "fuse/server-internal.h"

#define POINTER_SIZE 4u /* of a chunk */

#define WALKS     16u   /* as deep as directories usually are below each other */
#define GAP_MAX   2048u /* slots of the image, each a quarter of an inode, to the next file */
#define FOLLOWS   2u    /* files behind each other that make a walk */
#define FILES_MAX 64u
#define FILE_MAX  ((size_t)128 << 10) /* what the kernel reads ahead by itself */
/* Bytes that are stored at a time, at first and at most. */
#define BYTES_MIN ((size_t)64 << 10)
#define BYTES_MAX ((size_t)1 << 20)

/* Somebody who reads one file after the other. */
struct walk {
	uint64_t first, next; /* from the first file to where the next may be; 0: nobody */
	uint64_t used;
	unsigned int follows;
	size_t bytes; /* to be stored the next time */
};

struct ahead {
	struct server *s;
	pthread_mutex_t lock; /* of walks and time */
	struct walk walks[WALKS];
	uint64_t time;
	pthread_mutex_t busy; /* of what follows; only tried */
	uint8_t message[sizeof(struct fuse_out_header) + sizeof(struct fuse_notify_store_out) +
			FILE_MAX];
};

int ahead_new(struct server *s, struct ahead **ret)
{
	struct ahead *a = (struct ahead *)calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->s = s;
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_mutex_init(&a->busy, NULL);
	*ret = a;
	return 0;
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	(void)pthread_mutex_destroy(&a->busy);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

/* --- who walks --------------------------------------------------------------------------------- */

/* The walk that @node is the next of, else one to begin. */
static struct walk *walk_of(struct ahead *a, uint64_t node)
{
	struct walk *found = NULL, *oldest = &a->walks[0];

	for (unsigned int i = 0; i < WALKS; i++) {
		struct walk *w = &a->walks[i];

		if (w->next && node >= w->next && node - w->next <= GAP_MAX &&
		    (!found || w->next > found->next))
			found = w;
		if (w->used < oldest->used)
			oldest = w;
	}
	if (!found) {
		found = oldest;
		*found = (struct walk){.first = node, .bytes = BYTES_MIN};
	}
	return found;
}

/* Notes that @node is read. Returns the walk that it belongs to, if that is one already. */
static struct walk *note(struct ahead *a, uint64_t node, size_t *ret_bytes)
{
	struct walk *w;
	bool follows;

	pthread_mutex_lock(&a->lock);
	w = walk_of(a, node);
	follows = w->follows++ >= FOLLOWS;
	w->next = node + 1;
	w->used = ++a->time;
	*ret_bytes = w->bytes;
	pthread_mutex_unlock(&a->lock);
	return follows ? w : NULL;
}

/* From @at on, where files are that no other walk than @w has stored. */
static uint64_t skip_others(struct ahead *a, const struct walk *w, uint64_t at)
{
	pthread_mutex_lock(&a->lock);
	for (unsigned int i = 0; i < WALKS; i++) {
		const struct walk *other = &a->walks[i];

		if (other != w && other->follows > FOLLOWS && at >= other->first &&
		    at < other->next)
			at = other->next;
	}
	pthread_mutex_unlock(&a->lock);
	return at;
}

/* The walk has come to @next, unless it is another one by now. */
static void move(struct ahead *a, struct walk *w, uint64_t from, uint64_t next, bool wanted)
{
	pthread_mutex_lock(&a->lock);
	if (w->next == from + 1) {
		w->next = next;
		w->follows = wanted ? w->follows : 0;
		w->bytes = MIN(2 * w->bytes, BYTES_MAX);
	}
	pthread_mutex_unlock(&a->lock);
}

/* --- the next files ---------------------------------------------------------------------------- */

/* The whole content of a file, verified. Returns its bytes, 0: it cannot be had. */
static size_t content(struct server *s, const struct inode *in, uint8_t *out)
{
	struct reader_object *o;
	struct view_object vo;
	struct reader_key key;
	ssize_t n;

	if (!view_external(in))
		return view_data(in, out, (size_t)in->size, 0);
	if (!s->reader || view_object(&s->view, in, &vo, NULL) < 0)
		return 0;
	key = (struct reader_key){
		.path = vo.path, .path_len = vo.path_len, .size = in->size, .digest = vo.digest};
	if (reader_get(s->reader, &key, &o, NULL) < 0)
		return 0;
	n = reader_read(s->reader, o, out, (size_t)in->size, 0, NULL, NULL);
	reader_put(s->reader, o);
	return n == (ssize_t)in->size ? (size_t)n : 0;
}

/* Gives a file to the kernel. Returns its bytes, 0: there was nothing to give; -1: the kernel does not want it,
 * for it has forgotten the file. */
static ssize_t store(struct ahead *a, const struct inode *in)
{
	struct fuse_out_header *header = (struct fuse_out_header *)(void *)a->message;
	struct fuse_notify_store_out *out = (struct fuse_notify_store_out *)(void *)(header + 1);
	const size_t size = content(a->s, in, (uint8_t *)(out + 1));

	if (!size)
		return 0;
	*header = (struct fuse_out_header){
		.len = (uint32_t)(sizeof(*header) + sizeof(*out) + size),
		.error = FUSE_NOTIFY_STORE,
	};
	*out = (struct fuse_notify_store_out){.nodeid = in->nid, .size = (uint32_t)size};
	return write(a->s->dev, a->message, header->len) < 0 ? -1 : (ssize_t)size;
}

/* Where the inode behind @in begins, or there is room. */
static uint64_t behind(const struct inode *in)
{
	uint64_t size = (in->extended ? EXTENDED_SIZE : COMPACT_SIZE) + in->xattr_size;

	if (in->layout == LAYOUT_CHUNK) {
		const unsigned int bits = CHUNK_BITS_MIN + (in->u & CHUNK_FORMAT_MASK);

		size += (in->size ? (in->size - 1) >> bits : 0) * POINTER_SIZE + POINTER_SIZE;
	} else if (in->layout == LAYOUT_INLINE) {
		size += in->tail_size;
	}
	return in->nid + (size + SLOT_SIZE - 1) / SLOT_SIZE;
}

/* Stores the files behind @in. Returns where it got to; *@ret_wanted: whether the kernel took them. */
static uint64_t store_next(struct ahead *a, const struct walk *w, struct inode *in, size_t bytes,
			   bool *ret_wanted)
{
	const uint64_t end = in->nid + GAP_MAX;
	uint64_t at = skip_others(a, w, behind(in));
	unsigned int files = 0;

	*ret_wanted = true;
	while (files < FILES_MAX && bytes && at < end &&
	       image_inode(&a->s->view.img, at, in, NULL) == 0) {
		ssize_t n = S_ISREG(in->mode) && in->size <= FILE_MAX ? store(a, in) : 0;

		if (n < 0) {
			*ret_wanted = false;
			break;
		}
		files += n > 0;
		bytes -= MIN((size_t)n, bytes);
		at = skip_others(a, w, in->mode ? behind(in) : at + 1);
	}
	return at;
}

void ahead_read(struct ahead *a, uint64_t node, struct inode *in)
{
	struct walk *w;
	size_t bytes;
	uint64_t next;
	bool wanted;

	if (!a || a->s->passthrough)
		return;
	w = note(a, node, &bytes);
	if (!w || pthread_mutex_trylock(&a->busy))
		return;
	next = store_next(a, w, in, bytes, &wanted);
	pthread_mutex_unlock(&a->busy);
	move(a, w, node, next, wanted);
}
