/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Finds libcurl at run time. */
#include "sys/curl-internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/error.h"

static struct curl_functions functions;
static const char *missing; /* what was not there; NULL: all is well */
static char missing_words[200];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		snprintf(missing_words, sizeof(missing_words), "%s", dlerror());
		missing = missing_words;
		return;
	}
#define X(name)                                                                                    \
	functions.name = (__typeof__(functions.name))dlsym(library, #name);                        \
	if (!functions.name)                                                                       \
		missing = "it has no " #name "()";
	CURL_FUNCTIONS(X)
#undef X
	if (!missing && functions.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		missing = "it cannot be initialised";
}

const struct curl_functions *curl_load(struct cairn_error *err)
{
	pthread_once(&once, load);
	if (missing) {
		error_set(err, -ENOPKG, CAIRN_ERROR_UNSUPPORTED,
			  "network access needs libcurl.so.4 (Debian: libcurl4): %s", missing);
		return NULL;
	}
	return &functions;
}
