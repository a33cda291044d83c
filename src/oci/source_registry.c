/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * docker://HOST/NAME — pulling from a registry and its mirrors (oci-registry.md §4).
 *
 * Every place that the configuration names is asked in its order, until one has what is wanted and nothing of it
 * has been handed out yet. What came is checked by digest above us, so mirrors need not be trusted.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "oci/json.h"
#include "oci/registry.h"
#include "oci/source.h"

#define PLACES_MAX   16
#define PATH_MAX_LEN 700
#define PAGES_MAX    100 /* of an answer that goes on */

static const char *const accept_documents[] = {"Accept: " OCI_TYPE_INDEX ", " DOCKER_TYPE_LIST
					       ", " OCI_TYPE_MANIFEST ", " DOCKER_TYPE_MANIFEST,
					       NULL};

struct place {
	struct registry *registry;
	char *name;
	bool insecure;
	enum mirror_use use;
	atomic_bool gone; /* nobody answers there: while there are others it is not asked again */
};

struct source_registry {
	struct source source;
	struct oci_reference ref;
	const struct registry_options *options;
	struct place places[PLACES_MAX];
	unsigned int nr_places;
};

/* --- places ---------------------------------------------------------------------------------- */

static int add_place(struct source_registry *s, const char *location, bool insecure,
		     enum mirror_use use, struct cairn_error *err)
{
	struct place *p = &s->places[s->nr_places];
	const char *slash = strchr(location, '/');
	char host[300];
	int r;

	if (!slash || s->nr_places == PLACES_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "registries.conf: '%.200s' is no place of an image", location);
	snprintf(host, sizeof(host), "%.*s", (int)(slash - location), location);
	p->name = strdup(slash + 1);
	p->use = use;
	r = p->name ? registry_open(host, insecure, s->options, &p->registry, err)
		    : error_errno(err, -ENOMEM, "%s", location);
	s->nr_places++;
	return r;
}

static int add_places(struct source_registry *s, struct cairn_error *err)
{
	static const struct registry_rule none = {0};
	const struct oci_reference *ref = &s->ref;
	const struct registry_rule *rule =
		s->options->registries
			? registries_find(s->options->registries, ref->host, ref->name)
			: NULL;
	char *location;
	int r = 0;

	if (!rule)
		rule = &none;
	if (rule->blocked)
		return error_set(err, -EPERM, CAIRN_ERROR_SYSTEM, "registries.conf blocks %s/%s",
				 ref->host, ref->name);
	for (size_t i = 0; r == 0 && i < rule->nr_mirrors; i++) {
		const struct registry_mirror *m = &rule->mirrors[i];

		location = registry_rule_apply(rule, m->location, ref->host, ref->name);
		r = location ? add_place(s, location, m->insecure,
					 rule->digest_only ? MIRROR_DIGEST_ONLY : m->use, err)
			     : -ENOMEM;
		free(location);
	}
	if (r < 0)
		return r;
	if (rule->location)
		location = registry_rule_apply(rule, rule->location, ref->host, ref->name);
	else if (asprintf(&location, "%s/%s", ref->host, ref->name) < 0)
		location = NULL;
	r = location ? add_place(s, location, rule->insecure, MIRROR_ALL, err)
		     : error_errno(err, -ENOMEM, "%s", ref->host);
	free(location);
	return r;
}

static bool is_usable(const struct source_registry *s, unsigned int i, const char *what)
{
	const struct place *p = &s->places[i];
	bool by_digest = strchr(what, ':') != NULL;

	if (i + 1 < s->nr_places && atomic_load_explicit(&p->gone, memory_order_relaxed))
		return false;
	return p->use == MIRROR_ALL || (p->use == MIRROR_DIGEST_ONLY) == by_digest;
}

/* Whether the next place might have it: not when the user ended it, or our own side failed. */
static bool is_worth_another(struct place *p, int r)
{
	if (r == -ECONNREFUSED || r == -EHOSTUNREACH)
		atomic_store_explicit(&p->gone, true, memory_order_relaxed);
	return r < 0 && r != -ECANCELED && r != -ENOMEM && r != -ENOPKG;
}

/* --- documents ------------------------------------------------------------------------------- */

