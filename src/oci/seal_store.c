/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Seals in a store, for those who mount without the registry.
 *
 *	oci-seal-HEX	a split stream: the signatures over the digest HEX of an image, one behind the other (DER tells how
 *			long each is); none: it was sealed without
 *
 * The manifest's stream names it, so it lives as long as that. It is only made of seals that were verified.
 */
#include <errno.h>
#include <openssl/asn1.h>
#include <stdio.h>
#include <string.h>

#include "oci/push.h"
#include "oci/seal.h"
#include "store/splitstream.h"
#include "store/names.h"

#define KEPT_MAX ((size_t)SEAL_ENTRIES_MAX * SEAL_SIGNATURE_MAX)

static void entry_name(const struct cairn_digest *image, char out[STORE_NAME_MAX + 1])
{
	char hex[CAIRN_DIGEST_HEX_MAX];

	cairn_digest_to_hex(image, hex);
	snprintf(out, STORE_NAME_MAX + 1, "oci-seal-%s", hex);
}

static bool is_about(const struct seal_entry *e, const struct cairn_digest *image)
{
	return e->role == SEAL_MERGED && !memcmp(&e->digest, image, sizeof(*image));
}

const struct seal_entry *seal_signed_entry(const struct seal *seal,
					   const struct cairn_digest *image)
{
	for (unsigned int i = 0; i < seal->nr_entries; i++) {
		if (is_about(&seal->entries[i], image) && seal->entries[i].signature_size)
			return &seal->entries[i];
	}
	return NULL;
}

/* Whether what the store has already says more than @seal: then it stays. */
static bool is_better_kept(const struct seal *seal, const struct cairn_store *store,
			   const struct cairn_digest *image, struct cairn_digest *ret)
{
	struct buf old cleanup_buf = BUF_INIT(KEPT_MAX);
	char name[STORE_NAME_MAX + 1];

	if (seal_signed_entry(seal, image))
		return false;
	entry_name(image, name);
	return store_read_stream(store, name, KEPT_MAX, &old, NULL) == 0 && old.len &&
	       store_entry(store, STORE_STREAMS, name, ret, NULL) == 0;
}

int seal_keep(const struct seal *seal, struct cairn_store *store, const struct cairn_digest *image,
	      struct names_batch *names, struct cairn_digest *ret, struct cairn_error *err)
{
	struct splitwriter *w cleanup(splitwriter) = NULL;
	char name[STORE_NAME_MAX + 1];
	int r;

	if (is_better_kept(seal, store, image, ret))
		return 0;
	r = splitwriter_new(store->alg, SPLITSTREAM_SEAL, &w);
	for (unsigned int i = 0; i < seal->nr_entries && r == 0; i++) {
		const struct seal_entry *e = &seal->entries[i];

		if (is_about(e, image) && e->signature_size)
			r = splitwriter_inline(w, e->signature, e->signature_size);
	}
	if (r < 0)
		return error_errno(err, r, "seal");
	entry_name(image, name);
	r = store_put_stream(store, w, ret, err);
	return r < 0 ? r : names_batch_entry(names, STORE_STREAMS, name, ret, err);
}

static int collect(void *arg, const void *data, size_t size)
{
	return buf_put((struct buf *)arg, data, size);
}

size_t seal_first_size(const void *data, size_t size)
{
	const unsigned char *at = (const unsigned char *)data;
	long len;
	int tag, class, form = ASN1_get_object(&at, &len, &tag, &class, (long)size);

	if (form & 0x80 || form & 1 || len < 0)
		return 0;
	size -= (size_t)(at - (const unsigned char *)data);
	return (size_t)len > size ? 0 : (size_t)(at - (const unsigned char *)data) + (size_t)len;
}

int seal_take(int fd, struct cairn_store *store, const struct cairn_digest *image,
	      struct names_batch *names, struct cairn_digest *ret, struct cairn_error *err)
{
	struct buf kept cleanup_buf = BUF_INIT(KEPT_MAX);
	struct splitwriter *w cleanup(splitwriter) = NULL;
	struct splitstream *s cleanup(splitstream) = NULL;
	const struct splitstream_sink sink = {collect, NULL, &kept};
	char name[STORE_NAME_MAX + 1];
	int r = splitstream_open(fd, 0, &s, err);

	if (r < 0)
		return r;
	if (splitstream_type(s) != SPLITSTREAM_SEAL || splitstream_size(s) > KEPT_MAX)
		return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT, "seal: no seal of ours");
	r = splitstream_read(s, &sink, err);
	for (size_t at = 0, size; r == 0 && at < kept.len; at += size) {
		size = seal_first_size(kept.data + at, kept.len - at);
		if (!size)
			r = error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
				      "seal: byte %zu: not a signature", at);
	}
	if (r < 0)
		return r;
	if (splitwriter_new(store->alg, SPLITSTREAM_SEAL, &w) < 0 ||
	    (kept.len && splitwriter_inline(w, kept.data, kept.len) < 0))
		return error_errno(err, -ENOMEM, "seal");
	entry_name(image, name);
	r = store_put_stream(store, w, ret, err);
	return r < 0 ? r : names_batch_entry(names, STORE_STREAMS, name, ret, err);
}

int seal_check_kept(const struct cairn_store *store, const struct cairn_digest *image,
		    const struct seal_certs *certs, bool *ret_signed, struct cairn_error *err)
{
	struct buf kept cleanup_buf = BUF_INIT(KEPT_MAX);
	char name[STORE_NAME_MAX + 1];
	int r;

	entry_name(image, name);
	r = store_read_stream(store, name, KEPT_MAX, &kept, err);
	if (r == -ENOENT)
		return error_set(err, -ENODATA, CAIRN_ERROR_DIGEST,
				 "the store has no seal of it: it was not pulled with "
				 "--require-seal, or not in format 1");
	if (r < 0)
		return r;
	if (certs && !kept.len)
		return error_set(err, -ENODATA, CAIRN_ERROR_DIGEST, "the seal is not signed");
	for (size_t at = 0, size; certs && at < kept.len; at += size) {
		size = seal_first_size(kept.data + at, kept.len - at);
		if (!size)
			return error_set(err, -EINVAL, CAIRN_ERROR_FORMAT,
					 "%s: byte %zu: not a signature", name, at);
		r = seal_check_signature(certs, image, kept.data + at, size, err);
		if (r < 0)
			return r;
	}
	*ret_signed = kept.len != 0;
	return 0;
}
