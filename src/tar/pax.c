/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * pax headers (oci-layers §2): records "LEN KEY=VALUE\n", read strictly.
 *
 * What is not known to other tools of the field is not used here either: an attribute is only one
 * that is named SCHILY.xattr.
 */
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "tar/read-internal.h"

struct record {
	const char *key;
	size_t key_len;
	char *value; /* the newline behind it is a NUL now */
	size_t value_len;
};

/* --- numbers --------------------------------------------------------------------------------- */

/* Decimal digits only, at least one. */
static bool parse_decimal(const char *text, size_t len, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	return v <= max;
}

/* The first nine digits, zeros behind what is missing. False: others than digits are there. */
static bool parse_fraction(const char *text, size_t len, uint32_t *ret)
{
	uint32_t nsec = 0;
	bool good = true;

	for (size_t i = 0; i < len; i++)
		good &= text[i] >= '0' && text[i] <= '9';
	for (size_t i = 0; i < 9; i++) {
		char c = i < len ? text[i] : '0';

		if (c < '0' || c > '9') {
			*ret = 0;
			return false;
		}
		nsec = nsec * 10 + (uint32_t)(c - '0');
	}
	*ret = nsec;
	return good;
}

/* [-]SECONDS[.FRACTION] */
static bool parse_mtime(struct pax *pax, const struct record *r)
{
	bool negative = r->value_len && r->value[0] == '-';
	const char *text = r->value + negative;
	size_t len = r->value_len - negative;
	const char *dot = (const char *)memchr(text, '.', len);
	size_t whole = dot ? (size_t)(dot - text) : len;
	uint64_t seconds;
	uint32_t nsec = 0;

	/* One less than the type holds: rounding down takes one. */
	if (!parse_decimal(text, whole, INT64_MAX - 1, &seconds))
		return false;
	if (dot && !parse_fraction(dot + 1, len - whole - 1, &nsec))
		pax->known |= PAX_BAD_FRACTION;
	pax->mtime = negative ? -(int64_t)seconds : (int64_t)seconds;
	if (negative && nsec) {
		pax->mtime--;
		nsec = 1000000000 - nsec;
	}
	pax->mtime_nsec = nsec;
	if (!(pax->known & PAX_MTIME))
		pax->first_nsec = nsec;
	return true;
}

/* --- records --------------------------------------------------------------------------------- */

static bool key_is(const struct record *r, const char *key)
{
	return r->key_len == strlen(key) && !memcmp(r->key, key, r->key_len);
}

static bool key_begins(const struct record *r, const char *prefix)
{
	return r->key_len >= strlen(prefix) && !memcmp(r->key, prefix, strlen(prefix));
}

static const char *take_xattr(struct pax *pax, const struct record *r, int *ret_code)
{
	size_t prefix = sizeof(PAX_XATTR) - 1;

	if (r->key_len == prefix)
		return "an extended attribute without a name";
	if (r->key_len - prefix > XATTR_NAME_MAX || memchr(r->key, '\0', r->key_len)) {
		*ret_code = -EFBIG;
		return "the name of an extended attribute has 1 to 255 bytes, and no NUL";
	}
	if (r->value_len > XATTR_VALUE_MAX) {
		*ret_code = -EFBIG;
		return "the value of an extended attribute has more than 65535 bytes";
	}
	if (pax->nr_xattrs == TAR_XATTRS_MAX) {
		*ret_code = -EFBIG;
		return "more than 256 extended attributes";
	}
	pax->xattrs[pax->nr_xattrs++] =
		(struct xattr_input){.name = r->key + prefix,
				     .name_len = (uint32_t)(r->key_len - prefix),
				     .value = r->value,
				     .value_len = (uint32_t)r->value_len};
	return NULL;
}

static const char *take_id(struct pax *pax, const struct record *r, enum pax_known which,
			   uint32_t *to)
{
	uint64_t v;

	if (!parse_decimal(r->value, r->value_len, TAR_ID_MAX, &v))
		return "a pax record with an owner that is none";
	*to = (uint32_t)v;
	pax->known |= which;
	return NULL;
}

static const char *take_name(struct pax *pax, const struct record *r, enum pax_known which,
			     char **to, size_t *to_len)
{
	if (!r->value_len || memchr(r->value, '\0', r->value_len))
		return "a pax record with a name that is empty or has a NUL";
	*to = r->value;
	*to_len = r->value_len;
	pax->known |= which;
	return NULL;
}

static const char *take_record(struct pax *pax, const struct record *r, int *ret_code)
{
	if (key_is(r, "path"))
		return take_name(pax, r, PAX_PATH, &pax->path, &pax->path_len);
	if (key_is(r, "linkpath"))
		return take_name(pax, r, PAX_TARGET, &pax->target, &pax->target_len);
	if (key_is(r, "uid"))
		return take_id(pax, r, PAX_UID, &pax->uid);
	if (key_is(r, "gid"))
		return take_id(pax, r, PAX_GID, &pax->gid);
	if (key_is(r, "size")) {
		if (!parse_decimal(r->value, r->value_len, TAR_SIZE_MAX, &pax->size))
			return "a pax record with a size that is none";
		pax->known |= PAX_SIZE;
	} else if (key_is(r, "mtime")) {
		if (!parse_mtime(pax, r))
			return "a pax record with a time that is none";
		pax->known |= PAX_MTIME;
	} else if (key_begins(r, PAX_XATTR)) {
		return take_xattr(pax, r, ret_code);
	} else if (key_begins(r, "GNU.sparse.")) {
		*ret_code = -ENOTSUP;
		return "a sparse file, which layers cannot have";
	}
	return NULL;
}

/* One record of @left bytes at most. Returns its length, 0 when it is none. */
static size_t split_record(char *text, size_t left, struct record *ret)
{
	char *space = (char *)memchr(text, ' ', MIN(left, (size_t)20));
	char *equals;
	uint64_t len;
	size_t digits;

	if (!space)
		return 0;
	digits = (size_t)(space - text);
	if (!parse_decimal(text, digits, left, &len) || len < digits + 4 || text[len - 1] != '\n')
		return 0;
	equals = (char *)memchr(space + 1, '=', (size_t)len - digits - 2);
	if (!equals || equals == space + 1)
		return 0;
	text[len - 1] = '\0';
	*ret = (struct record){.key = space + 1,
			       .key_len = (size_t)(equals - space - 1),
			       .value = equals + 1,
			       .value_len = (size_t)(text + len - 1 - (equals + 1))};
	return (size_t)len;
}

const char *pax_parse(char *text, size_t len, struct pax *pax, int *ret_code)
{
	pax->known = 0;
	pax->nr_xattrs = 0;
	*ret_code = -EINVAL;
	for (size_t at = 0; at < len;) {
		struct record r;
		size_t n = split_record(text + at, len - at, &r);
		const char *wrong;

		if (!n)
			return "a malformed pax record";
		if (!utf8_valid(r.key, r.key_len))
			return "a pax record whose key is not UTF-8";
		wrong = take_record(pax, &r, ret_code);
		if (wrong)
			return wrong;
		at += n;
	}
	return NULL;
}
