/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Handing files to the kernel: what the kernel itself vouches for (fs-verity with the right digest) it reads
 * from the object by itself, at native speed and into the object's own page cache.
 *
 *	FUSE_DEV_IOC_BACKING_OPEN, _CLOSE	Linux 6.9; CAP_SYS_ADMIN in the first user namespace
 *
 *  1. All that have an inode open at a time have it open in the same way: the kernel refuses two
 *     backing files, and a backing file beside its own cache. opens[] says which way, and how often.
 *  2. It has an entry for each inode that is open, so that it is as large as what the kernel keeps open.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "fuse/server-internal.h"

/* What is newer than the header. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

struct open_inode {
	struct open_inode *next;
	uint64_t node;
	uint64_t count;
	int32_t backing; /* number of the backing file; 0: read through us */
};

static struct open_inode **find(struct server *s, uint64_t node)
{
	struct open_inode **at = &s->opens[node % OPENS_BUCKETS];

	while (*at && (*at)->node != node)
		at = &(*at)->next;
	return at;
}

/* Gives the object of @node to the kernel. Returns its number; 0: it has to be read through us. */
static int32_t give(struct server *s, uint64_t node)
{
	struct reader_object *o;
	int32_t backing = 0;

	if (open_object(s, node, &o) < 0)
		return 0; /* reading tells why */
	if (reader_object_enforced(o)) {
		struct backing_map map = {.fd = reader_object_fd(o)};

		backing = ioctl(s->dev, BACKING_OPEN, &map);
		if (backing < 0 && errno == EPERM)
			s->passthrough = false;
	}
	reader_put(s->reader, o);
	return MAX(backing, 0);
}

int passthrough_open(struct server *s, uint64_t node, struct protocol_open_out *out)
{
	struct open_inode **at, *o;
	int r = 0;

	pthread_mutex_lock(&s->opens_lock);
	at = find(s, node);
	o = *at;
	if (!o) {
		o = (struct open_inode *)calloc(1, sizeof(*o));
		if (o) {
			o->node = node;
			o->backing = give(s, node);
			*at = o;
		}
	}
	if (o) {
		o->count++;
		out->fh = PASSTHROUGH_COUNTED;
		out->open_flags = o->backing ? PROTOCOL_FOPEN_PASSTHROUGH : FOPEN_KEEP_CACHE;
		out->backing_id = o->backing;
	} else {
		r = -ENOMEM;
	}
	pthread_mutex_unlock(&s->opens_lock);
	return r;
}

void passthrough_release(struct server *s, uint64_t node)
{
	struct open_inode **at, *o;

	pthread_mutex_lock(&s->opens_lock);
	at = find(s, node);
	o = *at;
	if (o && !--o->count) {
		uint32_t backing = (uint32_t)o->backing;

		if (backing)
			(void)ioctl(s->dev, BACKING_CLOSE, &backing);
		*at = o->next;
		free(o);
	}
	pthread_mutex_unlock(&s->opens_lock);
}

void passthrough_fini(struct server *s)
{
	for (size_t i = 0; i < OPENS_BUCKETS; i++) {
		while (s->opens[i]) {
			struct open_inode *next = s->opens[i]->next;

			free(s->opens[i]);
			s->opens[i] = next;
		}
	}
	(void)pthread_mutex_destroy(&s->opens_lock);
}
