/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * What to say to a registry that asks who we are: Basic, or a Bearer token from the realm that it names.
 *
 *	GET realm?service=…&scope=…	with Basic, or anonymously
 *	POST realm grant_type=refresh_token	with an identity token
 */
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "oci/json.h"
#include "oci/registry-internal.h"

#define TOKEN_ANSWER_MAX (1u << 20)
#define URL_MAX          8192

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

static void scope_of(char out[SCOPE_MAX], const char *name, const char *from,
		     enum registry_access access)
{
	snprintf(out, SCOPE_MAX, "repository:%s:%s%s%s%s", name,
		 access == REGISTRY_PUSH ? "pull,push" : "pull", from ? " repository:" : "",
		 from ? from : "", from ? ":pull" : "");
}

/* --- tokens that we have --------------------------------------------------------------------- */

/* Under the lock. */
static const char *find_token(struct registry *r, const char *scope)
{
	for (unsigned int i = 0; i < r->nr_tokens; i++) {
		if (!strcmp(r->tokens[i].scope, scope) && r->tokens[i].until > now())
			return r->tokens[i].value;
	}
	return NULL;
}

static void drop_token(struct registry *r, const char *scope)
{
	for (unsigned int i = 0; i < r->nr_tokens; i++) {
		if (!strcmp(r->tokens[i].scope, scope))
			r->tokens[i].until = 0;
	}
}

/* Takes @value over. */
static int keep_token(struct registry *r, const char *scope, char *value, int64_t seconds)
{
	struct token *t = NULL;

	for (unsigned int i = 0; i < r->nr_tokens && !t; i++) {
		if (!strcmp(r->tokens[i].scope, scope) || r->tokens[i].until <= now())
			t = &r->tokens[i];
	}
	if (!t)
		t = r->nr_tokens < TOKENS_MAX ? &r->tokens[r->nr_tokens++] : &r->tokens[0];
	free(t->scope);
	free(t->value);
	t->value = value;
	t->until = now() + MAX(seconds, TOKEN_MIN) - TOKEN_RESERVE;
	t->scope = strdup(scope);
	return t->scope ? 0 : -ENOMEM;
}

/* --- getting one ----------------------------------------------------------------------------- */

/* Appends @text with everything but letters, digits and -._~ escaped. */
static void put_escaped(char *out, size_t size, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = strlen(out);

	for (; *text && len + 4 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-._~", c)) {
			out[len++] = (char)c;
		} else {
			out[len++] = '%';
			out[len++] = digits[c >> 4];
			out[len++] = digits[c & 15];
		}
	}
	out[len] = '\0';
}

static void put_pair(char *out, size_t size, const char *separator, const char *name,
		     const char *value)
{
	size_t len = strlen(out);

	snprintf(out + len, size - len, "%s%s=", separator, name);
	put_escaped(out, size, value);
}

/* Each of the words of @scope is a parameter of its own. */
static void build_get(char url[URL_MAX], const struct challenge *c, const char *scope,
		      const char *account)
{
	char copy[2 * SCOPE_MAX], *rest = copy, *word;
	const char *separator = strchr(c->realm, '?') ? "&" : "?";

	snprintf(url, URL_MAX, "%s", c->realm);
	if (*c->service) {
		put_pair(url, URL_MAX, separator, "service", c->service);
		separator = "&";
	}
	snprintf(copy, sizeof(copy), "%s", scope);
	while ((word = strsep(&rest, " ")) != NULL) {
		put_pair(url, URL_MAX, separator, "scope", word);
		separator = "&";
	}
	if (account)
		put_pair(url, URL_MAX, separator, "account", account);
}

static void build_post(char body[URL_MAX], const struct challenge *c, const char *scope,
		       const char *identity)
{
	body[0] = '\0';
	put_pair(body, URL_MAX, "", "grant_type", "refresh_token");
	put_pair(body, URL_MAX, "&", "service", c->service);
	put_pair(body, URL_MAX, "&", "scope", scope);
	put_pair(body, URL_MAX, "&", "client_id", "cairn");
	put_pair(body, URL_MAX, "&", "refresh_token", identity);
}

