/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Layers that were verified. */
#include "oci/known.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "store/names.h"

#define FILE_NAME "layers"
#define KEY_MAX   LAYER_NAME_MAX

struct known_layers {
	struct cairn_store *store;
	struct buf text; /* lines, each ends with a newline */
	bool changed;
};

int known_layers_open(struct cairn_store *store, struct known_layers **ret, struct cairn_error *err)
{
	struct known_layers *k = (struct known_layers *)calloc(1, sizeof(*k));
	void *data = NULL;
	size_t size = 0;

	if (!k)
		return error_errno(err, -ENOMEM, "layers");
	k->store = store;
	k->text = BUF_INIT(KNOWN_FILE_MAX);
	if (store_cache_read(store, FILE_NAME, KNOWN_FILE_MAX / 2, &data, &size) == 0 && size &&
	    ((const char *)data)[size - 1] == '\n' && !memchr(data, '\0', size))
		(void)buf_put(&k->text, data, size);
	free(data);
	*ret = k;
	return 0;
}

void known_layers_free(struct known_layers *k)
{
	if (!k)
		return;
	buf_fini(&k->text);
	free(k);
}

static size_t line_of(char line[KEY_MAX + CAIRN_DIGEST_HEX_MAX + 2], const char *key,
		      const struct cairn_digest *stream)
{
	size_t len = strlen(key);

	memcpy(line, key, len);
	line[len++] = ' ';
	len += cairn_digest_to_hex(stream, line + len);
	line[len++] = '\n';
	return len;
}

static bool is_known(const struct known_layers *k, const char *key,
		     const struct cairn_digest *stream)
{
	char line[KEY_MAX + CAIRN_DIGEST_HEX_MAX + 2];
	size_t len = line_of(line, key, stream);

	for (size_t at = 0; at + len <= k->text.len;) {
		const char *end = (const char *)memchr(k->text.data + at, '\n', k->text.len - at);

		if (!memcmp(k->text.data + at, line, len))
			return true;
		if (!end)
			return false;
		at = (size_t)(end - k->text.data) + 1;
	}
	return false;
}

void known_layers_add(struct known_layers *k, const char *key, const struct cairn_digest *stream)
{
	char line[KEY_MAX + CAIRN_DIGEST_HEX_MAX + 2];

	if (is_known(k, key, stream))
		return;
	k->changed |= buf_put(&k->text, line, line_of(line, key, stream)) == 0;
}

void known_layers_save(struct known_layers *k)
{
	if (k && k->changed)
		(void)store_cache_write(k->store, FILE_NAME, k->text.data, k->text.len);
	if (k)
		k->changed = false;
}

static int drop(void *arg, const void *data, size_t size, struct cairn_error *err)
{
	(void)arg, (void)data, (void)size, (void)err;
	return 0;
}

/* The split stream of the layer with that name. Returns a descriptor or -ENOENT. */
static int open_stream(struct known_layers *k, const char *key, struct cairn_digest *ret)
{
	char name[LAYER_NAME_MAX], path[OBJECT_PATH_MAX];
	int fd cleanup_fd = -1, r;

	layer_stream_name(key, name);
	r = store_entry(k->store, STORE_STREAMS, name, ret, NULL);
	if (r < 0)
		return -ENOENT;
	object_path(path, ret->bytes, cairn_digest_size((enum cairn_alg)ret->alg));
	fd = store_open_object(k->store, path, NULL);
	/* A collection that has already found it useless may be under way. */
	if (fd < 0 || store_use_stream(k->store, ret, NULL) < 0)
		return -ENOENT;
	return take_fd(&fd);
}

int known_table_open(struct known_layers *k, const char *key, struct cairn_digest *ret)
{
	int fd cleanup_fd = open_stream(k, key, ret);

	return fd >= 0 && is_known(k, key, ret) ? take_fd(&fd) : -ENOENT;
}

int known_layer_open(struct known_layers *k, const char *diff_id, struct cairn_digest *ret,
		     struct cairn_error *err)
{
	int fd cleanup_fd = open_stream(k, diff_id, ret), r;

	if (fd < 0)
		return fd;
	if (!is_known(k, diff_id, ret)) {
		/* By another tool, which believes what a config claims; or long ago. */
		r = layer_export(k->store, fd, diff_id, drop, NULL, err);
		if (r == -ENOMEM || r == -ECANCELED)
			return r;
		if (r < 0)
			return -ENOENT;
		known_layers_add(k, diff_id, ret);
	}
	return take_fd(&fd);
}
