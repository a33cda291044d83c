/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * docker-archive:FILE — `docker save` (oci-image.md §10) — and tar:FILE, a single layer.
 *
 * Neither has a manifest: one is made here, of the config and the plain tars of the layers. The layers' digests
 * are then the diff_ids of the config, which are checked as all digests are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "oci/files.h"
#include "oci/json.h"
#include "sys/decompress.h"

#define DOCKER_MANIFEST_MAX (1u << 20)
#define UNPACKED_MAX        ((uint64_t)512 << 30)

struct made_layer {
	char *name;                  /* of the file */
	char digest[OCI_DIGEST_MAX]; /* of the tar */
	uint64_t size;               /* bytes of it */
};

struct made {
	struct source source;
	struct files *files;
	struct made_layer *layers;
	size_t nr_layers;
	struct buf config, manifest;
	char config_digest[OCI_DIGEST_MAX];
};

/* --- contents -------------------------------------------------------------------------------- */

static int feed(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	return decompressor_feed((struct decompressor *)arg, data, size, err);
}

/* The plain tar of a layer. */
static int stream_layer(struct made *m, const char *name, source_fn fn, void *arg,
			struct cairn_error *err)
{
	struct decompressor *d cleanup(decompressor) = NULL;
	int r = decompressor_new(COMPRESSION_AUTO, UNPACKED_MAX, fn, arg, &d);

	if (r < 0)
		return error_errno(err, r, "%s", name);
	r = files_stream(m->files, name, 0, UINT64_MAX, feed, d, err);
	return r < 0 ? r : decompressor_finish(d, err);
}

struct measure {
	struct oci_hash hash;
	uint64_t size;
};

static int measure_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	struct measure *m = (struct measure *)arg;

	m->size += size;
	return oci_hash_update(&m->hash, data, size) < 0 ? error_errno(err, -ENOMEM, "hashing") : 0;
}

static int count_piece(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	(void)data;
	(void)err;
	*(uint64_t *)arg += size;
	return 0;
}

/* --- the source ------------------------------------------------------------------------------ */

static int made_top(struct source *s, struct source_top *ret, struct cairn_error *err)
{
	struct made *m = (struct made *)s;

	ret->media_type = strdup(DOCKER_TYPE_MANIFEST);
	if (!ret->media_type || buf_put(&ret->bytes, m->manifest.data, m->manifest.len) < 0 ||
	    oci_hash_data(NULL, m->manifest.data, m->manifest.len, ret->digest) < 0)
		return error_errno(err, -ENOMEM, "manifest");
	return 0;
}

static int made_document(struct source *s, const struct oci_descriptor *d, struct buf *ret,
			 struct cairn_error *err)
{
	struct made *m = (struct made *)s;

	if (strcmp(d->digest, m->config_digest))
		return error_errno(err, -ENOENT, "%s", d->digest);
	ret->len = 0;
	return buf_put(ret, m->config.data, m->config.len) < 0 ? error_errno(err, -ENOMEM, "config")
							       : 0;
}

static int made_blob(struct source *s, const struct oci_descriptor *d, source_fn fn, void *arg,
		     struct cairn_error *err)
{
	struct made *m = (struct made *)s;

	for (size_t i = 0; i < m->nr_layers; i++) {
		if (!strcmp(m->layers[i].digest, d->digest))
			return stream_layer(m, m->layers[i].name, fn, arg, err);
	}
	return error_errno(err, -ENOENT, "%s", d->digest);
}

static void made_free(struct source *s)
{
	struct made *m = (struct made *)s;

	files_close(m->files);
	for (size_t i = 0; i < m->nr_layers; i++)
		free(m->layers[i].name);
	free(m->layers);
	buf_fini(&m->config);
	buf_fini(&m->manifest);
	free(m);
}

static const struct source_ops made_ops = {
	.top = made_top,
	.document = made_document,
	.blob = made_blob,
	.free = made_free,
};

static struct made *new_made(const struct oci_reference *ref)
{
	struct made *m = (struct made *)calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->source.ops = &made_ops;
	m->source.name = strdup(ref->path);
	m->config = BUF_INIT(OCI_DOCUMENT_MAX);
	m->manifest = BUF_INIT(OCI_DOCUMENT_MAX);
	return m;
}

/* --- the manifest ---------------------------------------------------------------------------- */

static int put(struct buf *b, const char *text)
{
	return buf_put(b, text, strlen(text));
}

