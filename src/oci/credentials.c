/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * auth.json and config.json: credentials of registries, as containers and docker keep them.
 *
 *	{"auths": {"host/a": {"auth": base64("user:password"), "identitytoken": …}},
 *	 "credHelpers": {"host": "name"}, "credsStore": "name"}
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "oci/auth.h"
#include "oci/credentials-internal.h"
#include "oci/json.h"
#include "sys/io.h"

#define AUTH_FILE_MAX (4u << 20)
#define KEY_MAX       600
#define HUB_KEY       "https://index.docker.io/v1/"

static void forget(char **text)
{
	if (*text)
		OPENSSL_cleanse(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void credentials_fini(struct credentials *c)
{
	forget(&c->user);
	forget(&c->password);
	forget(&c->identity);
	forget(&c->token);
}

int credentials_parse(const char *text, struct credentials *ret)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text)
		return -EINVAL;
	ret->user = strndup(text, (size_t)(colon - text));
	ret->password = strdup(colon + 1);
	return ret->user && ret->password ? 0 : -ENOMEM;
}

char *base64_encode(const void *data, size_t size)
{
	char *out = (char *)malloc(4 * ((size + 2) / 3) + 1);

	if (out)
		EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)data, (int)size);
	return out;
}

char *base64_decode(const char *text, size_t len, size_t *ret_size)
{
	size_t padding = 0;
	char *out;
	int n;

	while (padding < len && padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	if (len % 4 || len > INT32_MAX / 2 || strcspn(text, " \t\r\n-") < len)
		return NULL;
	out = (char *)malloc(len / 4 * 3 + 1);
	if (!out)
		return NULL;
	n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)len);
	if (n < 0 || (size_t)n < padding) {
		free(out);
		return NULL;
	}
	*ret_size = (size_t)n - padding;
	out[*ret_size] = '\0';
	return out;
}

/* --- keys ------------------------------------------------------------------------------------ */

static bool is_hub(const char *host)
{
	return !strcasecmp(host, "docker.io") || !strcasecmp(host, "index.docker.io") ||
	       !strcasecmp(host, "registry-1.docker.io");
}

/* "https://HOST/v1/" → "HOST"; docker.io has one name. */
static void normalise(const char *key, char out[KEY_MAX])
{
	if (!strncasecmp(key, "https://", 8))
		key += 8;
	else if (!strncasecmp(key, "http://", 7))
		key += 7;
	snprintf(out, KEY_MAX, "%.*s", (int)MIN(strcspn(key, "/"), (size_t)KEY_MAX - 1), key);
	if (is_hub(out))
		snprintf(out, KEY_MAX, "index.docker.io");
}

static json_t *find_entry(json_t *auths, const char *host, const char *name)
{
	char key[KEY_MAX], wanted[KEY_MAX], found[KEY_MAX];
	const char *other;
	json_t *entry;

	/* host/a/b, host/a, host */
	snprintf(key, sizeof(key), "%s/%s", host, name);
	for (char *slash = key; slash;) {
		entry = json_object_get(auths, key);
		if (entry)
			return entry;
		slash = strrchr(key, '/');
		if (slash)
			*slash = '\0';
	}
	normalise(host, wanted);
	json_object_foreach(auths, other, entry)
	{
		normalise(other, found);
		if (!strcasecmp(found, wanted))
			return entry;
	}
	return NULL;
}

/* --- entries --------------------------------------------------------------------------------- */

static int read_auth(const char *auth, struct credentials *ret, struct cairn_error *err)
{
	size_t size = 0;
	char *text = base64_decode(auth, strlen(auth), &size);
	int r = text ? credentials_parse(text, ret) : -EINVAL;

	if (text)
		OPENSSL_cleanse(text, size);
	free(text);
	return r < 0 ? error_set(err, r, CAIRN_ERROR_FORMAT,
				 "an 'auth' is not base64 of user:password")
		     : 0;
}

