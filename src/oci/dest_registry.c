/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* A registry as a destination (oci-registry.md §5). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/json.h"
#include "oci/push.h"

#define PATH_MAX_LEN 700

struct registry_dest {
	struct dest dest;
	struct registry *registry;
	char *name;
};

static int send(struct registry_dest *d, const char *path, struct http_request *request,
		struct cairn_error *err)
{
	return registry_do(d->registry, d->name, NULL, REGISTRY_PUSH, path, request, err);
}

static int registry_has(struct dest *dest, const char *digest, uint64_t size,
			struct cairn_error *err)
{
	struct registry_dest *d = (struct registry_dest *)dest;
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char path[PATH_MAX_LEN];
	int r;

	(void)size;
	snprintf(path, sizeof(path), "/v2/%s/blobs/%s", d->name, digest);
	request.method = HTTP_HEAD;
	request.total_seconds = 60;
	r = send(d, path, &request, err);
	if (r < 0)
		return r;
	if (request.status == 200 || request.status == 404)
		return request.status == 200;
	return registry_refusal(d->registry, d->name, &request, err);
}

/* A registry that cannot begins an upload instead, which is of no use. */
static void cancel_upload(struct registry_dest *d, const char *path, const char *location)
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char *base cleanup_free = registry_url(d->registry, NULL, path, NULL);
	char *url cleanup_free = base ? registry_url(d->registry, base, location, NULL) : NULL;

	request.method = HTTP_DELETE;
	request.total_seconds = 60;
	request.attempts = 1;
	if (url)
		(void)send(d, url, &request, NULL);
}

static int registry_mount(struct dest *dest, const char *digest, const char *from,
			  struct cairn_error *err)
{
	struct registry_dest *d = (struct registry_dest *)dest;
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char path[PATH_MAX_LEN + 2 * OCI_DIGEST_MAX];
	const char *told;
	int r;

	if (!strcmp(from, d->name))
		return 0;
	snprintf(path, sizeof(path), "/v2/%s/blobs/uploads/?mount=%s&from=%s", d->name, digest,
		 from);
	request.method = HTTP_POST;
	request.total_seconds = 60;
	request.body_max = HTTP_ERROR_BODY_MAX;
	r = registry_do(d->registry, d->name, from, REGISTRY_PUSH, path, &request, err);
	if (r == -EACCES) /* no token for both: then not so */
		return 0;
	told = http_header(&request, "Location", 0);
	if (r == 0 && request.status == 202 && told) {
		snprintf(path, sizeof(path), "/v2/%s/blobs/uploads/", d->name);
		cancel_upload(d, path, told);
	}
	return r < 0 ? r : request.status == 201;
}

/* Begins an upload: where the blob is to be sent to. On the heap. */
static char *begin_upload(struct registry_dest *d, const char *digest, struct cairn_error *err)
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char path[PATH_MAX_LEN], *base cleanup_free = NULL, *location cleanup_free = NULL,
				       *url = NULL;
	const char *told;

	snprintf(path, sizeof(path), "/v2/%s/blobs/uploads/", d->name);
	request.method = HTTP_POST;
	request.total_seconds = 60;
	request.body_max = HTTP_ERROR_BODY_MAX;
	if (send(d, path, &request, err) < 0)
		return NULL;
	told = http_header(&request, "Location", 0);
	if (request.status != 202 || !told) {
		registry_refusal(d->registry, d->name, &request, err);
		return NULL;
	}
	base = registry_url(d->registry, NULL, path, err);
	location = base ? registry_url(d->registry, base, told, err) : NULL;
	if (location && asprintf(&url, "%s%sdigest=%s", location, strchr(location, '?') ? "&" : "?",
				 digest) < 0)
		url = NULL;
	return url;
}

static int read_fd(void *arg, uint64_t offset, void *data, size_t size)
{
	ssize_t n = pread(*(const int *)arg, data, size, (off_t)offset);

	return n < 0 ? -errno : (int)n;
}

static int registry_blob(struct dest *dest, const char *digest, uint64_t size, int fd,
			 struct cairn_error *err)
{
	static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
	struct registry_dest *d = (struct registry_dest *)dest;
	int r = -EIO;

	/* An upload that broke off begins again: its address may be used up. */
	for (unsigned int attempt = 0; attempt < 3; attempt++) {
		struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
		char *url cleanup_free = begin_upload(d, digest, err);

		if (!url)
			return err && err->code ? err->code : -EIO;
		request.method = HTTP_PUT;
		request.headers = headers;
		request.body_size = size;
		request.body_read = read_fd;
		request.body_arg = &fd;
		request.body_max = HTTP_ERROR_BODY_MAX;
		request.attempts = 1;
		r = send(d, url, &request, err);
		if (r == 0 && request.status == 201)
			return 0;
		if (r == 0)
			r = registry_refusal(d->registry, d->name, &request, err);
		if (r != -ECONNRESET && r != -ETIMEDOUT && r != -EIO && request.status != 404)
			break;
	}
	return r;
}

