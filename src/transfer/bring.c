/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Objects from the other side, be it a store or a server: those that are lacking, or one to be read. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/names.h"
#include "transfer/bring-internal.h"

/* By the other algorithm it is not known what is here already, only what cannot be. */
static int check_room(const struct transfer *t, const struct wants *w, struct cairn_error *err)
{
	struct buf sizes cleanup_buf = BUF_INIT(SIZE_MAX / 2);
	const int source = t->from ? t->from->dirfd : -1;

	if (t->options->link)
		return 0; /* shared files need none */
	if (t->alg == t->to->alg)
		return store_room(t->to, source, w->bytes, err);
	for (size_t i = 0; i < w->nr; i++)
		if (w->want[i].size != WANT_SIZE_UNKNOWN &&
		    buf_put(&sizes, &w->want[i].size, sizeof(w->want[i].size)) < 0)
			return error_errno(err, -ENOMEM, "bring the image");
	return store_room_for_sizes(t->to, source, &sizes, err);
}

int transfer_bring(struct transfer *t, struct wants *w, uint8_t **ret_digests,
		   struct cairn_error *err)
{
	const bool other = t->alg != t->to->alg;
	cleanup_free uint8_t *digests = NULL;
	int r = other ? 0 : wants_lacking(w, t->to, err);

	if (other) {
		digests = (uint8_t *)malloc(w->nr * cairn_digest_size(t->to->alg) + 1);
		if (!digests)
			return error_errno(err, -ENOMEM, "bring the image");
	}
	if (!r)
		r = check_room(t, w, err);
	if (!r)
		r = t->from ? transfer_copy(t->to, t->from, w, t->options, digests, &t->result, err)
			    : fetch_objects(t->fetch, w, digests, &t->result, err);
	if (!r)
		*ret_digests = take_ptr(digests);
	return r;
}

int transfer_map(const struct transfer *t, const struct wants *w, const uint8_t *digests,
		 const struct cairn_digest *there, struct cairn_digest *ret,
		 struct cairn_error *err)
{
	const size_t size = cairn_digest_size(t->to->alg);
	int64_t at;

	*ret = *there;
	if (t->alg == t->to->alg)
		return 0;
	at = wants_find(w, there);
	if (at < 0)
		return error_set(err, (int)at, CAIRN_ERROR_FORMAT,
				 "an object that was not asked for");
	*ret = (struct cairn_digest){.alg = t->to->alg};
	memcpy(ret->bytes, digests + (size_t)at * size, size);
	return 0;
}

/* A file that came, kept open. */
struct opening {
	enum cairn_alg alg;
	int fd;
};

static int take_file(void *arg, const struct cairn_digest *id, int fd)
{
	struct opening *o = (struct opening *)arg;
	struct cairn_digest found;
	int r = store_digest_fd(fd, o->alg, &found);

	if (r < 0)
		return r;
	if (memcmp(&found, id, sizeof(found)) != 0)
		return -EILSEQ;
	o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return o->fd < 0 ? -errno : 0;
}

/* An object that is only read. */
static int fetch_file(struct transfer *t, const struct wants *w, struct cairn_error *err)
{
	struct opening o = {t->alg, -1};
	char path[OBJECT_PATH_MAX];
	int r = fetch_each(t->fetch, w, take_file, &o, err);

	if (r < 0 || o.fd >= 0)
		return r < 0 ? r : o.fd;
	(void)object_path(path, w->want[0].digest.bytes, cairn_digest_size(t->alg));
	return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
			 "object %s: is not there, or does not have its digest", path);
}

/* The same, from the store if it has it. @keep: it becomes an object. */
static int open_served(struct transfer *t, const struct cairn_digest *id, uint64_t most, bool keep,
		       struct cairn_error *err)
{
	struct want want = {*id, WANT_SIZE_UNKNOWN, most};
	const struct wants w = {.want = &want, .nr = 1};
	struct cairn_transfer_result unused = {0}; /* no more counted than images are */
	char path[OBJECT_PATH_MAX];
	struct stat st;
	int r;

	if (t->alg != t->to->alg)
		return fetch_file(t, &w, err);
	r = store_use(t->to, id, err);
	if (r < 0)
		return r;
	(void)object_path(path, id->bytes, cairn_digest_size(t->alg));
	if (store_find_object(t->to, path, NULL, &st) < 0) {
		if (!keep)
			return fetch_file(t, &w, err);
		r = fetch_objects(t->fetch, &w, NULL, &unused, err);
	}
	return r < 0 ? r : store_open_image(t->to, id, err);
}

int transfer_open(struct transfer *t, const struct cairn_digest *id, uint64_t most, bool keep,
		  struct cairn_error *err)
{
	cleanup_fd int fd =
		t->from ? store_open_image(t->from, id, err) : open_served(t, id, most, keep, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "stat an object");
	if ((uint64_t)st.st_size > most)
		return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT,
				 "a split stream of %llu MiB, at most %llu are accepted",
				 (unsigned long long)st.st_size >> 20,
				 (unsigned long long)most >> 20);
	return take_fd(&fd);
}