static int put_descriptor(struct buf *b, const char *type, uint64_t size, const char *digest)
{
	char text[OCI_DIGEST_MAX + 200];

	snprintf(text, sizeof(text), "{\"mediaType\":\"%s\",\"size\":%llu,\"digest\":\"%s\"}", type,
		 (unsigned long long)size, digest);
	return put(b, text);
}

static int make_manifest(struct made *m, struct cairn_error *err)
{
	struct buf *b = &m->manifest;
	int r = oci_hash_data(NULL, m->config.data, m->config.len, m->config_digest);

	if (r == 0)
		r = put(b, "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER_TYPE_MANIFEST
			   "\",\"config\":");
	if (r == 0)
		r = put_descriptor(b, DOCKER_TYPE_CONFIG, m->config.len, m->config_digest);
	if (r == 0)
		r = put(b, ",\"layers\":[");
	for (size_t i = 0; i < m->nr_layers && r == 0; i++) {
		if (i)
			r = put(b, ",");
		if (r == 0)
			r = put_descriptor(b, DOCKER_TYPE_LAYER, m->layers[i].size,
					   m->layers[i].digest);
	}
	if (r == 0)
		r = put(b, "]}");
	return r < 0 ? error_errno(err, r, "manifest") : 0;
}

/* --- docker-archive -------------------------------------------------------------------------- */

/* "a" and "docker.io/library/a:latest" are one name. */
static bool same_name(const char *a, const char *b)
{
	struct oci_reference one cleanup_oci_reference = {0}, two cleanup_oci_reference = {0};

	if (!strcmp(a, b))
		return true;
	if (oci_reference_parse(a, &one, NULL) < 0 || oci_reference_parse(b, &two, NULL) < 0)
		return false;
	return one.transport == OCI_REGISTRY && two.transport == OCI_REGISTRY && one.tag &&
	       two.tag && !strcmp(one.host, two.host) && !strcmp(one.name, two.name) &&
	       !strcmp(one.tag, two.tag);
}

static bool has_tag(const json_t *image, const char *tag)
{
	json_t *tags = json_object_get(image, "RepoTags");

	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *text = json_string_value(json_array_get(tags, i));

		if (text && same_name(text, tag))
			return true;
	}
	return false;
}

/* Which of the images in manifest.json. */
static int choose(const json_t *list, const struct oci_reference *ref, const json_t **ret,
		  struct cairn_error *err)
{
	size_t nr = json_array_size(list);

	if (ref->index >= 0) {
		*ret = json_array_get(list, (size_t)ref->index);
		if (!*ret)
			return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM,
					 "%zu images are in it, none has number %lld", nr,
					 (long long)ref->index);
		return 0;
	}
	for (size_t i = 0; i < nr; i++) {
		*ret = json_array_get(list, i);
		if (ref->tag ? has_tag(*ret, ref->tag) : nr == 1)
			return 0;
	}
	if (ref->tag)
		return error_set(err, -ENOENT, CAIRN_ERROR_SYSTEM, "there is no image %s in it",
				 ref->tag);
	return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
			 "%zu images are in it: name one, as in docker-archive:FILE:NAME:TAG or "
			 "docker-archive:FILE:@0",
			 nr);
}

/* The names of the layers, and their digests by the config. */
static int add_layers(struct made *m, const json_t *names, const struct oci_config *config,
		      struct cairn_error *err)
{
	size_t nr = json_array_size(names);

	if (nr != config->nr_diff_ids)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "manifest.json has %zu layers, the config %zu", nr,
				 config->nr_diff_ids);
	m->layers = (struct made_layer *)calloc(nr + 1, sizeof(*m->layers));
	if (!m->layers)
		return error_errno(err, -ENOMEM, "layers");
	for (size_t i = 0; i < nr; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		struct made_layer *l = &m->layers[i];
		int r;

		if (!name)
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "manifest.json: a layer is not a string");
		l->name = strdup(name);
		snprintf(l->digest, sizeof(l->digest), "%s", config->diff_ids[i]);
		m->nr_layers++;
		r = l->name ? stream_layer(m, l->name, count_piece, &l->size, err)
			    : error_errno(err, -ENOMEM, "layers");
		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++) {
			if (!strcmp(m->layers[k].name, name) &&
			    strcmp(m->layers[k].digest, l->digest))
				return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
						 "%s is said to be two different layers", name);
		}
	}
	return 0;
}

