/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The config of a container image. */
#include <errno.h>
#include <string.h>

#include "oci/document.h"
#include "oci/json.h"

static const char *const config_names[] = {"architecture", "os",      "variant", "os.version",
					   "os.features",  "created", "author",  "config",
					   "rootfs",       "history", NULL};
static const char *const rootfs_names[] = {"type", "diff_ids", NULL};
static const char *const run_names[] = {"User",    "ExposedPorts", "Env",    "Entrypoint", "Cmd",
					"Volumes", "WorkingDir",   "Labels", "StopSignal", NULL};

static int read_rootfs(struct oci_config *config, struct cairn_error *err)
{
	const char *type = NULL;
	char what[40];
	json_t *rootfs, *ids;
	int r = json_member(config->json, "rootfs", JSON_OBJECT, &rootfs, "config", err);

	if (r == 1)
		r = json_check_names(rootfs, rootfs_names, "config: rootfs", err);
	else if (r == 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "config: without 'rootfs'");
	if (r == 0)
		r = json_text(rootfs, "type", &type, "config: rootfs", err);
	if (r < 0)
		return r;
	if (!type || strcmp(type, "layers"))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "config: the type of 'rootfs' is not 'layers'");
	r = json_member(rootfs, "diff_ids", JSON_ARRAY, &ids, "config: rootfs", err);
	if (r == 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "config: rootfs: without 'diff_ids'");
	if (r < 0)
		return r;
	if (json_array_size(ids) > OCI_LAYERS_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "config: %zu layers, at most %u are accepted",
				 json_array_size(ids), OCI_LAYERS_MAX);
	config->diff_ids = (const char **)calloc(json_array_size(ids) + 1, sizeof(char *));
	if (!config->diff_ids)
		return error_errno(err, -ENOMEM, "config");
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		snprintf(what, sizeof(what), "config: diff_ids[%zu]", i);
		if (!id)
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s is not a string",
					 what);
		r = oci_digest_check(id, what, err);
		if (r < 0)
			return r;
		config->diff_ids[config->nr_diff_ids++] = id;
	}
	return 0;
}

static int read_history(struct oci_config *config, struct cairn_error *err)
{
	json_t *history;
	int r = json_member(config->json, "history", JSON_ARRAY, &history, "config", err);
	size_t nr;

	if (r <= 0)
		return r;
	nr = json_array_size(history);
	if (nr > OCI_HISTORY_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "config: %zu entries of history, at most %u are accepted", nr,
				 OCI_HISTORY_MAX);
	config->history = (struct oci_history *)calloc(nr + 1, sizeof(*config->history));
	if (!config->history)
		return error_errno(err, -ENOMEM, "config");
	for (size_t i = 0; i < nr && r >= 0; i++) {
		struct oci_history *h = &config->history[i];
		const json_t *entry = json_array_get(history, i);

		if (!json_is_object(entry))
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "config: history[%zu] is not an object", i);
		r = json_text(entry, "created_by", &h->created_by, "config: history", err);
		if (r >= 0)
			r = json_text(entry, "created", &h->created, "config: history", err);
		if (r >= 0)
			r = json_text(entry, "comment", &h->comment, "config: history", err);
		if (r >= 0)
			r = json_bool(entry, "empty_layer", &h->empty_layer, "config: history",
				      err);
		config->nr_history++;
	}
	return r;
}

static int read_config(struct oci_config *config, struct cairn_error *err)
{
	const char *os = NULL, *architecture = NULL, *variant = "";
	int r = json_check_names(config->json, config_names, "config", err);

	if (r == 0)
		r = json_text(config->json, "os", &os, "config", err);
	if (r >= 0)
		r = json_text(config->json, "architecture", &architecture, "config", err);
	if (r >= 0)
		r = json_text(config->json, "variant", &variant, "config", err);
	if (r >= 0)
		r = json_text(config->json, "created", &config->created, "config", err);
	if (r >= 0)
		r = json_text(config->json, "author", &config->author, "config", err);
	if (r >= 0)
		r = json_member(config->json, "config", JSON_OBJECT, &config->run, "config", err);
	if (r == 1)
		r = json_check_names(config->run, run_names, "config: config", err);
	if (r < 0)
		return r;
	if (!os || !architecture)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "config: without '%s'",
				 os ? "architecture" : "os");
	oci_platform_set(&config->platform, os, architecture, variant);
	r = read_rootfs(config, err);
	return r < 0 ? r : read_history(config, err);
}

int oci_config_parse(const void *data, size_t size, struct oci_config **ret,
		     struct cairn_error *err)
{
	struct oci_config *config cleanup(oci_config) =
		(struct oci_config *)calloc(1, sizeof(*config));
	int r;

	if (!config)
		return error_errno(err, -ENOMEM, "config");
	if (size > OCI_DOCUMENT_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "config: %zu bytes, at most %u are accepted", size,
				 OCI_DOCUMENT_MAX);
	r = json_read(data, size, OCI_DEPTH_MAX, "config", &config->json, err);
	if (r == 0)
		r = read_config(config, err);
	if (r < 0)
		return r;
	*ret = take_ptr(config);
	return 0;
}

void oci_config_free(struct oci_config *config)
{
	if (!config)
		return;
	json_decref(config->json);
	free(config->diff_ids);
	free(config->history);
	free(config);
}

const char *oci_label(const struct oci_config *config, const char *key)
{
	return json_string_value(json_object_get(json_object_get(config->run, "Labels"), key));
}

const char *oci_config_text(const struct oci_config *config, const char *name)
{
	return json_string_value(json_object_get(config->run, name));
}

size_t oci_config_list(const struct oci_config *config, const char *name, const char **ret,
		       size_t max)
{
	json_t *list = json_object_get(config->run, name);
	size_t nr = json_array_size(list);

	for (size_t i = 0; i < nr && i < max; i++) {
		ret[i] = json_string_value(json_array_get(list, i));
		if (!ret[i])
			ret[i] = "";
	}
	return nr;
}