/* GET of a document: @what is a tag or a digest. */
static int get_document(const struct place *p, const char *kind, const char *what, size_t max,
			struct http_request *request, struct cairn_error *err)
{
	char path[PATH_MAX_LEN];
	int r;

	snprintf(path, sizeof(path), "/v2/%s/%s/%s", p->name, kind, what);
	*request = HTTP_REQUEST_INIT;
	request->headers = accept_documents;
	request->body_max = max;
	request->total_seconds = 60;
	r = registry_do(p->registry, p->name, NULL, REGISTRY_PULL, path, request, err);
	if (r == 0 && request->status != 200)
		r = registry_refusal(p->registry, p->name, request, err);
	return r;
}

/* The media type without parameters; NULL when it says nothing. */
static char *media_type_of(const struct http_request *request)
{
	const char *value = http_header(request, "Content-Type", 0);
	char *type = value ? strndup(value, strcspn(value, "; \t")) : NULL;

	if (type && oci_kind_of(type) != OCI_KIND_INDEX && oci_kind_of(type) != OCI_KIND_MANIFEST &&
	    oci_kind_of(type) != OCI_KIND_REFUSED) {
		free(type);
		type = NULL;
	}
	return type;
}

static int top_from(const struct source_registry *s, const struct place *p, struct source_top *ret,
		    struct cairn_error *err)
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	const char *what = s->ref.digest ? s->ref.digest : s->ref.tag;
	const char *told;
	int r = get_document(p, "manifests", what, OCI_DOCUMENT_MAX, &request, err);

	if (r < 0)
		return r;
	r = oci_hash_data(s->ref.digest, request.ret_body.data, request.ret_body.len, ret->digest);
	if (r < 0)
		return error_set(err, r, CAIRN_ERROR_UNSUPPORTED, "%s: unknown algorithm", what);
	if (s->ref.digest && strcmp(ret->digest, s->ref.digest))
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "registry %s: %s: the manifest that it sent has digest %s, not %s",
				 registry_host(p->registry), p->name, ret->digest, s->ref.digest);
	told = http_header(&request, "Docker-Content-Digest", 0);
	if (told && !strncmp(told, "sha256:", 7) && !s->ref.digest && strcmp(told, ret->digest))
		return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
				 "registry %s: %s: the manifest has digest %s, but it says %.80s",
				 registry_host(p->registry), p->name, ret->digest, told);
	buf_fini(&ret->bytes);
	ret->bytes = request.ret_body;
	request.ret_body = BUF_INIT(0);
	ret->media_type = media_type_of(&request);
	return 0;
}

static int registry_top(struct source *source, struct source_top *ret, struct cairn_error *err)
{
	struct source_registry *s = (struct source_registry *)source;
	const char *what = s->ref.digest ? s->ref.digest : s->ref.tag;
	int r = -ENOENT;

	for (unsigned int i = 0; i < s->nr_places; i++) {
		if (!is_usable(s, i, what))
			continue;
		r = top_from(s, &s->places[i], ret, err);
		if (!is_worth_another(&s->places[i], r))
			return r;
	}
	return r;
}

static int registry_document(struct source *source, const struct oci_descriptor *d, struct buf *ret,
			     struct cairn_error *err)
{
	struct source_registry *s = (struct source_registry *)source;
	enum oci_kind kind = oci_kind_of(d->media_type);
	bool manifest = kind == OCI_KIND_INDEX || kind == OCI_KIND_MANIFEST;
	int r = -ENOENT;

	for (unsigned int i = 0; i < s->nr_places; i++) {
		struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;

		if (!is_usable(s, i, d->digest))
			continue;
		r = get_document(&s->places[i], manifest ? "manifests" : "blobs", d->digest,
				 (size_t)d->size + 1, &request, err);
		if (r == 0) {
			ret->len = 0;
			return buf_put(ret, request.ret_body.data, request.ret_body.len) < 0
				       ? error_errno(err, -ENOMEM, "%s", d->digest)
				       : 0;
		}
		if (!is_worth_another(&s->places[i], r))
			return r;
	}
	return r;
}

/* --- blobs ----------------------------------------------------------------------------------- */

struct flow {
	source_fn fn;
	void *arg;
	uint64_t size;
	struct cairn_error *err;
	bool stopped; /* by fn, which has filled err */
};

