/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Indexes and manifests. */
#include "oci/document.h"

#include <errno.h>
#include <string.h>

#include "oci/json.h"

#define LAYER_OCI    "application/vnd.oci.image.layer."
#define LAYER_DOCKER "application/vnd.docker.image.rootfs."

static const char *const document_names[] = {
	"schemaVersion", "mediaType",   "artifactType", "config",  "layers", "manifests",
	"subject",       "annotations", "fsLayers",     "history", NULL};
static const char *const descriptor_names[] = {"mediaType",    "digest",      "size",
					       "urls",         "annotations", "data",
					       "artifactType", "platform",    NULL};
static const char *const platform_names[] = {"architecture", "os",       "variant", "os.version",
					     "os.features",  "features", NULL};

/* --- media types ----------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && !strcmp(text + a - b, end);
}

static bool is_layer(const char *t)
{
	static const char *const oci[] = {"v1.tar", "v1.tar+gzip", "v1.tar+zstd"};
	static const char *const docker[] = {"diff.tar", "diff.tar.gzip", "diff.tar.zstd"};
	const char *const *names = oci;

	if (!strncmp(t, LAYER_OCI, strlen(LAYER_OCI))) {
		t += strlen(LAYER_OCI);
		if (!strncmp(t, "nondistributable.", 17))
			t += 17;
	} else if (!strncmp(t, LAYER_DOCKER, strlen(LAYER_DOCKER))) {
		t += strlen(LAYER_DOCKER);
		if (!strncmp(t, "foreign.", 8))
			t += 8;
		names = docker;
	} else {
		return false;
	}
	for (size_t i = 0; i < 3; i++) {
		if (!strcmp(t, names[i]))
			return true;
	}
	return false;
}

enum oci_kind oci_kind_of(const char *t)
{
	if (!strcmp(t, OCI_TYPE_INDEX) || !strcmp(t, DOCKER_TYPE_LIST))
		return OCI_KIND_INDEX;
	if (!strcmp(t, OCI_TYPE_MANIFEST) || !strcmp(t, DOCKER_TYPE_MANIFEST))
		return OCI_KIND_MANIFEST;
	if (!strcmp(t, OCI_TYPE_CONFIG) || !strcmp(t, DOCKER_TYPE_CONFIG))
		return OCI_KIND_CONFIG;
	if (!strcmp(t, OCI_TYPE_EMPTY))
		return OCI_KIND_EMPTY;
	if (is_layer(t))
		return OCI_KIND_LAYER;
	if (ends_with(t, "+encrypted") || ends_with(t, "manifest.v1+json") ||
	    ends_with(t, "manifest.v1+prettyjws"))
		return OCI_KIND_REFUSED;
	return OCI_KIND_UNKNOWN;
}

enum oci_compression oci_type_compression(const char *t)
{
	return ends_with(t, "gzip") ? OCI_GZIP : ends_with(t, "zstd") ? OCI_ZSTD : OCI_PLAIN;
}

/* --- annotations ----------------------------------------------------------------------------- */

static int check_annotations(const json_t *object, const char *what, struct cairn_error *err)
{
	json_t *annotations, *value;
	const char *key;
	int r = json_member(object, "annotations", JSON_OBJECT, &annotations, what, err);

	if (r <= 0)
		return r;
	json_object_foreach(annotations, key, value)
	{
		if (!json_is_string(value))
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "%s: annotation '%.200s' is not a string", what, key);
		if (strlen(key) > OCI_KEY_MAX || json_string_length(value) > OCI_VALUE_MAX)
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "%s: annotation '%.200s' is too long", what, key);
	}
	return 0;
}

