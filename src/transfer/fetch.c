/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * From a web server: the list of images, the image, then its contents, several at once.
 *
 *	URL/cairn/index		which digest a name has; where there is none:
 *	URL/images/refs/NAME	the image itself, from servers that follow links
 *	URL/objects/XX/YYYY…	images and contents
 */
#include <errno.h>
#include <stdio.h>

#include "digest/verity.h"
#include "transfer/slot-internal.h"

#define CONNECTIONS_DEFAULT 8
#define CONNECTIONS_MAX     64

/* --- opening --------------------------------------------------------------------------------- */

static bool cancelled(void *arg)
{
	const struct fetch *f = (const struct fetch *)arg;
	const struct cairn_transfer_options *opt = f->options;

	return opt->progress &&
	       opt->progress(opt->progress_arg, f->files, f->bytes, f->total_files, f->total_bytes);
}

int fetch_open(struct cairn_store *to, const char *url,
	       const struct cairn_transfer_options *options, struct fetch **ret,
	       struct cairn_error *err)
{
	cleanup(fetch) struct fetch *f = (struct fetch *)calloc(1, sizeof(*f));
	struct http_options http = {.cancelled = cancelled, .cancelled_arg = f};
	size_t len = strlen(url);
	int r;

	if (!f)
		return error_errno(err, -ENOMEM, "%s", url);
	f->to = to;
	f->options = options;
	f->partial = -1;
	while (len && url[len - 1] == '/')
		len--;
	f->url = strndup(url, len);
	if (!f->url)
		return error_errno(err, -ENOMEM, "%s", url);
	http.plain_http = options->plain_http;
	http.connections =
		MIN(options->jobs ? options->jobs : CONNECTIONS_DEFAULT, CONNECTIONS_MAX);
	r = http_open(&http, &f->http, err);
	if (r < 0)
		return r;
	f->partial = partial_open(to);
	*ret = take_ptr(f);
	return 0;
}

void fetch_close(struct fetch *f)
{
	if (!f)
		return;
	http_close(f->http);
	if (f->partial >= 0)
		close(f->partial);
	free(f->url);
	free(f);
}

/* --- the image ------------------------------------------------------------------------------- */

/* GET URL/@path into @body. Returns 0; -ENOENT: 404; or another negative errno. */
static int get(struct fetch *f, const char *path, size_t max, struct buf *body,
	       struct cairn_error *err)
{
	cleanup_http_request struct http_request r = HTTP_REQUEST_INIT;
	cleanup_free char *url = NULL;
	int e;

	if (asprintf(&url, "%s/%s", f->url, path) < 0) {
		url = NULL;
		return error_errno(err, -ENOMEM, "%s", f->url);
	}
	r.url = url;
	r.body_max = max;
	e = http_do(f->http, &r, err);
	f->received += r.size;
	if (e == -EFBIG)
		return error_set(err, e, CAIRN_ERROR_FORMAT, "%s: more than %zu bytes", url, max);
	if (e < 0)
		return e;
	if (r.status == 404 || r.status == 410)
		return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
				 "%s: is not there (HTTP status %d)", url, r.status);
	if (r.status != 200)
		return error_set(err, -EIO, CAIRN_ERROR_SYSTEM, "%s: HTTP status %d", url,
				 r.status);
	buf_fini(body);
	*body = r.ret_body;
	r.ret_body = BUF_INIT(0);
	return 0;
}

struct looking {
	const char *name;
	struct cairn_digest digest;
	uint64_t size;
};

static int look_at_line(void *arg, const struct index_line *line)
{
	struct looking *l = (struct looking *)arg;

	if (line->len != strlen(l->name) || memcmp(line->name, l->name, line->len) != 0)
		return 0;
	l->digest = line->digest;
	l->size = line->size;
	return 0;
}

/* What the server's list says of @l->name. Returns 1; 0: there is no list; or a negative errno. */
static int look_in_index(struct fetch *f, struct looking *l, struct cairn_error *err)
{
	cleanup_buf struct buf text = BUF_INIT(0);
	int r = get(f, INDEX_FILE, INDEX_SIZE_MAX, &text, err);

	if (r == -ENOENT)
		return 0;
	if (!r) {
		r = index_parse(text.data, text.len, look_at_line, l, err);
		if (r < 0)
			(void)error_prepend(err, "%s/" INDEX_FILE, f->url);
	}
	if (!r && !l->digest.alg)
		r = error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
			      "%s/" INDEX_FILE ": names no image %s", f->url, l->name);
	return r < 0 ? r : 1;
}

