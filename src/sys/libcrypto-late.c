/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * libcrypto for the programs, loaded by the first call of it: two thirds of the time that a
 * short command took were the dynamic loader's, for a library that most commands never call.
 * The functions here have the names of its own; the linker takes them and leaves the library
 * out (tests/check/symbols.sh). libcairn.so is linked with libcrypto as usual.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBRARY "libcrypto.so.3"

/* As the dynamic loader ends a program that lacks a library. */
#define STATUS_NOT_LOADED 127

static void *library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void __attribute__((noreturn)) not_loaded(void)
{
	fprintf(stderr, "cairn: %s\n", dlerror());
	_Exit(STATUS_NOT_LOADED);
}

static void load(void)
{
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		not_loaded();
}

static void *find(const char *name)
{
	void *function;

	pthread_once(&once, load);
	function = dlsym(library, name);
	if (!function)
		not_loaded();
	return function;
}

/* Threads may find it at the same time, and find the same. */
#define FIND(name)                                                                                 \
	static _Atomic(void *) found;                                                              \
	void *function = found;                                                                    \
                                                                                                   \
	if (!function)                                                                             \
	found = function = find(#name)

#define GIVES(type, name, parameters, ...)                                                         \
	type name parameters                                                                       \
	{                                                                                          \
		FIND(name);                                                                        \
		return ((__typeof__(&name))function)(__VA_ARGS__);                                 \
	}
#define DOES(name, parameters, ...)                                                                \
	void name parameters                                                                       \
	{                                                                                          \
		FIND(name);                                                                        \
		((__typeof__(&name))function)(__VA_ARGS__);                                        \
	}

/* --- digests --------------------------------------------------------------------------------- */

GIVES(int, SHA256_Init, (SHA256_CTX * c), c)
GIVES(int, SHA256_Update, (SHA256_CTX * c, const void *data, size_t len), c, data, len)
GIVES(int, SHA256_Final, (unsigned char *md, SHA256_CTX *c), md, c)
GIVES(int, SHA512_Init, (SHA512_CTX * c), c)
GIVES(int, SHA512_Update, (SHA512_CTX * c, const void *data, size_t len), c, data, len)
GIVES(int, SHA512_Final, (unsigned char *md, SHA512_CTX *c), md, c)
GIVES(const EVP_MD *, EVP_sha256, (void))
GIVES(const EVP_MD *, EVP_sha512, (void))
GIVES(EVP_MD_CTX *, EVP_MD_CTX_new, (void))
DOES(EVP_MD_CTX_free, (EVP_MD_CTX * ctx), ctx)
GIVES(int, EVP_DigestInit_ex, (EVP_MD_CTX * ctx, const EVP_MD *type, ENGINE *e), ctx, type, e)
GIVES(int, EVP_DigestUpdate, (EVP_MD_CTX * ctx, const void *d, size_t n), ctx, d, n)
GIVES(int, EVP_DigestFinal_ex, (EVP_MD_CTX * ctx, unsigned char *md, unsigned int *n), ctx, md, n)

/* --- texts ----------------------------------------------------------------------------------- */

GIVES(int, EVP_EncodeBlock, (unsigned char *t, const unsigned char *f, int n), t, f, n)
GIVES(int, EVP_DecodeBlock, (unsigned char *t, const unsigned char *f, int n), t, f, n)
DOES(OPENSSL_cleanse, (void *p, size_t len), p, len)

/* --- signatures ------------------------------------------------------------------------------ */

GIVES(int, ASN1_get_object,
      (const unsigned char **at, long *len, int *tag, int *class_of, long max), at, len, tag,
      class_of, max)
GIVES(int, OBJ_obj2nid, (const ASN1_OBJECT *o), o)
GIVES(BIO *, BIO_new_mem_buf, (const void *data, int len), data, len)
GIVES(int, BIO_free, (BIO * b), b)
DOES(ERR_clear_error, (void))
DOES(ERR_error_string_n, (unsigned long e, char *text, size_t len), e, text, len)
GIVES(unsigned long, ERR_peek_last_error, (void))
DOES(EVP_PKEY_free, (EVP_PKEY * key), key)
GIVES(OPENSSL_STACK *, OPENSSL_sk_new_null, (void))
DOES(OPENSSL_sk_pop_free, (OPENSSL_STACK * s, void (*fn)(void *)), s, fn)
GIVES(int, OPENSSL_sk_push, (OPENSSL_STACK * s, const void *data), s, data)
GIVES(EVP_PKEY *, PEM_read_PrivateKey, (FILE * f, EVP_PKEY **key, pem_password_cb *cb, void *u), f,
      key, cb, u)
GIVES(X509 *, PEM_read_X509, (FILE * f, X509 **cert, pem_password_cb *cb, void *u), f, cert, cb, u)
GIVES(PKCS7 *, d2i_PKCS7, (PKCS7 * *p7, const unsigned char **in, long len), p7, in, len)
GIVES(int, i2d_PKCS7, (const PKCS7 *p7, unsigned char **out), p7, out)
GIVES(long, PKCS7_ctrl, (PKCS7 * p7, int cmd, long larg, char *parg), p7, cmd, larg, parg)
GIVES(int, PKCS7_final, (PKCS7 * p7, BIO *data, int flags), p7, data, flags)
DOES(PKCS7_free, (PKCS7 * p7), p7)
GIVES(PKCS7 *, PKCS7_sign,
      (X509 * cert, EVP_PKEY *key, STACK_OF(X509) * certs, BIO *data, int flags), cert, key, certs,
      data, flags)
GIVES(PKCS7_SIGNER_INFO *, PKCS7_sign_add_signer,
      (PKCS7 * p7, X509 *cert, EVP_PKEY *key, const EVP_MD *md, int flags), p7, cert, key, md,
      flags)
GIVES(int, PKCS7_verify,
      (PKCS7 * p7, STACK_OF(X509) * certs, X509_STORE *store, BIO *in, BIO *out, int flags), p7,
      certs, store, in, out, flags)
DOES(X509_free, (X509 * cert), cert)
GIVES(X509_STORE *, X509_STORE_new, (void))
DOES(X509_STORE_free, (X509_STORE * s), s)
GIVES(int, X509_STORE_add_cert, (X509_STORE * s, X509 *cert), s, cert)
GIVES(int, X509_STORE_set_flags, (X509_STORE * s, unsigned long flags), s, flags)
GIVES(int, X509_STORE_set_purpose, (X509_STORE * s, int purpose), s, purpose)
