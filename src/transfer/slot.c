/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* One download: in memory, or into a file that a later fetch goes on with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "digest/verity.h"
#include "sys/dir.h"
#include "sys/io.h"
#include "transfer/slot-internal.h"

#define PARTIAL_FOLDER  "cairn/partial"
#define PARTIAL_SECONDS (7 * 24 * 3600) /* after that nobody goes on with it */

/* --- partial files --------------------------------------------------------------------------- */

struct cleaning {
	int folder;
	time_t now;
};

static int remove_old(void *arg, const char *name, size_t len, unsigned char type)
{
	const struct cleaning *c = (const struct cleaning *)arg;
	struct stat st;

	(void)len;
	(void)type;
	if (!fstatat(c->folder, name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR(st.st_mode) &&
	    st.st_mtime < c->now - PARTIAL_SECONDS)
		(void)unlinkat(c->folder, name, 0);
	return 0;
}

int partial_open(const struct cairn_store *s)
{
	_Alignas(8) char buffer[8192];
	struct cleaning c = {.now = time(NULL)};

	c.folder = store_own_dir(s, "partial", 0700);
	if (c.folder < 0)
		return -1;
	(void)dir_list(c.folder, buffer, sizeof(buffer), remove_old, &c);
	return c.folder;
}

/* Bytes that may come. */
static uint64_t most_of(const struct want *w)
{
	return w->size != WANT_SIZE_UNKNOWN ? w->size : w->most ? w->most : SLOT_SIZE_MAX;
}

/* Opens the partial file, where an earlier fetch has left it; else one without a name. */
static int open_partial(struct slot *s)
{
	const struct fetch *f = s->fetch;
	struct stat st;

	cairn_digest_to_hex(&s->want->digest, s->name);
	s->at = 0;
	s->named = true;
	s->fd = f->partial < 0 ? -1
			       : openat(f->partial, s->name,
					O_RDWR | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
	if (s->fd >= 0 && !flock(s->fd, LOCK_EX | LOCK_NB) && !fstat(s->fd, &st) &&
	    S_ISREG(st.st_mode) && st.st_nlink == 1) {
		s->at = (uint64_t)st.st_size;
		if (s->at <= most_of(s->want))
			return 0;
		s->at = 0;
		return ftruncate(s->fd, 0) < 0 ? -errno : 0;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->named = false;
	s->fd = openat(f->to->objects, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return s->fd < 0 ? -errno : 0;
}

static void close_partial(struct slot *s, bool remove)
{
	if (s->fd < 0)
		return;
	if (s->named && remove)
		(void)unlinkat(s->fetch->partial, s->name, 0);
	close(take_fd(&s->fd));
}

/* --- the request ----------------------------------------------------------------------------- */

static int begin(void *arg, const struct http_request *r)
{
	struct slot *s = (struct slot *)arg;

	if (r->total_known && s->want->size != WANT_SIZE_UNKNOWN && r->total != s->want->size)
		return -EBADMSG;
	/* All of it comes again, though only the rest was asked for. */
	if (s->fd >= 0 && !r->partial && s->at) {
		if (ftruncate(s->fd, 0) < 0)
			return -errno;
		s->at = 0;
	}
	return 0;
}

static int take(void *arg, const void *data, size_t size)
{
	struct slot *s = (struct slot *)arg;
	int r;

	if (size > most_of(s->want) - s->at)
		return -EBADMSG;
	r = pwrite_all(s->fd, data, size, (off_t)s->at);
	if (r < 0)
		return r;
	s->at += size;
	return 0;
}

static int ask(struct slot *s, struct cairn_error *err)
{
	int r;

	s->request = HTTP_REQUEST_INIT;
	s->request.url = s->url;
	s->request.arg = s;
	s->request.begin = begin;
	s->request.body_max = (size_t)s->want->size;
	if (s->fd >= 0) {
		s->request.write = take;
		s->request.range_from = s->at;
	}
	r = http_start(s->fetch->http, &s->request);
	if (r < 0 && err)
		*err = s->request.error;
	return r;
}

int slot_start(struct slot *s, struct fetch *f, const struct want *want, struct cairn_error *err)
{
	char path[OBJECT_PATH_MAX];
	int r = 0;

	*s = (struct slot){.fetch = f, .want = want, .fd = -1};
	(void)object_path(path, want->digest.bytes,
			  cairn_digest_size((enum cairn_alg)want->digest.alg));
	if (asprintf(&s->url, "%s/objects/%s", f->url, path) < 0) {
		s->url = NULL;
		return error_errno(err, -ENOMEM, "%s", f->url);
	}
	if (want->size > SLOT_MEMORY)
		r = open_partial(s);
	if (r < 0)
		return error_errno(err, r, "%s/" PARTIAL_FOLDER, f->to->path);
	return ask(s, err);
}

void slot_fini(struct slot *s)
{
	if (!s->fetch)
		return;
	http_request_fini(&s->request);
	close_partial(s, false);
	free(take_ptr(s->url));
	s->fetch = NULL;
}

/* --- its end --------------------------------------------------------------------------------- */

static int wrong(const struct slot *s, struct cairn_error *err)
{
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: does not have its digest", s->url);
}

static int check_answer(const struct slot *s, struct cairn_error *err)
{
	const struct http_request *r = &s->request;
	uint64_t size = s->fd < 0 ? r->ret_body.len : s->at;

	if ((r->result == -EBADMSG || r->result == -EFBIG) && s->want->size == WANT_SIZE_UNKNOWN)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST, "%s: is more than %llu MiB",
				 s->url, (unsigned long long)most_of(s->want) >> 20);
	if (r->result == -EBADMSG || r->result == -EFBIG)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%s: is not the %llu bytes that it must be", s->url,
				 (unsigned long long)s->want->size);
	if (r->result < 0) {
		if (err)
			*err = r->error;
		return r->result;
	}
	if (r->status == 404 || r->status == 410)
		return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
				 "%s: is not there (HTTP status %d)", s->url, r->status);
	if (r->status != 200 && r->status != 206)
		return error_set(err, -EIO, CAIRN_ERROR_SYSTEM, "%s: HTTP status %d", s->url,
				 r->status);
	return size == s->want->size || s->want->size == WANT_SIZE_UNKNOWN
		       ? 0
		       : error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				   "%s: has %llu bytes, expected %llu", s->url,
				   (unsigned long long)size, (unsigned long long)s->want->size);
}

