/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Speaking to a registry: which scheme, which certificates, and the request that is sent twice when needed. */
#include "oci/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "oci/json.h"
#include "oci/registry-internal.h"
#include "sys/io.h"

#define CA_MAX (8u << 20)

/* --- certificates ---------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a > b && !strcmp(text + a - b, end);
}

static int add_file(struct buf *to, const char *path)
{
	int fd cleanup_fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = buf_reserve(to, (size_t)st.st_size + 2);
	if (r < 0)
		return r;
	n = read_full(fd, to->data + to->len, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	to->len += (size_t)n;
	to->data[to->len++] = '\n';
	return 0;
}

/* HOST[:PORT]/: *.crt are authorities besides the system's, NAME.cert with NAME.key what we show. */
static int read_certs(struct registry *r, const char *dir, struct cairn_error *err)
{
	char path[4096], name[600];
	struct buf ca cleanup_buf = BUF_INIT(CA_MAX);
	struct dirent *entry;
	int code = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", dir, r->host);
	d = opendir(path);
	if (!d)
		return 0;
	while (code == 0 && (entry = readdir(d)) != NULL) {
		snprintf(name, sizeof(name), "%s", entry->d_name);
		snprintf(path, sizeof(path), "%s/%s/%s", dir, r->host, name);
		if (ends_with(name, ".crt")) {
			if (!ca.len)
				(void)add_file(&ca, HTTP_SYSTEM_CA);
			code = add_file(&ca, path);
		} else if (ends_with(name, ".cert") && !r->cert_file) {
			r->cert_file = strdup(path);
			strcpy(path + strlen(path) - 5, ".key");
			r->key_file = strdup(path);
		}
	}
	closedir(d);
	if (code == 0 && ca.len && !r->ca_data) {
		code = buf_put(&ca, "", 1);
		r->ca_data = take_ptr(ca.data);
	}
	return code < 0 ? error_errno(err, code, "%s", path) : 0;
}

/* --- clients --------------------------------------------------------------------------------- */

struct http *registry_borrow(struct registry *r, struct cairn_error *err)
{
	struct http_options options = r->options->http;
	struct http *h = NULL;

	pthread_mutex_lock(&r->lock);
	if (r->nr_idle)
		h = r->idle[--r->nr_idle];
	pthread_mutex_unlock(&r->lock);
	if (h)
		return h;
	options.insecure = r->insecure;
	options.plain_http = r->insecure || r->options->plain_http;
	options.ca_data = r->ca_data;
	options.cert_file = r->cert_file;
	options.key_file = r->key_file;
	return http_open(&options, &h, err) < 0 ? NULL : h;
}

