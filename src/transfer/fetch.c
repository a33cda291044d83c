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
	struct fetch_found *found;
};

static int look_at_line(void *arg, const struct index_line *line)
{
	const struct looking *l = (const struct looking *)arg;

	if (line->len != strlen(l->name) || memcmp(line->name, l->name, line->len) != 0)
		return 0;
	if (line->kind == INDEX_CONTAINER) {
		l->found->container = line->digest;
	} else {
		l->found->image = line->digest;
		l->found->image_size = line->size;
	}
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
	if (!r && !l->found->image.alg && !l->found->container.alg)
		r = error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
			      "%s/" INDEX_FILE ": names no image %s", f->url, l->name);
	return r < 0 ? r : 1;
}

int fetch_look(struct fetch *f, const char *remote, struct fetch_found *ret,
	       struct cairn_error *err)
{
	const struct cairn_digest *pinned = f->options->digest;
	struct fetch_found found = {0};
	struct looking l = {.name = remote, .found = &found};
	int r = remote ? look_in_index(f, &l, err) : 0;

	if (r < 0)
		return r;
	found.list = r > 0;
	if (pinned && found.image.alg && memcmp(&found.image, pinned, sizeof(*pinned)) != 0)
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "%s: %s is another image there than the one asked for", f->url,
				 remote);
	if (pinned)
		found.image = *pinned;
	*ret = found;
	return 0;
}

/* @folder and @name with what a URL cannot have as %XX. */
static int ref_path(const char *folder, const char *name, struct buf *to)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/";
	int r = buf_put(to, folder, strlen(folder));

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

int fetch_image(struct fetch *f, const char *remote, const struct fetch_found *found,
		struct buf *image, struct cairn_digest *ret_digest, struct cairn_error *err)
{
	const size_t most = found->image_size && found->image_size < FETCH_IMAGE_MAX
				    ? (size_t)found->image_size
				    : FETCH_IMAGE_MAX;
	cleanup_buf struct buf path = BUF_INIT(8192);
	char object[OBJECT_PATH_MAX];
	int r;

	if (found->image.alg) {
		(void)object_path(object, found->image.bytes,
				  cairn_digest_size((enum cairn_alg)found->image.alg));
		r = buf_put(&path, "objects/", 8);
		if (!r)
			r = buf_put(&path, object, strlen(object) + 1);
	} else {
		r = ref_path("images/refs/", remote, &path);
	}
	if (r < 0)
		return error_errno(err, r, "%s", f->url);
	r = get(f, path.data, most, image, err);
	return r < 0 ? r : check_digest(f, path.data, &found->image, image, ret_digest, err);
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
			const uint64_t size = want->size == WANT_SIZE_UNKNOWN ? s->at : want->size;

			f->files++;
			f->bytes += size;
			ret->objects += (unsigned int)r;
			ret->bytes += r ? size : 0;
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
	r = fetch_objects(f, w, NULL, &result, err);
	f->take = NULL;
	return r;
}

int fetch_objects(struct fetch *f, const struct wants *w, uint8_t *digests,
		  struct cairn_transfer_result *ret, struct cairn_error *err)
{
	struct slots slots __attribute__((__cleanup__(slots_fini))) = {.nr = 0};
	int r;

	if (f->partial < 0)
		f->partial = partial_open(f->to);
	f->total_files = f->files + w->nr;
	f->total_bytes = f->bytes + w->bytes;
	f->wants = w;
	f->digests = digests;
	r = run(f, &slots, w, ret, err);
	ret->received = f->received;
	return r;
}
