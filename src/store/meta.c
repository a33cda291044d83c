/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* meta.json: reading without trust, writing byte for byte as other tools do (repository §2). */
#include "store/meta.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Says that V1 images are to be expected, which the first readers of V2 cannot write. */
#define FEATURE_V1 "v1_erofs"

#define FORMAT_MAX 2 /* newest format of images */

static const char *const alg_names[] = {
	[CAIRN_SHA256] = "fsverity-sha256-12",
	[CAIRN_SHA512] = "fsverity-sha512-12",
};

static int malformed(struct cairn_error *err, const char *what)
{
	return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s", what);
}

static int unsupported(struct cairn_error *err, const char *what, const char *name)
{
	char quoted[4 * META_FEATURE_MAX + 1];

	return error_set(
		err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED, "%s %s is not known here", what,
		error_quote(name, strnlen(name, META_FEATURE_MAX), quoted, sizeof(quoted)));
}

static int parse_version(json_t *root, struct cairn_error *err)
{
	json_t *version = json_object_get(root, "version");
	char text[META_FEATURE_MAX];

	if (!json_is_integer(version))
		return malformed(err, "version is not a number");
	if (json_integer_value(version) <= META_VERSION)
		return 0;
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(version));
	return unsupported(err, "version", text);
}

static int parse_alg(json_t *root, struct store_meta *m, struct cairn_error *err)
{
	const char *name = json_string_value(json_object_get(root, "algorithm"));

	if (!name)
		return malformed(err, "algorithm is not a string");
	for (unsigned int i = CAIRN_SHA256; i <= CAIRN_SHA512; i++) {
		if (!strcmp(name, alg_names[i])) {
			m->alg = (enum cairn_alg)i;
			return 0;
		}
	}
	return unsupported(err, "algorithm", name);
}

/* The first feature of list @key that is not known, into @ret[META_FEATURE_MAX]; "" without one. */
static int parse_features(json_t *features, const char *key, char *ret, bool *ret_v1,
			  struct cairn_error *err)
{
	json_t *list = json_object_get(features, key), *feature;
	size_t i;

	*ret = '\0';
	*ret_v1 = false;
	if (list && !json_is_array(list))
		return malformed(err, "a list of features is not an array");
	json_array_foreach(list, i, feature)
	{
		const char *name = json_string_value(feature);

		if (!name)
			return malformed(err, "a feature is not a string");
		if (!strcmp(name, FEATURE_V1))
			*ret_v1 = true;
		else if (!*ret)
			snprintf(ret, META_FEATURE_MAX, "%s", *name ? name : "(without a name)");
	}
	return 0;
}

static bool is_format(json_t *number)
{
	return json_is_integer(number) && json_integer_value(number) >= 0 &&
	       json_integer_value(number) <= FORMAT_MAX;
}

/* Without the field, or with what older tools wrote for want of better, the feature tells. */
static int parse_formats(json_t *root, bool v1, struct store_meta *m, struct cairn_error *err)
{
	json_t *formats = json_object_get(root, "erofs_formats"), *number;
	json_t *extra = json_object_get(formats, "extra");
	size_t i;

	m->format = CAIRN_FORMAT_V2;
	if (formats) {
		number = json_object_get(formats, "default");
		if (!is_format(number) || (extra && !json_is_array(extra)))
			return malformed(err, "erofs_formats: not formats of images from 0 to 2");
		m->format = (int)json_integer_value(number);
	}
	if (v1 && m->format == CAIRN_FORMAT_V2 && !json_array_size(extra))
		m->format = CAIRN_FORMAT_V1;
	m->formats = 1u << m->format;
	json_array_foreach(extra, i, number)
	{
		if (!is_format(number))
			return malformed(err, "erofs_formats: not formats of images from 0 to 2");
		m->formats |= 1u << json_integer_value(number);
	}
	return 0;
}

static int parse(json_t *root, struct store_meta *m, struct cairn_error *err)
{
	json_t *features = json_object_get(root, "features");
	char unknown[META_FEATURE_MAX];
	bool v1, elsewhere;
	int r;

	if (!json_is_object(root) || (features && !json_is_object(features)))
		return malformed(err, "not an object");
	r = parse_version(root, err);
	if (!r)
		r = parse_features(features, "incompatible", unknown, &elsewhere, err);
	if (!r && (*unknown || elsewhere))
		r = unsupported(err, "incompatible feature", *unknown ? unknown : FEATURE_V1);
	if (!r)
		r = parse_features(features, "read-only-compatible", m->read_only, &v1, err);
	if (!r)
		r = parse_alg(root, m, err);
	return r ? r : parse_formats(root, v1, m, err);
}

int meta_parse(const char *text, size_t size, struct store_meta *ret, struct cairn_error *err)
{
	struct store_meta m = {0};
	json_error_t where;
	json_t *root;
	int r;

	if (size > META_MAX)
		return malformed(err, "larger than 64 KiB");
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "line %d, column %d: not JSON",
				 where.line, where.column);
	r = parse(root, &m, err);
	json_decref(root);
	if (!r)
		*ret = m;
	return r;
}

int meta_print(const struct store_meta *m, struct buf *to)
{
	unsigned int extra = m->formats & ~(1u << m->format);
	char text[512], list[64] = "";
	size_t len = 0;
	int n;

	for (int i = 0; i <= FORMAT_MAX; i++) {
		if (extra & 1u << i)
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s\n      %d",
						len ? "," : "", i);
	}
	n = snprintf(text, sizeof(text),
		     "{\n"
		     "  \"version\": %d,\n"
		     "  \"algorithm\": \"%s\",\n"
		     "  \"features\": {\n"
		     "    \"compatible\": [],\n"
		     "    \"read-only-compatible\": [%s],\n"
		     "    \"incompatible\": []\n"
		     "  },\n"
		     "  \"erofs_formats\": {\n"
		     "    \"default\": %d%s%s%s\n"
		     "  }\n"
		     "}\n",
		     META_VERSION, alg_names[m->alg],
		     m->format == CAIRN_FORMAT_V1 ? "\n      \"" FEATURE_V1 "\"\n    " : "",
		     m->format, extra ? ",\n    \"extra\": [" : "", list, extra ? "\n    ]" : "");
	return buf_put(to, text, (size_t)n);
}
