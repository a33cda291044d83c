/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A registry (oci-registry.md): one host, its connections, and who we are to it.
 *
 *  1. Any number of threads may use a registry at once: each request borrows a client of sys/http.h.
 *  2. Credentials go to the registry that they belong to, and to the realm that it names, over TLS; over plain
 *     HTTP only to this machine or where that was asked for. Redirects never get them (http.h).
 *  3. A request is sent with what is known; an answer 401 is asked what is wanted, and the request is sent
 *     again once with that.
 */
#ifndef OCI_REGISTRY_H
#define OCI_REGISTRY_H

#include "oci/name.h"
#include "oci/registries.h"
#include "sys/http.h"

struct registry_options {
	struct http_options http; /* proxies, timeouts, cancellation */
	const char *const *auth_files;
	size_t nr_auth_files;
	const char *credentials;       /* "user:password", before the files; NULL: none */
	const char *const *certs_dirs; /* each with HOST[:PORT]/ *.crt, *.cert, *.key below it */
	size_t nr_certs_dirs;
	const struct registries *registries; /* NULL: none */
	bool plain_http;                     /* speak http, not https */
	bool insecure; /* any certificate, or http if that is what it speaks */

	/* Told once of each text that a registry wants people to read (Warning: 299); from any thread, one registry's
	 * one after the other. May be NULL. */
	void (*warn)(void *arg, const char *host, const char *text);
	void *warn_arg;
};

struct registry;

/* @host: "name[:port]". @insecure: as in the options. Borrows @options. */
int registry_open(const char *host, bool insecure, const struct registry_options *options,
		  struct registry **ret, struct cairn_error *err);
void registry_close(struct registry *r);
DEFINE_CLEANUP(struct registry *, registry, registry_close)

const char *registry_host(const struct registry *r);

/* What is to be done, for tokens. */
enum registry_access { REGISTRY_PULL = 1, REGISTRY_PUSH };

/* Sends @request, whose URL is @path ("/v2/…") of this registry, or an URL of it, on behalf of repository
 * @name (@from: another one of the same registry that is to be read as well; NULL: none). Sets its url and
 * authorization. Returns 0: request->status is the answer; or a negative errno. */
int registry_do(struct registry *r, const char *name, const char *from, enum registry_access access,
		const char *path, struct http_request *request, struct cairn_error *err);

/* Many at once: @nr requests with paths in their urls, all of one name, @parallel at a time. @done is
 * called for each as it ends; what it returns below 0 ends all. */
int registry_do_many(struct registry *r, const char *name, const char *path,
		     struct http_request *requests, size_t nr, unsigned int parallel,
		     int (*done)(void *arg, struct http_request *request), void *arg,
		     struct cairn_error *err);

/* Makes words of an answer that is not the wanted one: status, and what its body tells. Returns -ENOENT for
 * 404, -EACCES for 401 and 403, -EBUSY for 429, -EPROTO or -EIO for others. */
int registry_refusal(const struct registry *r, const char *name, const struct http_request *request,
		     struct cairn_error *err);

/* A URL of this registry for a path or another reference seen from @base. On the heap. */
char *registry_url(struct registry *r, const char *base, const char *reference,
		   struct cairn_error *err);

#endif