const char *oci_annotation(const struct oci_descriptor *d, const char *key)
{
	return json_string_value(json_object_get(json_object_get(d->json, "annotations"), key));
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int oci_annotations(const struct oci_descriptor *d,
		    int (*fn)(void *arg, const char *key, const char *value), void *arg)
{
	json_t *annotations = json_object_get(d->json, "annotations"), *value;
	size_t nr = json_object_size(annotations), i = 0;
	const char **keys cleanup_free = (const char **)calloc(nr + 1, sizeof(*keys));
	const char *key;
	int r = 0;

	if (!keys)
		return -ENOMEM;
	json_object_foreach(annotations, key, value) keys[i++] = key;
	qsort(keys, nr, sizeof(*keys), compare_keys);
	for (i = 0; i < nr && r == 0; i++)
		r = fn(arg, keys[i], oci_annotation(d, keys[i]));
	return r;
}

/* --- descriptors ----------------------------------------------------------------------------- */

static int read_platform(const json_t *object, struct oci_descriptor *d, const char *what,
			 struct cairn_error *err)
{
	const char *os = "", *architecture = "", *variant = "";
	json_t *platform, *features = NULL;
	int r = json_member(object, "platform", JSON_OBJECT, &platform, what, err);

	if (r <= 0)
		return r;
	r = json_check_names(platform, platform_names, what, err);
	if (r == 0)
		r = json_text(platform, "os", &os, what, err);
	if (r >= 0)
		r = json_text(platform, "architecture", &architecture, what, err);
	if (r >= 0)
		r = json_text(platform, "variant", &variant, what, err);
	if (r >= 0)
		r = json_member(platform, "os.features", JSON_ARRAY, &features, what, err);
	if (r < 0)
		return r;
	oci_platform_set(&d->platform, os, architecture, variant);
	d->platform.has_features = json_array_size(features) > 0;
	d->has_platform = true;
	return 0;
}

static int read_descriptor(json_t *object, struct oci_descriptor *d, const char *what,
			   struct cairn_error *err)
{
	int r;

	if (!json_is_object(object))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: not an object", what);
	*d = (struct oci_descriptor){.json = object};
	r = json_check_names(object, descriptor_names, what, err);
	if (r == 0)
		r = json_text(object, "mediaType", &d->media_type, what, err);
	if (r >= 0)
		r = json_text(object, "digest", &d->digest, what, err);
	if (r >= 0)
		r = json_text(object, "artifactType", &d->artifact_type, what, err);
	if (r >= 0)
		r = json_text(object, "data", &d->data, what, err);
	if (r >= 0)
		r = json_size(object, "size", &d->size, what, err);
	if (r < 0)
		return r;
	if (r == 0 || !d->media_type || !d->digest)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: without '%s'", what,
				 !d->media_type ? "mediaType"
				 : !d->digest   ? "digest"
						: "size");
	if (!oci_digest_is_valid(d->digest))
		return oci_digest_check(d->digest, what, err);
	r = check_annotations(object, what, err);
	return r < 0 ? r : read_platform(object, d, what, err);
}

static int read_parts(struct oci_document *doc, const char *name, size_t max, const char *what,
		      struct cairn_error *err)
{
	char noun[48];
	json_t *array;
	int r = json_member(doc->json, name, JSON_ARRAY, &array, what, err);

	if (r < 0)
		return r;
	if (r == 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: without '%s'", what, name);
	if (json_array_size(array) > max)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "%s: %zu %s, at most %zu are accepted", what,
				 json_array_size(array), name, max);
	doc->parts =
		(struct oci_descriptor *)calloc(json_array_size(array) + 1, sizeof(*doc->parts));
	if (!doc->parts)
		return error_errno(err, -ENOMEM, "%s", what);
	for (size_t i = 0; i < json_array_size(array); i++) {
		snprintf(noun, sizeof(noun), "%s: %s[%zu]", what, name, i);
		r = read_descriptor(json_array_get(array, i), &doc->parts[i], noun, err);
		if (r < 0)
			return r;
		doc->nr_parts++;
	}
	return 0;
}

/* --- documents ------------------------------------------------------------------------------- */

static bool has(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	return value && !json_is_null(value);
}

static int check_unambiguous(const json_t *root, bool index, const char *what,
			     struct cairn_error *err)
{
	static const char *const in_index[] = {"config", "layers", "fsLayers", "history"};
	static const char *const in_manifest[] = {"manifests", "fsLayers", "history"};
	const char *const *names = index ? in_index : in_manifest;
	size_t nr = index ? ARRAY_SIZE(in_index) : ARRAY_SIZE(in_manifest);

	for (size_t i = 0; i < nr; i++) {
		if (has(root, names[i]))
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "%s: '%s' does not belong in it", what, names[i]);
	}
	return 0;
}

