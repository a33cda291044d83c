/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* PKCS#7 over fs-verity digests, as the kernel and fsverity-utils have it. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "oci/seal.h"

#define FORMATTED_MAX (12 + CAIRN_DIGEST_MAX)
#define CERTS_MAX     64

struct seal_certs {
	X509_STORE *store;
	STACK_OF(X509) * list;
};

/* "FSVerity" | algorithm | size | digest */
static size_t format_digest(const struct cairn_digest *digest, uint8_t out[FORMATTED_MAX])
{
	size_t size = cairn_digest_size((enum cairn_alg)digest->alg);

	memcpy(out, "FSVerity", 8);
	put_le16(out + 8, (uint16_t)digest->alg);
	put_le16(out + 10, (uint16_t)size);
	memcpy(out + 12, digest->bytes, size);
	return 12 + size;
}

static int failed(struct cairn_error *err, int code, enum cairn_error_kind kind, const char *what)
{
	char words[200];

	ERR_error_string_n(ERR_peek_last_error(), words, sizeof(words));
	ERR_clear_error();
	return error_set(err, code, kind, "%s: %s", what, words);
}

void seal_certs_free(struct seal_certs *c)
{
	if (!c)
		return;
	X509_STORE_free(c->store);
	sk_X509_pop_free(c->list, X509_free);
	free(c);
}

static int add_file(struct seal_certs *c, const char *path, struct cairn_error *err)
{
	FILE *file = fopen(path, "re");
	X509 *cert;
	int nr = 0;

	if (!file)
		return error_errno(err, -errno, "%s", path);
	while (nr < CERTS_MAX && (cert = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
		nr++;
		if (X509_STORE_add_cert(c->store, cert) != 1 || sk_X509_push(c->list, cert) <= 0) {
			X509_free(cert);
			fclose(file);
			return error_errno(err, -ENOMEM, "%s", path);
		}
	}
	fclose(file);
	ERR_clear_error();
	return nr ? 0
		  : error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
			      "%s: no certificate in PEM is in it", path);
}

int seal_certs_open(const char *const *files, size_t nr, struct seal_certs **ret,
		    struct cairn_error *err)
{
	struct seal_certs *c cleanup(seal_certs) = (struct seal_certs *)calloc(1, sizeof(*c));
	int r = 0;

	if (!c)
		return error_errno(err, -ENOMEM, "certificates");
	c->store = X509_STORE_new();
	c->list = sk_X509_new_null();
	if (!c->store || !c->list)
		return error_errno(err, -ENOMEM, "certificates");
	/* The certificate that was given is enough, whoever issued it; and it is for nothing else. */
	X509_STORE_set_flags(c->store, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_set_purpose(c->store, X509_PURPOSE_ANY);
	for (size_t i = 0; i < nr && r == 0; i++)
		r = add_file(c, files[i], err);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

int seal_check_signature(const struct seal_certs *certs, const struct cairn_digest *digest,
			 const void *signature, size_t size, struct cairn_error *err)
{
	uint8_t formatted[FORMATTED_MAX];
	size_t len = format_digest(digest, formatted);
	const unsigned char *der = (const unsigned char *)signature;
	PKCS7 *p7 = d2i_PKCS7(NULL, &der, (long)size);
	BIO *content = BIO_new_mem_buf(formatted, (int)len);
	int ok = 0;

	if (p7 && content && PKCS7_type_is_signed(p7) && PKCS7_get_detached(p7) &&
	    der == (const unsigned char *)signature + size)
		ok = PKCS7_verify(p7, certs->list, certs->store, content, NULL, PKCS7_BINARY);
	BIO_free(content);
	PKCS7_free(p7);
	if (ok == 1)
		return 0;
	return failed(err, -EKEYREJECTED, CAIRN_ERROR_DIGEST,
		      "a signature of the seal does not verify with the certificates");
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

	if (file)
		fclose(file);
	return key;
}

static X509 *read_cert(const char *path)
{
	FILE *file = fopen(path, "re");
	X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (file)
		fclose(file);
	return cert;
}

static int encode(PKCS7 *p7, char **ret, size_t *ret_size)
{
	int size = i2d_PKCS7(p7, NULL);
	unsigned char *at;

	if (size <= 0 || size > SEAL_SIGNATURE_MAX)
		return -EINVAL;
	*ret = (char *)malloc((size_t)size);
	if (!*ret)
		return -ENOMEM;
	at = (unsigned char *)*ret;
	*ret_size = (size_t)i2d_PKCS7(p7, &at);
	return 0;
}

int seal_sign(const char *key_file, const char *cert_file, const struct cairn_digest *digest,
	      char **ret, size_t *ret_size, struct cairn_error *err)
{
	const int flags = PKCS7_DETACHED | PKCS7_BINARY | PKCS7_NOATTR | PKCS7_NOCERTS;
	const EVP_MD *md = digest->alg == CAIRN_SHA512 ? EVP_sha512() : EVP_sha256();
	uint8_t formatted[FORMATTED_MAX];
	size_t len = format_digest(digest, formatted);
	EVP_PKEY *key = read_key(key_file);
	X509 *cert = read_cert(cert_file);
	BIO *content = BIO_new_mem_buf(formatted, (int)len);
	PKCS7 *p7 = NULL;
	int r = -EINVAL;

	if (!key || !cert)
		failed(err, r, CAIRN_ERROR_FORMAT, !key ? key_file : cert_file);
	else if (content)
		p7 = PKCS7_sign(NULL, NULL, NULL, content, flags | PKCS7_PARTIAL);
	if (p7 && PKCS7_sign_add_signer(p7, cert, key, md, flags) &&
	    PKCS7_final(p7, content, flags))
		r = encode(p7, ret, ret_size);
	if (r < 0 && key && cert)
		failed(err, r, CAIRN_ERROR_SYSTEM, "sign");
	PKCS7_free(p7);
	BIO_free(content);
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}