static int read_docker(struct made *m, const struct oci_reference *ref, struct cairn_error *err)
{
	struct buf text cleanup_buf = BUF_INIT(DOCKER_MANIFEST_MAX + 16);
	struct oci_config *config cleanup(oci_config) = NULL;
	json_t *root cleanup(json) = NULL, *names = NULL;
	const json_t *image = NULL;
	const char *name = NULL;
	int r = files_read(m->files, "manifest.json", DOCKER_MANIFEST_MAX, &text, err);

	/* It is an array; json_read() takes objects. */
	if (r == 0)
		r = buf_put(&text, "}", 1);
	if (r == 0) {
		r = buf_reserve(&text, 8);
		if (r == 0) {
			memmove(text.data + 5, text.data, text.len);
			memcpy(text.data, "{\"a\":", 5);
			text.len += 5;
		}
	}
	if (r == 0)
		r = json_read(text.data, text.len, 16, "manifest.json", &root, err);
	if (r == 0)
		r = choose(json_object_get(root, "a"), ref, &image, err);
	if (r == 0)
		r = json_text(image, "Config", &name, "manifest.json", err);
	if (r == 1)
		r = json_member(image, "Layers", JSON_ARRAY, &names, "manifest.json", err);
	if (r < 0)
		return r;
	if (!name || !names)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "manifest.json: an image without Config and Layers");
	r = files_read(m->files, name, OCI_DOCUMENT_MAX, &m->config, err);
	if (r == 0)
		r = oci_config_parse(m->config.data, m->config.len, &config, err);
	return r < 0 ? r : add_layers(m, names, config, err);
}

int oci_source_docker_open(const struct oci_reference *ref, struct source **ret,
			   struct cairn_error *err)
{
	struct made *m = new_made(ref);
	int r = m ? files_open_archive(ref->path, &m->files, err)
		  : error_errno(err, -ENOMEM, "%s", ref->path);

	if (r == 0) {
		r = read_docker(m, ref, err);
		if (r == 0)
			r = make_manifest(m, err);
		if (r < 0)
			error_prepend(err, "%s", ref->path);
	}
	if (r < 0) {
		if (m)
			oci_source_free(&m->source);
		return r;
	}
	*ret = &m->source;
	return 0;
}

/* --- tar ------------------------------------------------------------------------------------- */

/* A config that says nothing but what the layer is, and that it is for this machine. */
static int make_config(struct made *m, struct cairn_error *err)
{
	struct oci_platform platform;
	struct utsname name;
	char text[OCI_DIGEST_MAX + 300];

	if (uname(&name) < 0)
		return error_errno(err, -errno, "uname");
	oci_platform_of_machine(&platform, name.machine);
	snprintf(text, sizeof(text),
		 "{\"architecture\":\"%s\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		 "\"diff_ids\":[\"%s\"]}}",
		 platform.architecture, m->layers[0].digest);
	return put(&m->config, text) < 0 ? error_errno(err, -ENOMEM, "config") : 0;
}

static int read_tar(struct made *m, const char *path, struct cairn_error *err)
{
	struct measure measure = {0};
	int r = files_open_file(path, &m->files, err);

	if (r < 0)
		return r;
	m->layers = (struct made_layer *)calloc(1, sizeof(*m->layers));
	if (!m->layers || oci_hash_init(&measure.hash, NULL) < 0)
		return error_errno(err, -ENOMEM, "%s", path);
	m->nr_layers = 1;
	m->layers[0].name = strdup(path);
	r = m->layers[0].name ? stream_layer(m, path, measure_piece, &measure, err) : -ENOMEM;
	if (r == 0)
		r = oci_hash_final(&measure.hash, m->layers[0].digest);
	oci_hash_fini(&measure.hash);
	m->layers[0].size = measure.size;
	if (r == 0)
		r = make_config(m, err);
	return r < 0 ? r : make_manifest(m, err);
}

int oci_source_tar_open(const struct oci_reference *ref, struct source **ret,
			struct cairn_error *err)
{
	struct made *m = new_made(ref);
	int r = m ? read_tar(m, ref->path, err) : error_errno(err, -ENOMEM, "%s", ref->path);

	if (r < 0) {
		if (m)
			oci_source_free(&m->source);
		return r;
	}
	*ret = &m->source;
	return 0;
}