static char *basic(const struct credentials *c)
{
	char *both cleanup_free = NULL, *encoded cleanup_free = NULL, *value = NULL;

	if (asprintf(&both, "%s:%s", c->user, c->password) < 0)
		return NULL;
	encoded = base64_encode(both, strlen(both));
	OPENSSL_cleanse(both, strlen(both));
	if (!encoded || asprintf(&value, "Basic %s", encoded) < 0)
		return NULL;
	OPENSSL_cleanse(encoded, strlen(encoded));
	return value;
}

static int take_answer(struct registry *r, const char *scope, const struct http_request *request,
		       char **ret, struct cairn_error *err)
{
	json_t *root cleanup(json) = NULL;
	const char *token = NULL;
	uint64_t seconds = 0;
	char *value;
	int code =
		json_read(request->ret_body.data, request->ret_body.len, 16, "token", &root, err);

	if (code == 0)
		code = json_text(root, "token", &token, "token", err);
	if (code >= 0 && (!token || !*token))
		code = json_text(root, "access_token", &token, "token", err);
	if (code >= 0)
		code = json_size(root, "expires_in", &seconds, "token", err);
	if (code < 0)
		return code;
	if (!token || !*token || strpbrk(token, "\r\n"))
		return error_set(err, -EPROTO, CAIRN_ERROR_FORMAT, "the answer has no token");
	if (asprintf(&value, "Bearer %s", token) < 0)
		return error_errno(err, -ENOMEM, "token");
	*ret = strdup(value);
	pthread_mutex_lock(&r->lock);
	code = keep_token(r, scope, value, (int64_t)MIN(seconds, (uint64_t)86400));
	pthread_mutex_unlock(&r->lock);
	return code < 0 || !*ret ? error_errno(err, -ENOMEM, "token") : 0;
}

/* Where secrets are sent, only TLS will do, or a realm as near as the registry itself. */
static int check_realm(const struct registry *r, const char *realm, struct cairn_error *err)
{
	char host[300];

	if (!strncasecmp(realm, "https://", 8))
		return 0;
	if (!strncasecmp(realm, "http://", 7) && r->scheme && !strcmp(r->scheme, "http")) {
		snprintf(host, sizeof(host), "%.*s",
			 (int)MIN(strcspn(realm + 7, ":/?#"), (size_t)299), realm + 7);
		if (http_is_loopback(host) || !strncmp(r->api, host, strlen(host)))
			return 0;
	}
	return error_set(err, -EPERM, CAIRN_ERROR_FORMAT,
			 "it sends us to a realm without TLS for a token");
}

static int fetch_token(struct registry *r, const struct challenge *c, const char *scope, char **ret,
		       struct cairn_error *err)
{
	static const char *const form[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char *url cleanup_free = (char *)malloc(URL_MAX), *body cleanup_free = NULL;
	char *authorization cleanup_free = NULL;
	const struct credentials *have = &r->credentials;
	struct http *h;
	int code = check_realm(r, c->realm, err);

	if (code < 0)
		return code;
	h = registry_borrow(r, err);
	if (!h)
		return -ENOPKG;
	body = (char *)malloc(URL_MAX);
	if (!url || !body) {
		registry_return(r, h);
		return error_errno(err, -ENOMEM, "token");
	}
	request.body_max = TOKEN_ANSWER_MAX;
	request.total_seconds = 60;
	if (have->identity) {
		build_post(body, c, scope, have->identity);
		request.method = HTTP_POST;
		request.url = c->realm;
		request.headers = form;
		request.body = body;
		request.body_size = strlen(body);
		code = http_do(h, &request, err);
		OPENSSL_cleanse(body, strlen(body));
	}
	if (code == 0 && (!have->identity || request.status == 404 || request.status == 405)) {
		http_request_fini(&request);
		build_get(url, c, scope, have->user);
		authorization = have->user ? basic(have) : NULL;
		request.method = HTTP_GET;
		request.url = url;
		request.headers = NULL;
		request.body = NULL;
		request.body_size = 0;
		request.authorization = authorization;
		code = http_do(h, &request, err);
	}
	registry_return(r, h);
	if (authorization)
		OPENSSL_cleanse(authorization, strlen(authorization));
	if (code < 0)
		return code;
	if (request.status == 401 || request.status == 403)
		return error_set(err, -EACCES, CAIRN_ERROR_SYSTEM,
				 "no token for %s: access denied%s", scope,
				 have->user || have->identity ? " with the credentials that we have"
							      : " without credentials");
	if (request.status != 200)
		return error_set(err, -EIO, CAIRN_ERROR_SYSTEM, "no token for %s: answer %d", scope,
				 request.status);
	return take_answer(r, scope, &request, ret, err);
}

/* --- what to say ----------------------------------------------------------------------------- */

static int look_up(struct registry *r, const char *name, struct cairn_error *err)
{
	const struct registry_options *o = r->options;
	int code = 0;

	if (r->looked_up)
		return 0;
	if (o->credentials && credentials_parse(o->credentials, &r->credentials) < 0)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE,
				 "credentials are not of the form USER:PASSWORD");
	if (!o->credentials)
		code = credentials_find(o->auth_files, o->nr_auth_files, r->host, name,
					&r->credentials, err);
	if (code == 0)
		r->looked_up = true;
	return code;
}