void registry_return(struct registry *r, struct http *h)
{
	pthread_mutex_lock(&r->lock);
	if (r->nr_idle < CLIENTS_MAX) {
		r->idle[r->nr_idle++] = h;
		h = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	http_close(h);
}

int registry_open(const char *host, bool insecure, const struct registry_options *options,
		  struct registry **ret, struct cairn_error *err)
{
	struct registry *r = (struct registry *)calloc(1, sizeof(*r));
	int code = 0;

	if (!r)
		return error_errno(err, -ENOMEM, "%s", host);
	pthread_mutex_init(&r->lock, NULL);
	r->options = options;
	r->host = strdup(host);
	r->api = strdup(!strcmp(host, "docker.io") ? "registry-1.docker.io" : host);
	r->insecure = insecure || options->insecure;
	if (options->plain_http)
		r->scheme = "http";
	if (!r->host || !r->api)
		code = error_errno(err, -ENOMEM, "%s", host);
	for (size_t i = 0; code == 0 && i < options->nr_certs_dirs; i++)
		code = read_certs(r, options->certs_dirs[i], err);
	if (code < 0) {
		registry_close(r);
		return code;
	}
	*ret = r;
	return 0;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	for (unsigned int i = 0; i < r->nr_idle; i++)
		http_close(r->idle[i]);
	for (unsigned int i = 0; i < r->nr_tokens; i++) {
		free(r->tokens[i].scope);
		free(r->tokens[i].value);
	}
	for (unsigned int i = 0; i < r->nr_warnings; i++)
		free(r->warnings[i]);
	credentials_fini(&r->credentials);
	free(r->host);
	free(r->api);
	free(r->ca_data);
	free(r->cert_file);
	free(r->key_file);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

const char *registry_host(const struct registry *r)
{
	return r->host;
}

/* --- scheme ---------------------------------------------------------------------------------- */

static bool is_this_machine(const struct registry *r)
{
	char name[300];
	char *colon;

	snprintf(name, sizeof(name), "%s", r->api);
	colon = strrchr(name, ':');
	if (colon && !strchr(colon, ']'))
		*colon = '\0';
	return http_is_loopback(name);
}

/* A registry on this machine, or one where that is allowed, may speak plain HTTP: its answer to the
 * beginning of TLS tells. */
static int find_scheme(struct registry *r, const char **ret, struct cairn_error *err)
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	const char *scheme;
	struct http *h;
	char url[400];
	int code;

	pthread_mutex_lock(&r->lock);
	scheme = r->scheme;
	pthread_mutex_unlock(&r->lock);
	if (!scheme && !r->insecure && !is_this_machine(r))
		scheme = "https";
	if (scheme) {
		*ret = scheme;
		return 0;
	}
	h = registry_borrow(r, err);
	if (!h)
		return -ENOPKG;
	snprintf(url, sizeof(url), "https://%s/v2/", r->api);
	request.url = url;
	request.body_max = HTTP_ERROR_BODY_MAX;
	request.total_seconds = 60;
	code = http_do(h, &request, err);
	registry_return(r, h);
	if (code < 0 && code != -EPROTO)
		return code;
	pthread_mutex_lock(&r->lock);
	r->scheme = *ret = code == 0 ? "https" : "http";
	pthread_mutex_unlock(&r->lock);
	return 0;
}

char *registry_url(struct registry *r, const char *base, const char *reference,
		   struct cairn_error *err)
{
	const char *scheme;
	char *url = NULL;

	if (base) {
		struct http *h = registry_borrow(r, err);

		if (!h)
			return NULL;
		url = http_resolve(h, base, reference);
		registry_return(r, h);
		if (!url)
			error_set(err, -EPROTO, CAIRN_ERROR_FORMAT,
				  "registry %s: it sent an address that is none", r->host);
		return url;
	}
	if (find_scheme(r, &scheme, err) < 0)
		return NULL;
	if (asprintf(&url, "%s://%s%s", scheme, r->api, reference) < 0) {
		error_errno(err, -ENOMEM, "URL");
		return NULL;
	}
	return url;
}

/* --- requests -------------------------------------------------------------------------------- */

static unsigned int read_challenges(const struct http_request *request,
				    struct challenge ret[CHALLENGES_MAX])
{
	unsigned int nr = 0;
	const char *value;

	for (unsigned int i = 0; (value = http_header(request, "WWW-Authenticate", i)); i++) {
		struct challenge some[CHALLENGES_MAX];
		unsigned int found = challenge_parse(value, some);

		for (unsigned int k = 0; k < found && nr < CHALLENGES_MAX; k++)
			ret[nr++] = some[k];
	}
	return nr;
}

/* Some gateways refuse without telling what they want; the root of the API does. */
static unsigned int ask_root(struct registry *r, struct http *h,
			     struct challenge ret[CHALLENGES_MAX])
{
	struct http_request request cleanup_http_request = HTTP_REQUEST_INIT;
	char *url cleanup_free = registry_url(r, NULL, "/v2/", NULL);

	request.url = url;
	request.body_max = HTTP_ERROR_BODY_MAX;
	request.total_seconds = 60;
	if (!url || http_do(h, &request, NULL) < 0 || request.status != 401)
		return 0;
	return read_challenges(&request, ret);
}

static int do_with(struct registry *r, struct http *h, const char *name, const char *from,
		   enum registry_access access, struct http_request *request,
		   struct cairn_error *err)
{
	struct challenge *challenges cleanup_free =
		(struct challenge *)malloc(CHALLENGES_MAX * sizeof(*challenges));
	char *authorization cleanup_free = NULL;
	unsigned int nr = 0;
	int code;

	if (!challenges)
		return error_errno(err, -ENOMEM, "request");
	/* The second time with an answer to a challenge, the third with a token for more. */
	for (int attempt = 0; attempt < 3; attempt++) {
		free(authorization);
		authorization = NULL;
		code = registry_authorization(r, name, from, access, challenges, nr, &authorization,
					      err);
		if (code == -EACCES && attempt)
			return 0; /* the refusal that is in request */
		if (code < 0)
			return code;
		http_request_fini(request);
		request->authorization = authorization;
		code = http_do(h, request, err);
		request->authorization = NULL;
		if (code < 0 || request->status != 401)
			return code;
		nr = read_challenges(request, challenges);
		if (!nr)
			nr = ask_root(r, h, challenges);
		if (!nr)
			return 0;
		/* What was refused although it was sent will be refused again. */
		if (attempt && strcmp(challenges[0].error, "insufficient_scope"))
			return 0;
	}
	return 0;
}

/* The text of "299 AGENT "TEXT"", made harmless; false: another warning, or none. */
static bool warning_text(const char *value, char *out, size_t size)
{
	const char *at = strchr(value, '"');
	char text[300];
	size_t len = 0;

	if (strncmp(value, "299 ", 4) || !at)
		return false;
	for (at++; *at && *at != '"' && len < sizeof(text) - 1; at++) {
		if (*at == '\\' && at[1])
			at++;
		text[len++] = *at;
	}
	error_quote(text, len, out, size);
	return len > 0;
}

static void tell_warnings(struct registry *r, const struct http_request *request)
{
	const char *value;
	char text[600];

	if (!r->options->warn)
		return;
	for (unsigned int i = 0; (value = http_header(request, "Warning", i)) != NULL; i++) {
		unsigned int k = 0;

		if (!warning_text(value, text, sizeof(text)))
			continue;
		pthread_mutex_lock(&r->lock);
		while (k < r->nr_warnings && strcmp(r->warnings[k], text))
			k++;
		if (k == r->nr_warnings && k < WARNINGS_MAX &&
		    (r->warnings[k] = strdup(text)) != NULL) {
			r->nr_warnings++;
			r->options->warn(r->options->warn_arg, r->host, text);
		}
		pthread_mutex_unlock(&r->lock);
	}
}

int registry_do(struct registry *r, const char *name, const char *from, enum registry_access access,
		const char *path, struct http_request *request, struct cairn_error *err)
{
	char *url cleanup_free = *path == '/' ? registry_url(r, NULL, path, err) : strdup(path);
	struct http *h;
	int code;

	if (!url)
		return err && err->code ? err->code : -ENOMEM;
	h = registry_borrow(r, err);
	if (!h)
		return -ENOPKG;
	request->url = url;
	code = do_with(r, h, name, from, access, request, err);
	request->url = NULL;
	registry_return(r, h);
	if (code == 0)
		tell_warnings(r, request);
	if (code < 0 && code != -ECANCELED)
		error_prepend(err, "registry %s", r->host);
	return code;
}

int registry_do_many(struct registry *r, const char *name, const char *path,
		     struct http_request *requests, size_t nr, unsigned int parallel,
		     int (*done)(void *arg, struct http_request *request), void *arg,
		     struct cairn_error *err)
{
	char *url cleanup_free = registry_url(r, NULL, path, err),
		  *authorization cleanup_free = NULL;
	struct http_request *request;
	size_t begun = 0, ended = 0;
	struct http *h;
	int code;

	if (!url)
		return -ENOMEM;
	code = registry_authorization(r, name, NULL, REGISTRY_PULL, NULL, 0, &authorization, err);
	if (code < 0)
		return code;
	h = registry_borrow(r, err);
	if (!h)
		return -ENOPKG;
	while (code == 0 && ended < nr) {
		while (code == 0 && begun < nr && begun - ended < parallel) {
			requests[begun].url = url;
			requests[begun].authorization = authorization;
			code = http_start(h, &requests[begun]);
			if (code < 0)
				*err = requests[begun].error;
			else
				begun++;
		}
		request = code == 0 ? http_wait(h) : NULL;
		if (!request)
			break;
		ended++;
		if (request->result < 0) {
			code = request->result;
			*err = request->error;
		} else {
			code = done(arg, request);
		}
	}
	for (size_t i = 0; i < begun; i++)
		http_cancel(h, &requests[i]);
	registry_return(r, h);
	return code;
}

/* --- refusals -------------------------------------------------------------------------------- */

/* The first error of {"errors": [{"code", "message"}]}, made harmless. */
static void words_of(const struct buf *body, char *out, size_t size)
{
	json_t *root cleanup(json) = NULL, *first;
	const char *code, *message;
	char a[80], b[300];

	out[0] = '\0';
	if (!body->len || json_read(body->data, body->len, 16, "answer", &root, NULL) < 0)
		return;
	first = json_array_get(json_object_get(root, "errors"), 0);
	code = json_string_value(json_object_get(first, "code"));
	message = json_string_value(json_object_get(first, "message"));
	if (!code)
		return;
	snprintf(out, size, ": %s%s%s", error_quote(code, strlen(code), a, sizeof(a)),
		 message && *message ? ": " : "",
		 message ? error_quote(message, strlen(message), b, sizeof(b)) : "");
}

int registry_refusal(const struct registry *r, const char *name, const struct http_request *request,
		     struct cairn_error *err)
{
	const char *what = "";
	char words[400];
	int code = -EPROTO;

	switch (request->status) {
	case 401:
		code = -EACCES;
		what = r->credentials.user || r->credentials.identity || r->credentials.token
			       ? ", access denied with the credentials that we have"
			       : ", access denied without credentials";
		break;
	case 403:
		code = -EACCES;
		what = ", access denied";
		break;
	case 404:
		code = -ENOENT;
		what = ", not found";
		break;
	case 413:
		code = -EFBIG;
		break;
	case 429:
		code = -EBUSY;
		what = ", too many requests";
		break;
	default:
		if (request->status >= 500)
			code = -EIO;
		break;
	}
	words_of(&request->ret_body, words, sizeof(words));
	return error_set(err, code, CAIRN_ERROR_SYSTEM, "registry %s: %s: answer %d%s%s", r->host,
			 name, request->status, what, words);
}