static int flow_write(void *arg, const void *data, size_t size)
{
	struct flow *f = (struct flow *)arg;
	int r = f->fn(f->arg, data, size, f->err);

	f->size += size;
	f->stopped = r < 0;
	return r;
}

static int blob_from(const struct place *p, const struct oci_descriptor *d, struct flow *f,
		     struct cairn_error *err)
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	struct cairn_error words;
	char path[PATH_MAX_LEN];
	int r;

	snprintf(path, sizeof(path), "/v2/%s/blobs/%s", p->name, d->digest);
	request.write = flow_write;
	request.arg = f;
	r = registry_do(p->registry, p->name, NULL, REGISTRY_PULL, path, &request, &words);
	if (f->stopped)
		return r;
	if (r == 0 && request.status != 200 && request.status != 206)
		return registry_refusal(p->registry, p->name, &request, err);
	if (r < 0 && err)
		*err = words;
	return r;
}

static int registry_blob(struct source *source, const struct oci_descriptor *d, source_fn fn,
			 void *arg, struct cairn_error *err)
{
	struct source_registry *s = (struct source_registry *)source;
	struct flow f = {.fn = fn, .arg = arg, .err = err};
	int r = -ENOENT;

	for (unsigned int i = 0; i < s->nr_places; i++) {
		if (!is_usable(s, i, d->digest))
			continue;
		r = blob_from(&s->places[i], d, &f, err);
		if (!is_worth_another(&s->places[i], r) || f.size || f.stopped)
			return r;
	}
	return r;
}

/* --- ranges ---------------------------------------------------------------------------------- */

struct part {
	struct parts *parts;
	size_t index;
};

struct parts {
	const struct source_range *ranges;
	int (*fn)(void *arg, size_t i, const void *data, size_t size, struct cairn_error *err);
	void *arg;
	struct cairn_error *err;
	const struct place *place;
	bool none;    /* the other side gives no parts */
	bool stopped; /* by fn */
};

/* All of it instead of a part is not taken: it would be fetched once for each part. */
static int part_begin(void *arg, const struct http_request *request)
{
	struct part *p = (struct part *)arg;

	if (request->partial)
		return 0;
	p->parts->none = true;
	return -EOPNOTSUPP;
}

static int part_write(void *arg, const void *data, size_t size)
{
	struct part *p = (struct part *)arg;
	int r = p->parts->fn(p->parts->arg, p->index, data, size, p->parts->err);

	p->parts->stopped |= r < 0;
	return r;
}

static int part_done(void *arg, struct http_request *request)
{
	struct parts *parts = (struct parts *)arg;
	const struct part *p = (const struct part *)request->arg;
	int r = 0;

	switch (request->status) {
	case 206:
		if (request->size != parts->ranges[p->index].size)
			r = error_set(parts->err, -EILSEQ, CAIRN_ERROR_DIGEST,
				      "registry %s: the blob ends too early",
				      registry_host(parts->place->registry));
		break;
	case 400:
	case 403:
	case 416:
	case 501:
		parts->none = true;
		r = -EOPNOTSUPP;
		break;
	default:
		r = registry_refusal(parts->place->registry, parts->place->name, request,
				     parts->err);
		break;
	}
	http_request_fini(request);
	return r;
}

static int ranges_from(const struct place *p, const struct registry_options *options,
		       const struct oci_descriptor *d, struct parts *parts, size_t nr)
{
	struct http_request *requests cleanup_free =
		(struct http_request *)calloc(nr, sizeof(*requests));
	struct part *all cleanup_free = (struct part *)calloc(nr, sizeof(*all));
	unsigned int parallel = options->http.connections ? options->http.connections : 6;
	char path[PATH_MAX_LEN];
	int r;

	if (!requests || !all)
		return error_errno(parts->err, -ENOMEM, "%s", d->digest);
	for (size_t i = 0; i < nr; i++) {
		all[i] = (struct part){parts, i};
		requests[i] = HTTP_REQUEST_INIT;
		requests[i].range_from = parts->ranges[i].from;
		requests[i].range_size = parts->ranges[i].size;
		requests[i].begin = part_begin;
		requests[i].write = part_write;
		requests[i].arg = &all[i];
	}
	parts->place = p;
	snprintf(path, sizeof(path), "/v2/%s/blobs/%s", p->name, d->digest);
	r = registry_do_many(p->registry, p->name, path, requests, nr, parallel, part_done, parts,
			     parts->err);
	for (size_t i = 0; i < nr; i++)
		http_request_fini(&requests[i]);
	return parts->none ? -EOPNOTSUPP : r;
}