static const struct challenge *choose(const struct challenge *challenges, unsigned int nr)
{
	const struct challenge *basic = NULL;

	for (unsigned int i = 0; i < nr; i++) {
		if (challenges[i].scheme == CHALLENGE_BEARER && *challenges[i].realm)
			return &challenges[i];
		if (challenges[i].scheme == CHALLENGE_BASIC)
			basic = &challenges[i];
	}
	return basic;
}

/* With what is known already. Under the lock. */
static int say_known(struct registry *r, const char *scope, char **ret)
{
	const char *token = find_token(r, scope);

	if (r->credentials.token) {
		if (asprintf(ret, "Bearer %s", r->credentials.token) < 0)
			return -ENOMEM;
	} else if (token) {
		*ret = strdup(token);
	} else if (r->challenge.scheme == CHALLENGE_BASIC && r->credentials.user) {
		*ret = basic(&r->credentials);
	} else {
		return 0;
	}
	return *ret ? 0 : -ENOMEM;
}

int registry_authorization(struct registry *r, const char *name, const char *from,
			   enum registry_access access, const struct challenge *challenges,
			   unsigned int nr, char **ret, struct cairn_error *err)
{
	const struct challenge *asked = choose(challenges, nr);
	char scope[SCOPE_MAX], wanted[2 * SCOPE_MAX];
	struct challenge bearer;
	bool fetch;
	int code;

	scope_of(scope, name, from, access);
	pthread_mutex_lock(&r->lock);
	code = nr || r->options->credentials || r->looked_up ? look_up(r, name, err) : 0;
	if (code == 0 && nr && !asked)
		code = -EACCES;
	if (code == 0 && asked) {
		r->challenge = *asked;
		if (asked->scheme == CHALLENGE_BASIC && !r->credentials.user)
			code = -EACCES;
		drop_token(r, scope);
	}
	if (code == 0 && !(asked && asked->scheme == CHALLENGE_BEARER && !r->credentials.token))
		code = say_known(r, scope, ret);
	bearer = r->challenge;
	fetch = code == 0 && !*ret && bearer.scheme == CHALLENGE_BEARER;
	pthread_mutex_unlock(&r->lock);
	if (!fetch)
		return code == -ENOMEM ? error_errno(err, code, "request") : code;

	/* A registry that wants more names its scope; with ours it is asked for both. */
	snprintf(wanted, sizeof(wanted), "%s", scope);
	if (asked && *asked->scope && strcmp(asked->scope, scope) &&
	    !strcmp(asked->error, "insufficient_scope"))
		snprintf(wanted, sizeof(wanted), "%s %s", scope, asked->scope);
	else if (asked && *asked->scope && !from)
		snprintf(wanted, sizeof(wanted), "%s", asked->scope);
	code = fetch_token(r, &bearer, wanted, ret, err);
	if (code == 0 && strcmp(wanted, scope)) {
		char *copy = strdup(*ret);

		pthread_mutex_lock(&r->lock);
		if (copy)
			(void)keep_token(r, scope, copy, TOKEN_MIN);
		pthread_mutex_unlock(&r->lock);
	}
	return code;
}
