/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The public functions that keep a store in order; and which images are mounted, in whatever mount
 * namespace of this machine we may look into.
 */
#include <cairn/maintain.h>
#include <cairn/mount.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "mount/mount.h"
#include "store/fsck.h"
#include "store/gc.h"
#include "store/keyset.h"
#include "sys/io.h"
#include "transfer/transfer.h"

#define GC_FLAGS   (CAIRN_GC_DRY_RUN | CAIRN_GC_EMPTY)
#define FSCK_FLAGS (CAIRN_FSCK_METADATA_ONLY | CAIRN_FSCK_REPAIR | CAIRN_FSCK_SCRUB)

#define TABLE_MAX (256u << 20) /* bytes of a mount table: fs.mount-max of 2 KiB */

struct looking {
	int (*fn)(void *arg, const struct cairn_digest *id);
	void *arg;
};

static int tell_mounted(void *arg, const struct cairn_mounted *m)
{
	const struct looking *l = (const struct looking *)arg;

	return m->digest.alg ? l->fn(l->arg, &m->digest) : 0;
}

/* The table in /proc/@pid. One that cannot be read, or goes away, has nothing to tell us. */
static int look_into(const char *pid, const struct looking *l)
{
	cleanup_free char *text = NULL;
	size_t size = 65536, len = 0;
	cleanup_fd int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.16s/mountinfo", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (;;) {
		char *more = fd < 0 ? NULL : (char *)realloc(text, size + 1);
		ssize_t n;

		if (!more)
			return 0;
		text = more;
		n = read_full(fd, text + len, size - len);
		if (n < 0)
			return 0;
		len += (size_t)n;
		if (len < size)
			break;
		size *= 2;
		if (size > TABLE_MAX)
			return 0;
	}
	text[len] = '\0';
	return mount_list_text(text, tell_mounted, (void *)(uintptr_t)l);
}

static int mounted_images(int (*fn)(void *arg, const struct cairn_digest *id), void *arg)
{
	const struct looking l = {fn, arg};
	struct keyset seen = {0};
	DIR *proc = opendir("/proc");
	int r = look_into("self", &l);

	for (struct dirent *e; proc && !r && (e = readdir(proc));) {
		char path[64];
		struct stat st;

		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/ns/mnt", e->d_name);
		if (!stat(path, &st) && keyset_add(&seen, st.st_ino) > 0)
			r = look_into(e->d_name, &l);
	}
	if (proc)
		closedir(proc);
	keyset_fini(&seen);
	return r;
}

int cairn_store_gc(struct cairn_store *store, const struct cairn_gc_options *options,
		   struct cairn_gc_result *ret, struct cairn_error *err)
{
	static const struct cairn_gc_options defaults = {0};
	struct cairn_gc_result result;

	if (!options)
		options = &defaults;
	if (options->flags & ~(unsigned int)GC_FLAGS)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "collect: unknown flags");
	return store_gc(store, options, mounted_images, ret ? ret : &result, err);
}

/* The web servers that may have what a check found damaged. */
struct sources {
	struct cairn_store *store;
	const struct cairn_fsck_options *options;
};

/* As fsck_remotes.bring. */
static int bring(void *arg, size_t i, const struct cairn_digest *ids, size_t nr, fsck_take_fn take,
		 void *take_arg, struct cairn_error *err)
{
	const struct sources *s = (const struct sources *)arg;
	const struct cairn_transfer_options options = {
		.plain_http = s->options->plain_http,
		.progress = s->options->progress,
		.progress_arg = s->options->progress_arg,
	};
	cleanup(fetch) struct fetch *f = NULL;
	cleanup_wants struct wants w = WANTS_INIT;
	int r;

	w.want = (struct want *)calloc(nr, sizeof(*w.want));
	if (!w.want)
		return error_errno(err, -ENOMEM, "%s", s->options->urls[i]);
	for (; w.nr < nr; w.nr++)
		w.want[w.nr] = (struct want){ids[w.nr], WANT_SIZE_UNKNOWN};
	r = fetch_open(s->store, s->options->urls[i], &options, &f, err);
	return r ? r : fetch_each(f, &w, take, take_arg, err);
}

int cairn_store_fsck(struct cairn_store *store, const struct cairn_fsck_options *options,
		     struct cairn_fsck_result *ret, struct cairn_error *err)
{
	static const struct cairn_fsck_options defaults = {0};
	struct cairn_fsck_result result;
	struct sources sources = {store, options ? options : &defaults};
	const struct fsck_remotes remotes = {sources.options->nr_urls, bring, &sources};

	options = sources.options;
	if (options->flags & ~(unsigned int)FSCK_FLAGS ||
	    (options->flags & CAIRN_FSCK_SCRUB && options->flags & CAIRN_FSCK_METADATA_ONLY))
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "check: unknown flags, or flags that exclude each other");
	return store_fsck(store, options, &remotes, ret ? ret : &result, err);
}