/* Which document it is: by what announced it, by what it says itself, by what is in it. */
static int decide_kind(struct oci_document *doc, const char *type, struct cairn_error *err)
{
	const char *own = NULL, *config = NULL;
	uint64_t schema = 0;
	int r = json_size(doc->json, "schemaVersion", &schema, "manifest", err);

	if (r >= 0)
		r = json_text(doc->json, "mediaType", &own, "manifest", err);
	if (r < 0)
		return r;
	if (schema == 1 || has(doc->json, "fsLayers"))
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "manifest: of schema 1, which is no longer used");
	if (schema != 2)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "manifest: 'schemaVersion' is not 2");
	if (type && own && strcmp(type, own))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "manifest: it says that it is %.100s, but was announced as %.100s",
				 own, type);
	if (!type)
		type = own;
	if (!type) {
		config = json_string_value(
			json_object_get(json_object_get(doc->json, "config"), "mediaType"));
		if (has(doc->json, "manifests"))
			type = OCI_TYPE_INDEX;
		else
			type = config && !strcmp(config, DOCKER_TYPE_CONFIG) ? DOCKER_TYPE_MANIFEST
									     : OCI_TYPE_MANIFEST;
	}
	doc->kind = oci_kind_of(type);
	if (doc->kind != OCI_KIND_INDEX && doc->kind != OCI_KIND_MANIFEST)
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "manifest: of type '%.100s'", type);
	/* @type may be the caller's. */
	doc->media_type = !strcmp(type, OCI_TYPE_INDEX)      ? OCI_TYPE_INDEX
			  : !strcmp(type, DOCKER_TYPE_LIST)  ? DOCKER_TYPE_LIST
			  : !strcmp(type, OCI_TYPE_MANIFEST) ? OCI_TYPE_MANIFEST
							     : DOCKER_TYPE_MANIFEST;
	return 0;
}

static int read_document(struct oci_document *doc, const char *type, struct cairn_error *err)
{
	const char *what;
	json_t *object;
	int r = json_check_names(doc->json, document_names, "manifest", err);

	if (r == 0)
		r = decide_kind(doc, type, err);
	if (r < 0)
		return r;
	what = doc->kind == OCI_KIND_INDEX ? "index" : "manifest";
	r = check_unambiguous(doc->json, doc->kind == OCI_KIND_INDEX, what, err);
	if (r == 0)
		r = json_text(doc->json, "artifactType", &doc->artifact_type, what, err);
	if (r >= 0)
		r = check_annotations(doc->json, what, err);
	doc->self.json = doc->json;
	if (r >= 0)
		r = json_member(doc->json, "subject", JSON_OBJECT, &object, what, err);
	if (r == 1)
		r = read_descriptor(object, &doc->subject, "subject", err);
	if (r < 0)
		return r;
	if (doc->kind == OCI_KIND_INDEX)
		return read_parts(doc, "manifests", OCI_INDEX_MAX, what, err);

	r = json_member(doc->json, "config", JSON_OBJECT, &object, what, err);
	if (r == 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: without 'config'", what);
	if (r > 0)
		r = read_descriptor(object, &doc->config, "config", err);
	if (r < 0)
		return r;
	doc->is_image = oci_kind_of(doc->config.media_type) == OCI_KIND_CONFIG;
	return read_parts(doc, "layers", OCI_LAYERS_MAX, what, err);
}

int oci_document_parse(const void *data, size_t size, const char *type, struct oci_document **ret,
		       struct cairn_error *err)
{
	struct oci_document *doc cleanup(oci_document) =
		(struct oci_document *)calloc(1, sizeof(*doc));
	int r;

	if (!doc)
		return error_errno(err, -ENOMEM, "manifest");
	if (size > OCI_DOCUMENT_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "manifest: %zu bytes, at most %u are accepted", size,
				 OCI_DOCUMENT_MAX);
	r = json_read(data, size, OCI_DEPTH_MAX, "manifest", &doc->json, err);
	if (r == 0)
		r = read_document(doc, type, err);
	if (r < 0)
		return r;
	*ret = take_ptr(doc);
	return 0;
}

void oci_document_free(struct oci_document *doc)
{
	if (!doc)
		return;
	json_decref(doc->json);
	free(doc->parts);
	free(doc);
}