static int put_manifest(struct registry_dest *d, const struct buf *bytes, const char *media_type,
			const char *reference, bool *ret_subject, struct cairn_error *err)
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char path[PATH_MAX_LEN], type[300];
	const char *const headers[] = {type, NULL};
	int r;

	snprintf(path, sizeof(path), "/v2/%s/manifests/%s", d->name, reference);
	snprintf(type, sizeof(type), "Content-Type: %s", media_type);
	request.method = HTTP_PUT;
	request.headers = headers;
	request.body = bytes->data;
	request.body_size = bytes->len;
	request.body_max = HTTP_ERROR_BODY_MAX;
	request.total_seconds = 60;
	r = send(d, path, &request, err);
	if (r == 0 && request.status != 201)
		r = registry_refusal(d->registry, d->name, &request, err);
	if (r == 0)
		*ret_subject = http_header(&request, "OCI-Subject", 0) != NULL;
	return r;
}

/* The index of what refers to @subject, where the registry does not keep one by itself. */
static int get_referrers(struct registry_dest *d, const char *tag, json_t **ret,
			 struct cairn_error *err)
{
	static const char *const headers[] = {"Accept: " OCI_TYPE_INDEX, NULL};
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char path[PATH_MAX_LEN];
	int r;

	snprintf(path, sizeof(path), "/v2/%s/manifests/%s", d->name, tag);
	request.headers = headers;
	request.body_max = OCI_DOCUMENT_MAX;
	request.total_seconds = 60;
	r = send(d, path, &request, err);
	if (r < 0)
		return r;
	if (request.status == 404) {
		*ret = json_pack("{s:i,s:s,s:[]}", "schemaVersion", 2, "mediaType", OCI_TYPE_INDEX,
				 "manifests");
		return *ret ? 0 : error_errno(err, -ENOMEM, "referrers");
	}
	if (request.status != 200)
		return registry_refusal(d->registry, d->name, &request, err);
	return json_read(request.ret_body.data, request.ret_body.len, OCI_DEPTH_MAX, "referrers",
			 ret, err);
}

static int add_referrer(struct registry_dest *d, const struct buf *bytes, const char *media_type,
			const char *digest, const char *subject, const char *artifact_type,
			struct cairn_error *err)
{
	json_t *index cleanup(json) = NULL, *list;
	struct buf text cleanup_buf = BUF_INIT(OCI_DOCUMENT_MAX);
	char tag[OCI_DIGEST_MAX], *dumped cleanup_free = NULL;
	bool ignored;
	int r;

	oci_referrers_tag(subject, tag);
	r = get_referrers(d, tag, &index, err);
	if (r < 0)
		return r;
	list = json_object_get(index, "manifests");
	if (!json_is_array(list))
		return error_set(err, -EPROTO, CAIRN_ERROR_FORMAT, "referrers: not an index");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *there =
			json_string_value(json_object_get(json_array_get(list, i), "digest"));

		if (there && !strcmp(there, digest))
			return 0;
	}
	json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:s}", "mediaType", media_type,
					      "digest", digest, "size", (json_int_t)bytes->len,
					      "artifactType", artifact_type));
	dumped = json_dumps(index, JSON_COMPACT);
	if (!dumped || buf_put(&text, dumped, strlen(dumped)) < 0)
		return error_errno(err, -ENOMEM, "referrers");
	return put_manifest(d, &text, OCI_TYPE_INDEX, tag, &ignored, err);
}

static int registry_manifest(struct dest *dest, const struct buf *bytes, const char *media_type,
			     const char *digest, const char *tag, const char *subject,
			     const char *artifact_type, struct cairn_error *err)
{
	struct registry_dest *d = (struct registry_dest *)dest;
	bool listed = false;
	int r = put_manifest(d, bytes, media_type, tag ? tag : digest, &listed, err);

	if (r < 0 || !subject || listed)
		return r;
	return add_referrer(d, bytes, media_type, digest, subject, artifact_type, err);
}

static void registry_free(struct dest *dest)
{
	struct registry_dest *d = (struct registry_dest *)dest;

	registry_close(d->registry);
	free(d->name);
	free(d);
}

static const struct dest_ops registry_ops = {
	.has = registry_has,
	.mount = registry_mount,
	.blob = registry_blob,
	.manifest = registry_manifest,
	.free = registry_free,
};

int dest_registry_open(const struct oci_reference *ref, const struct registry_options *options,
		       struct dest **ret, struct cairn_error *err)
{
	const struct registry_rule *rule =
		options->registries ? registries_find(options->registries, ref->host, ref->name)
				    : NULL;
	struct registry_dest *d = (struct registry_dest *)calloc(1, sizeof(*d));
	int r;

	if (!d)
		return error_errno(err, -ENOMEM, "%s", ref->name);
	d->dest.ops = &registry_ops;
	d->name = strdup(ref->name);
	r = registry_open(ref->host, rule && rule->insecure, options, &d->registry, err);
	if (r < 0) {
		registry_free(&d->dest);
		return r;
	}
	*ret = &d->dest;
	return 0;
}