static int registry_ranges(struct source *source, const struct oci_descriptor *d,
			   const struct source_range *ranges, size_t nr,
			   int (*fn)(void *arg, size_t i, const void *data, size_t size,
				     struct cairn_error *err),
			   void *arg, struct cairn_error *err)
{
	struct source_registry *s = (struct source_registry *)source;
	struct cairn_error own = {0};
	struct parts parts = {.ranges = ranges, .fn = fn, .arg = arg, .err = err ? err : &own};
	int r = -EOPNOTSUPP;

	/* Parts of several places would have to be told apart: the first that has it must do. */
	for (unsigned int i = 0; i < s->nr_places; i++) {
		if (!is_usable(s, i, d->digest))
			continue;
		r = ranges_from(&s->places[i], s->options, d, &parts, nr);
		if (r != -ENOENT || parts.stopped)
			return r;
	}
	return r;
}

/* --- referrers ------------------------------------------------------------------------------- */

/* The address of the next page: Link: <…>; rel="next". On the heap. */
static char *next_page(const struct http_request *request)
{
	const char *link = http_header(request, "Link", 0), *end;

	if (!link || *link != '<' || !strstr(link, "rel=\"next\""))
		return NULL;
	end = strchr(link, '>');
	return end ? strndup(link + 1, (size_t)(end - link) - 1) : NULL;
}

static int add_page(json_t *list, const struct buf *body, const char *artifact_type,
		    struct cairn_error *err)
{
	struct oci_document *index cleanup(oci_document) = NULL;
	int r = oci_document_parse(body->data, body->len, NULL, &index, err);

	if (r < 0)
		return r;
	if (index->kind != OCI_KIND_INDEX)
		return error_set(err, -EPROTO, CAIRN_ERROR_FORMAT, "referrers: not an index");
	for (size_t i = 0; i < index->nr_parts; i++) {
		const struct oci_descriptor *d = &index->parts[i];

		if (artifact_type && (!d->artifact_type || strcmp(d->artifact_type, artifact_type)))
			continue;
		if (json_array_size(list) >= OCI_INDEX_MAX || json_array_append(list, d->json) < 0)
			return error_set(err, -EFBIG, CAIRN_ERROR_FORMAT, "referrers: more than %u",
					 OCI_INDEX_MAX);
	}
	return 0;
}

/* Returns 1: done; 0: the registry has no such API; or a negative errno. */
static int ask_api(const struct place *p, const char *digest, const char *artifact_type,
		   json_t *list, struct cairn_error *err)
{
	char *page cleanup_free = NULL;
	int r = asprintf(&page, "/v2/%s/referrers/%s", p->name, digest);

	for (unsigned int i = 0; r >= 0 && page && i < PAGES_MAX; i++) {
		struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
		const char *type;
		char *next = NULL;

		request.body_max = OCI_DOCUMENT_MAX;
		request.total_seconds = 60;
		/* A link is followed on this registry only: it is a path, or it is not followed. */
		if (*page != '/')
			return 1;
		r = registry_do(p->registry, p->name, NULL, REGISTRY_PULL, page, &request, err);
		if (r < 0)
			return r;
		type = http_header(&request, "Content-Type", 0);
		if (request.status == 404 || request.status == 405 ||
		    (request.status == 200 &&
		     (!type || strncmp(type, OCI_TYPE_INDEX, strlen(OCI_TYPE_INDEX)))))
			return 0;
		if (request.status != 200)
			return registry_refusal(p->registry, p->name, &request, err);
		r = add_page(list, &request.ret_body, artifact_type, err);
		next = next_page(&request);
		free(page);
		page = next;
	}
	return r < 0 ? r : 1;
}

/* What refers to a manifest is listed in an index with a tag made of its digest. */
static int ask_tag(const struct place *p, const char *digest, const char *artifact_type,
		   json_t *list, struct cairn_error *err)
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char tag[OCI_DIGEST_MAX];
	int r;

	oci_referrers_tag(digest, tag);
	r = get_document(p, "manifests", tag, OCI_DOCUMENT_MAX, &request, err);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : add_page(list, &request.ret_body, artifact_type, err);
}

