/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* WWW-Authenticate (RFC 7235): scheme SP name=value, name="value", …, scheme … */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "oci/auth.h"

static bool is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t");
}

static const char *skip_token(const char *p)
{
	while (is_token(*p))
		p++;
	return p;
}

/* A token or a quoted text into @out, which stays as it is when the value does not fit (@ret_fits). Returns
 * the end, NULL: malformed. */
static const char *read_value(const char *p, char *out, size_t size, bool *ret_fits)
{
	size_t len = 0;
	bool fits = true, quoted = *p == '"';
	char last = quoted ? '"' : '\0';

	if (quoted)
		p++;
	for (; quoted ? *p != last : is_token(*p) || *p == '/' || *p == ':' || *p == '='; p++) {
		if (!*p)
			return NULL;
		if (quoted && *p == '\\' && p[1])
			p++;
		if (len + 1 < size)
			out[len++] = *p;
		else
			fits = false;
	}
	out[len] = '\0';
	*ret_fits = fits;
	return quoted ? p + 1 : p;
}

static const char *read_parameter(const char *p, struct challenge *c, bool *ret_good)
{
	static const char *const names[] = {"realm", "service", "scope", "error"};
	char *const places[] = {c->realm, c->service, c->scope, c->error};
	const size_t sizes[] = {sizeof(c->realm), sizeof(c->service), sizeof(c->scope),
				sizeof(c->error)};
	const char *name = p, *end = skip_token(p);
	char other[8];
	bool fits = true;

	p = skip_space(end);
	p = skip_space(p + 1); /* the '=' was seen by the caller */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if ((size_t)(end - name) != strlen(names[i]) ||
		    strncasecmp(name, names[i], strlen(names[i])))
			continue;
		p = read_value(p, places[i], sizes[i], &fits);
		*ret_good = *ret_good && fits;
		return p;
	}
	return read_value(p, other, sizeof(other), &fits);
}

/* Whether a parameter begins here, and not the next challenge. */
static bool at_parameter(const char *p)
{
	const char *end = skip_token(p);

	return end != p && *skip_space(end) == '=';
}

unsigned int challenge_parse(const char *value, struct challenge ret[CHALLENGES_MAX])
{
	const char *p = value;
	unsigned int nr = 0;

	while (nr < CHALLENGES_MAX) {
		struct challenge *c = &ret[nr];
		const char *scheme;
		bool good = true;

		p += strspn(p, " \t,");
		scheme = p;
		p = skip_token(p);
		if (p == scheme)
			return nr;
		*c = (struct challenge){0};
		if (p - scheme == 5 && !strncasecmp(scheme, "Basic", 5))
			c->scheme = CHALLENGE_BASIC;
		else if (p - scheme == 6 && !strncasecmp(scheme, "Bearer", 6))
			c->scheme = CHALLENGE_BEARER;
		p = skip_space(p);
		while (at_parameter(p)) {
			p = read_parameter(p, c, &good);
			if (!p)
				return nr;
			p += strspn(p, " \t,");
		}
		/* What is neither a parameter nor a scheme is a token68 of a scheme we do not know. */
		if (*p && !is_token(*p))
			p += strcspn(p, ",");
		nr += good;
	}
	return nr;
}