/* "images/refs/NAME" with what a URL cannot have as %XX. */
static int ref_path(const char *name, struct buf *to)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/";
	int r = buf_put(to, "images/refs/", 12);

	for (; *name && !r; name++) {
		char text[4];

		if (strchr(plain, *name)) {
			r = buf_put(to, name, 1);
		} else {
			snprintf(text, sizeof(text), "%%%02X", (unsigned char)*name);
			r = buf_put(to, text, 3);
		}
	}
	return r ? r : buf_put(to, "", 1);
}

static int check_digest(struct fetch *f, const char *what, const struct cairn_digest *expected,
			const struct buf *image, struct cairn_digest *ret, struct cairn_error *err)
{
	struct cairn_digest digests[VERITY_ALGS_MAX];
	unsigned int alg = expected->alg ? expected->alg : f->to->alg;
	int r = verity_digest_data(image->data, image->len, CAIRN_ALG_BIT(alg), digests);

	if (r < 0)
		return error_errno(err, r, "%s/%s", f->url, what);
	if (expected->alg && memcmp(&digests[0], expected, sizeof(*expected)) != 0)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%s/%s: the image does not have its digest", f->url, what);
	*ret = digests[0];
	return 0;
}

int fetch_image(struct fetch *f, const char *remote, struct buf *image,
		struct cairn_digest *ret_digest, struct cairn_error *err)
{
	const struct cairn_digest *pinned = f->options->digest;
	struct looking l = {.name = remote};
	cleanup_buf struct buf path = BUF_INIT(8192);
	char object[OBJECT_PATH_MAX];
	int r;

	if (pinned)
		l.digest = *pinned;
	r = remote ? look_in_index(f, &l, err) : 1;
	if (r < 0)
		return r;
	if (pinned && memcmp(&l.digest, pinned, sizeof(*pinned)) != 0)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%s: %s is another image there than the one asked for", f->url,
				 remote);
	if (r) {
		(void)object_path(object, l.digest.bytes,
				  cairn_digest_size((enum cairn_alg)l.digest.alg));
		r = buf_put(&path, "objects/", 8);
		if (!r)
			r = buf_put(&path, object, strlen(object) + 1);
	} else {
		r = ref_path(remote, &path);
	}
	if (r < 0)
		return error_errno(err, r, "%s", f->url);
	r = get(f, path.data, l.size && l.size < FETCH_IMAGE_MAX ? (size_t)l.size : FETCH_IMAGE_MAX,
		image, err);
	return r < 0 ? r : check_digest(f, path.data, &l.digest, image, ret_digest, err);
}

/* --- contents -------------------------------------------------------------------------------- */

struct slots {
	struct slot slot[CONNECTIONS_MAX];
	unsigned int nr;
};

static void slots_fini(struct slots *s)
{
	for (unsigned int i = 0; i < s->nr; i++) {
		if (s->slot[i].fetch)
			http_cancel(s->slot[i].fetch->http, &s->slot[i].request);
		slot_fini(&s->slot[i]);
	}
}

static int run(struct fetch *f, struct slots *slots, const struct wants *w,
	       struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct http_request *done;
	size_t next = 0;
	int r;

	while (slots->nr < CONNECTIONS_MAX && next < w->nr &&
	       slots->nr < (f->options->jobs ? f->options->jobs : CONNECTIONS_DEFAULT)) {
		r = slot_start(&slots->slot[slots->nr++], f, &w->want[next++], err);
		if (r < 0)
			return r;
	}
	while ((done = http_wait(f->http)) != NULL) {
		struct slot *s = (struct slot *)done->arg;
		const struct want *want = s->want;

		r = slot_finish(s, err);
		if (r == -EAGAIN)
			continue;
		if (f->take && slot_lacks(s, r))
			r = 0;
		else if (r >= 0) {
			f->files++;
			f->bytes += want->size;
			ret->objects += (unsigned int)r;
			ret->bytes += r ? want->size : 0;
		}
		slot_fini(s);
		if (r >= 0 && next < w->nr)
			r = slot_start(s, f, &w->want[next++], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int fetch_each(struct fetch *f, const struct wants *w,
	       int (*take)(void *arg, const struct cairn_digest *id, int fd), void *arg,
	       struct cairn_error *err)
{
	struct cairn_transfer_result result = {0};
	int r;

	f->take = take;
	f->take_arg = arg;
	r = fetch_objects(f, w, &result, err);
	f->take = NULL;
	return r;
}

int fetch_objects(struct fetch *f, const struct wants *w, struct cairn_transfer_result *ret,
		  struct cairn_error *err)
{
	struct slots slots __attribute__((__cleanup__(slots_fini))) = {.nr = 0};
	int r;

	f->total_files = w->nr;
	f->total_bytes = w->bytes; /* 0: not known */
	r = run(f, &slots, w, ret, err);
	ret->received = f->received;
	return r;
}