static int registry_referrers(struct source *source, const char *digest, const char *artifact_type,
			      struct buf *ret, struct cairn_error *err)
{
	struct source_registry *s = (struct source_registry *)source;
	const struct place *p = &s->places[s->nr_places - 1];
	json_t *list cleanup(json) = json_array(), *index cleanup(json) = NULL;
	char *text cleanup_free = NULL;
	int r = ask_api(p, digest, artifact_type, list, err);

	if (r == 0)
		r = ask_tag(p, digest, artifact_type, list, err);
	if (r < 0)
		return r;
	index = json_pack("{s:i,s:s,s:O}", "schemaVersion", 2, "mediaType", OCI_TYPE_INDEX,
			  "manifests", list);
	text = index ? json_dumps(index, JSON_COMPACT) : NULL;
	if (!text || buf_put(ret, text, strlen(text)) < 0)
		return error_errno(err, -ENOMEM, "referrers");
	return 0;
}

/* --- tags ------------------------------------------------------------------------------------ */

static int read_tags(const struct buf *body, int (*fn)(void *arg, const char *tag), void *arg,
		     struct cairn_error *err)
{
	json_t *root cleanup(json) = NULL, *tags = NULL;
	int r = json_read(body->data, body->len, 16, "tags", &root, err);

	if (r == 0)
		r = json_member(root, "tags", JSON_ARRAY, &tags, "tags", err);
	for (size_t i = 0; r >= 0 && i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		if (!tag || !oci_tag_is_valid(tag))
			return error_set(err, -EPROTO, CAIRN_ERROR_FORMAT,
					 "the registry tells of a tag that is none");
		r = fn(arg, tag);
	}
	return r < 0 ? r : 0;
}

static int registry_tags(struct source *source, int (*fn)(void *arg, const char *tag), void *arg,
			 struct cairn_error *err)
{
	struct source_registry *s = (struct source_registry *)source;
	const struct place *p = &s->places[s->nr_places - 1];
	char *page cleanup_free = NULL;
	int r = asprintf(&page, "/v2/%s/tags/list", p->name);

	for (unsigned int i = 0; r >= 0 && page && *page == '/' && i < PAGES_MAX; i++) {
		struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
		char *next;

		request.body_max = OCI_DOCUMENT_MAX;
		request.total_seconds = 60;
		r = registry_do(p->registry, p->name, NULL, REGISTRY_PULL, page, &request, err);
		if (r == 0 && request.status != 200)
			r = registry_refusal(p->registry, p->name, &request, err);
		if (r == 0)
			r = read_tags(&request.ret_body, fn, arg, err);
		next = next_page(&request);
		free(page);
		page = next;
	}
	return r < 0 ? r : 0;
}

/* --- opening --------------------------------------------------------------------------------- */

static void registry_free(struct source *source)
{
	struct source_registry *s = (struct source_registry *)source;

	for (unsigned int i = 0; i < s->nr_places; i++) {
		registry_close(s->places[i].registry);
		free(s->places[i].name);
	}
	oci_reference_fini(&s->ref);
	free(s);
}

static const struct source_ops registry_ops = {
	.top = registry_top,
	.document = registry_document,
	.blob = registry_blob,
	.ranges = registry_ranges,
	.tags = registry_tags,
	.referrers = registry_referrers,
	.free = registry_free,
};

int oci_source_registry_open(const struct oci_reference *ref,
			     const struct registry_options *options, struct source **ret,
			     struct cairn_error *err)
{
	struct source_registry *s = (struct source_registry *)calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_errno(err, -ENOMEM, "%s", ref->name);
	s->source.ops = &registry_ops;
	s->options = options;
	s->ref = (struct oci_reference){
		.transport = OCI_REGISTRY,
		.host = strdup(ref->host),
		.name = strdup(ref->name),
		.tag = ref->tag ? strdup(ref->tag) : NULL,
		.digest = ref->digest ? strdup(ref->digest) : NULL,
	};
	s->source.name = oci_reference_format(&s->ref);
	r = add_places(s, err);
	if (r < 0) {
		oci_source_free(&s->source);
		return r;
	}
	*ret = &s->source;
	return 0;
}
