/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* One more layer upon an image. */
#include "oci/commit.h"

#include <errno.h>
#include <string.h>

#include "oci/json.h"
#include "oci/push.h"

struct committed {
	struct source source;
	const struct oci_image *base;
	const struct commit *commit;
	struct buf manifest, config;
	char manifest_digest[OCI_DIGEST_MAX], config_digest[OCI_DIGEST_MAX];
};

/* --- documents ------------------------------------------------------------------------------- */

static int print(const json_t *document, struct buf *to, char digest[OCI_DIGEST_MAX],
		 struct cairn_error *err)
{
	char *text cleanup_free = json_dumps(document, JSON_COMPACT);

	if (!text || buf_put(to, text, strlen(text)) < 0 ||
	    oci_hash_data(NULL, to->data, to->len, digest) < 0)
		return error_errno(err, -ENOMEM, "commit");
	return 0;
}

/* The list in @object, which is made when it is missing. */
static json_t *list_in(json_t *object, const char *name)
{
	if (!json_is_array(json_object_get(object, name)))
		json_object_set_new(object, name, json_array());
	return json_object_get(object, name);
}

static int make_config(struct committed *c, struct cairn_error *err)
{
	const struct commit *m = c->commit;
	json_t *config cleanup(json) = json_deep_copy(c->base->config->json), *rootfs, *entry;

	rootfs = json_object_get(config, "rootfs");
	entry = json_pack("{s:s,s:s}", "created", m->created, "created_by", m->created_by);
	if (m->comment)
		json_object_set_new(entry, "comment", json_string(m->comment));
	if (!config || json_object_set_new(config, "created", json_string(m->created)) < 0 ||
	    json_array_append_new(list_in(rootfs, "diff_ids"), json_string(m->diff_id)) < 0 ||
	    json_array_append_new(list_in(config, "history"), entry) < 0)
		return error_errno(err, -ENOMEM, "commit");
	return print(config, &c->config, c->config_digest, err);
}

static int make_manifest(struct committed *c, struct cairn_error *err)
{
	json_t *manifest cleanup(json) = json_deep_copy(c->base->manifest->json), *config;

	config = json_object_get(manifest, "config");
	if (!manifest || manifest_to_oci(manifest) < 0 ||
	    json_object_set_new(config, "digest", json_string(c->config_digest)) < 0 ||
	    json_object_set_new(config, "size", json_integer((json_int_t)c->config.len)) < 0 ||
	    json_array_append_new(json_object_get(manifest, "layers"),
				  json_pack("{s:s,s:s,s:I}", "mediaType", OCI_TYPE_LAYER, "digest",
					    c->commit->diff_id, "size",
					    (json_int_t)c->commit->size)) < 0)
		return error_errno(err, -ENOMEM, "commit");
	/* They are about the image that is below: its seal, its base. */
	json_object_del(manifest, "annotations");
	json_object_del(config, "annotations");
	json_object_del(config, "data");
	return print(manifest, &c->manifest, c->manifest_digest, err);
}

/* --- the source ------------------------------------------------------------------------------ */

static int commit_top(struct source *source, struct source_top *ret, struct cairn_error *err)
{
	const struct committed *c = (const struct committed *)source;

	memcpy(ret->digest, c->manifest_digest, sizeof(ret->digest));
	ret->media_type = strdup(OCI_TYPE_MANIFEST);
	if (buf_put(&ret->bytes, c->manifest.data, c->manifest.len) < 0)
		return error_errno(err, -ENOMEM, "commit");
	return 0;
}

static int commit_document(struct source *source, const struct oci_descriptor *d, struct buf *ret,
			   struct cairn_error *err)
{
	const struct committed *c = (const struct committed *)source;

	if (strcmp(d->digest, c->config_digest))
		return error_errno(err, -ENOENT, "%s", d->digest);
	return buf_put(ret, c->config.data, c->config.len) < 0 ? error_errno(err, -ENOMEM, "commit")
							       : 0;
}

static int commit_blob(struct source *source, const struct oci_descriptor *d, source_fn fn,
		       void *arg, struct cairn_error *err)
{
	const struct committed *c = (const struct committed *)source;

	if (!strcmp(d->digest, c->commit->diff_id))
		return c->commit->write(c->commit->arg, fn, arg, err);
	return c->base->source->ops->blob(c->base->source, d, fn, arg, err);
}

static void commit_free(struct source *source)
{
	struct committed *c = (struct committed *)source;

	buf_fini(&c->manifest);
	buf_fini(&c->config);
	free(c);
}

static const struct source_ops commit_ops = {
	.top = commit_top,
	.document = commit_document,
	.blob = commit_blob,
	.free = commit_free,
};

int oci_source_commit_open(const struct oci_image *base, const struct commit *commit,
			   struct source **ret, struct cairn_error *err)
{
	struct committed *c = (struct committed *)calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_errno(err, -ENOMEM, "commit");
	c->source.ops = &commit_ops;
	c->source.name = strdup("commit");
	c->base = base;
	c->commit = commit;
	c->manifest = BUF_INIT(OCI_DOCUMENT_MAX);
	c->config = BUF_INIT(OCI_DOCUMENT_MAX);
	r = base->manifest->nr_parts == OCI_LAYERS_MAX
		    ? error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				"the image has %u layers already, and can have no more",
				OCI_LAYERS_MAX)
		    : make_config(c, err);
	if (r == 0)
		r = make_manifest(c, err);
	if (r < 0) {
		oci_source_free(&c->source);
		return r;
	}
	*ret = &c->source;
	return 0;
}
