/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Content digests as text, and computing them. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hex.h"
#include "oci/name.h"

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Components of [a-z0-9]+ joined by one of +._- each. Returns the end. */
static const char *skip_algorithm(const char *p)
{
	for (;;) {
		const char *start = p;

		while (is_lower_alnum(*p))
			p++;
		if (p == start)
			return NULL;
		if (!*p || !strchr("+._-", *p))
			return p;
		p++;
	}
}

static bool is_lower_hex(const char *text, size_t len)
{
	return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

bool oci_digest_is_valid(const char *text)
{
	const char *colon;

	if (strnlen(text, OCI_DIGEST_MAX) == OCI_DIGEST_MAX)
		return false;
	colon = skip_algorithm(text);
	if (!colon || *colon != ':' || !colon[1])
		return false;
	if (!strncmp(text, "sha256:", 7) || !strncmp(text, "blake3:", 7))
		return is_lower_hex(colon + 1, 64);
	if (!strncmp(text, "sha512:", 7))
		return is_lower_hex(colon + 1, 128);
	for (const char *p = colon + 1; *p; p++) {
		if (!is_lower_alnum(*p) && !(*p >= 'A' && *p <= 'Z') && !strchr("=_-", *p))
			return false;
	}
	return true;
}

static bool is_sha512(const char *digest)
{
	return !strncmp(digest, "sha512:", 7);
}

int oci_digest_check(const char *text, const char *what, struct cairn_error *err)
{
	char quoted[200];

	error_quote(text, MIN(strlen(text), (size_t)150), quoted, sizeof(quoted));
	if (!oci_digest_is_valid(text))
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "%s: '%s' is not a digest", what,
				 quoted);
	if (strncmp(text, "sha256:", 7) && !is_sha512(text))
		return error_set(err, -ENOTSUP, CAIRN_ERROR_UNSUPPORTED,
				 "%s: '%s' is a digest of an unknown algorithm", what, quoted);
	return 0;
}

int oci_hash_init(struct oci_hash *hash, const char *like)
{
	EVP_MD_CTX *context;

	hash->context = NULL;
	hash->is_sha512 = like && is_sha512(like);
	if (like && !hash->is_sha512 && strncmp(like, "sha256:", 7))
		return -ENOTSUP;
	context = EVP_MD_CTX_new();
	if (!context)
		return -ENOMEM;
	if (EVP_DigestInit_ex(context, hash->is_sha512 ? EVP_sha512() : EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(context);
		return -ENOMEM;
	}
	hash->context = context;
	return 0;
}

int oci_hash_update(struct oci_hash *hash, const void *data, size_t size)
{
	return EVP_DigestUpdate((EVP_MD_CTX *)hash->context, data, size) == 1 ? 0 : -ENOMEM;
}

int oci_hash_raw(struct oci_hash *hash, uint8_t out[OCI_HASH_MAX])
{
	unsigned int size = 0;
	int ok = EVP_DigestFinal_ex((EVP_MD_CTX *)hash->context, out, &size);

	oci_hash_fini(hash);
	return ok == 1 ? 0 : -ENOMEM;
}

int oci_hash_final(struct oci_hash *hash, char out[OCI_DIGEST_MAX])
{
	uint8_t bytes[OCI_HASH_MAX];
	int r = oci_hash_raw(hash, bytes);

	if (r < 0)
		return r;
	memcpy(out, hash->is_sha512 ? "sha512:" : "sha256:", 7);
	*hex_put(out + 7, bytes, hash->is_sha512 ? 64 : 32) = '\0';
	return 0;
}

void oci_hash_fini(struct oci_hash *hash)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)hash->context);
	hash->context = NULL;
}

int oci_hash_data(const char *like, const void *data, size_t size, char out[OCI_DIGEST_MAX])
{
	struct oci_hash hash cleanup_oci_hash = {0};
	int r = oci_hash_init(&hash, like);

	if (r == 0)
		r = oci_hash_update(&hash, data, size);
	return r < 0 ? r : oci_hash_final(&hash, out);
}

void oci_referrers_tag(const char *digest, char out[OCI_DIGEST_MAX])
{
	const char *colon = strchr(digest, ':');

	snprintf(out, OCI_DIGEST_MAX, "%.*s-%.64s", (int)MIN(colon - digest, 32), digest,
		 colon + 1);
	for (char *p = out; *p; p++) {
		if (!is_lower_alnum(*p) && !(*p >= 'A' && *p <= 'Z') && !strchr("._-", *p))
			*p = '-';
	}
}