static int copy_text(const char *from, char **to)
{
	if (!from || !*from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

static int read_entry(const json_t *entry, struct credentials *ret, struct cairn_error *err)
{
	const char *auth = NULL, *user = NULL, *password = NULL, *identity = NULL, *token = NULL;
	int r;

	if (!json_is_object(entry))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "an entry is not an object");
	r = json_text(entry, "auth", &auth, "entry", err);
	if (r >= 0)
		r = json_text(entry, "username", &user, "entry", err);
	if (r >= 0)
		r = json_text(entry, "password", &password, "entry", err);
	if (r >= 0)
		r = json_text(entry, "identitytoken", &identity, "entry", err);
	if (r >= 0)
		r = json_text(entry, "registrytoken", &token, "entry", err);
	if (r < 0)
		return r;
	r = copy_text(identity, &ret->identity);
	if (r == 0)
		r = copy_text(token, &ret->token);
	if (r == 0 && user && *user && password) {
		r = copy_text(user, &ret->user);
		ret->password = strdup(password);
	} else if (r == 0 && auth && *auth) {
		return read_auth(auth, ret, err);
	}
	return r < 0 ? error_errno(err, r, "entry") : 0;
}

/* The helper for @host: the one of this registry, else the one for all. */
static int find_helper(const json_t *root, const char *host, char **ret, struct cairn_error *err)
{
	json_t *helpers = NULL, *value;
	char wanted[KEY_MAX], found[KEY_MAX];
	const char *key, *name = NULL;
	int r = json_member(root, "credHelpers", JSON_OBJECT, &helpers, "file", err);

	if (r < 0)
		return r;
	normalise(host, wanted);
	json_object_foreach(helpers, key, value)
	{
		normalise(key, found);
		if (!strcasecmp(found, wanted) && json_is_string(value))
			name = json_string_value(value);
	}
	if (!name)
		r = json_text(root, "credsStore", &name, "file", err);
	if (r < 0 || !name || !*name)
		return r < 0 ? r : 0;
	if (strchr(name, '/') || *name == '-' || *name == '.')
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				 "'%.60s' is not the name of a credential helper", name);
	*ret = strdup(name);
	return *ret ? 0 : error_errno(err, -ENOMEM, "helper");
}

int credentials_in_text(const char *text, size_t size, bool legacy, const char *host,
			const char *name, struct credentials *ret, char **ret_helper,
			struct cairn_error *err)
{
	json_t *root cleanup(json) = NULL, *auths = NULL, *entry;
	int r = json_read(text, size, 16, "file", &root, err);

	if (r < 0)
		return r;
	if (!legacy) {
		r = find_helper(root, host, ret_helper, err);
		if (r < 0 || *ret_helper)
			return r;
		r = json_member(root, "auths", JSON_OBJECT, &auths, "file", err);
		if (r < 0)
			return r;
	}
	entry = find_entry(legacy ? root : auths, host, name);
	return entry ? read_entry(entry, ret, err) : 0;
}

/* --- files ----------------------------------------------------------------------------------- */

static int read_file(const char *path, struct buf *ret, struct cairn_error *err)
{
	int fd cleanup_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT
							   : error_errno(err, -errno, "%s", path);
	if (fstat(fd, &st) < 0 || st.st_size > AUTH_FILE_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: too large", path);
	if (buf_reserve(ret, (size_t)st.st_size + 1) < 0)
		return error_errno(err, -ENOMEM, "%s", path);
	n = read_full(fd, ret->data, ret->size);
	if (n < 0)
		return error_errno(err, (int)n, "%s", path);
	ret->len = (size_t)n;
	return 0;
}

static bool is_legacy(const char *path)
{
	const char *name = strrchr(path, '/');

	return !strcmp(name ? name + 1 : path, ".dockercfg");
}

static int find_in_file(const char *path, const char *host, const char *name,
			struct credentials *ret, struct cairn_error *err)
{
	struct buf text cleanup_buf = BUF_INIT(AUTH_FILE_MAX);
	char *helper cleanup_free = NULL;
	size_t at = 0;
	int r = read_file(path, &text, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (at < text.len && strchr(" \t\r\n", text.data[at]))
		at++;
	if (at < text.len)
		r = credentials_in_text(text.data, text.len, is_legacy(path), host, name, ret,
					&helper, err);
	if (text.data)
		OPENSSL_cleanse(text.data, text.size);
	if (r == 0 && helper)
		r = credentials_ask_helper(helper, is_hub(host) ? HUB_KEY : host, ret, err);
	if (r < 0)
		error_prepend(err, "%s", path);
	return r;
}

int credentials_find(const char *const *files, size_t nr_files, const char *host, const char *name,
		     struct credentials *ret, struct cairn_error *err)
{
	for (size_t i = 0; i < nr_files; i++) {
		int r = find_in_file(files[i], host, name, ret, err);

		if (r < 0) {
			credentials_fini(ret);
			return r;
		}
		if (credentials_are_there(ret))
			return 0;
	}
	return 0;
}