/* The content is in the store as @id. */
static void note_digest(const struct slot *s, const struct cairn_digest *id)
{
	const struct fetch *f = s->fetch;
	size_t size = cairn_digest_size(f->to->alg);

	if (f->digests)
		memcpy(f->digests + (size_t)(s->want - f->wants->want) * size, id->bytes, size);
}

static int put_memory(struct slot *s, struct cairn_error *err)
{
	const struct buf *body = &s->request.ret_body;
	struct cairn_digest digests[VERITY_ALGS_MAX];
	const struct cairn_digest *want = &s->want->digest, *own = NULL;
	struct cairn_store *to = s->fetch->to;
	bool right = false;
	int r = verity_digest_data(body->data, body->len,
				   CAIRN_ALG_BIT(want->alg) | CAIRN_ALG_BIT(to->alg), digests);

	if (r < 0)
		return error_errno(err, r, "%s", s->url);
	for (int i = 0; i < r; i++) {
		right |= !memcmp(&digests[i], want, sizeof(*want));
		if (digests[i].alg == (uint32_t)to->alg)
			own = &digests[i];
	}
	if (!right || !own)
		return wrong(s, err);
	note_digest(s, own);
	return store_put(to, own, body->data, body->len, err);
}

static int put_file(struct slot *s, struct cairn_error *err)
{
	const struct store_source source = {.fd = s->fd, .digest = s->want->digest, .size = s->at};
	const struct fetch *f = s->fetch;
	struct store_imported imported;
	int r;

	if (f->take) {
		r = f->take(f->take_arg, &s->want->digest, s->fd);
	} else {
		r = store_import(f->to, &source, &imported, err);
		if (r >= 0)
			note_digest(s, &imported.digest);
	}
	return r == -EILSEQ ? wrong(s, err) : r;
}

bool slot_lacks(struct slot *s, int r)
{
	if (r != -ENOENT && r != -EILSEQ && (r != -EIO || s->request.status < 400))
		return false;
	close_partial(s, true);
	return true;
}

int slot_finish(struct slot *s, struct cairn_error *err)
{
	bool rest = s->request.range_from > 0;
	int r;

	s->fetch->received += s->request.size;
	r = check_answer(s, err);
	if (!r)
		r = s->fd < 0 ? put_memory(s, err) : put_file(s, err);
	if (r >= 0) {
		close_partial(s, true);
		return r;
	}
	/* Wrong bytes may be those of an earlier time, or of the way here; so may a refused range. */
	if ((r != -EILSEQ && !(rest && s->request.status == 416)) || ++s->attempts >= SLOT_ATTEMPTS)
		return r;
	http_request_fini(&s->request);
	if (s->fd >= 0 && ftruncate(s->fd, 0) < 0)
		return error_errno(err, -errno, "%s/" PARTIAL_FOLDER, s->fetch->to->path);
	s->at = 0;
	r = ask(s, err);
	return r < 0 ? r : -EAGAIN;
}
