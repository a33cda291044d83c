/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The functions of libcurl that we use, found at run time: linked in, libcurl and the thirty libraries
 * below it would add some 15 ms to the start of every command.
 */
#ifndef SYS_CURL_INTERNAL_H
#define SYS_CURL_INTERNAL_H

#include <curl/curl.h>

#include <cairn/error.h>

/* Its typed checks are macros around the names of the functions; here they are members. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define CURL_FUNCTIONS(X)                                                                          \
	X(curl_global_init)                                                                        \
	X(curl_easy_init)                                                                          \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_setopt)                                                                        \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_strerror)                                                                      \
	X(curl_multi_init)                                                                         \
	X(curl_multi_cleanup)                                                                      \
	X(curl_multi_add_handle)                                                                   \
	X(curl_multi_remove_handle)                                                                \
	X(curl_multi_setopt)                                                                       \
	X(curl_multi_perform)                                                                      \
	X(curl_multi_poll)                                                                         \
	X(curl_multi_info_read)                                                                    \
	X(curl_slist_append)                                                                       \
	X(curl_slist_free_all)                                                                     \
	X(curl_url)                                                                                \
	X(curl_url_cleanup)                                                                        \
	X(curl_url_set)                                                                            \
	X(curl_url_get)                                                                            \
	X(curl_getdate)                                                                            \
	X(curl_free)

struct curl_functions {
#define X(name) __typeof__(name) *name;
	CURL_FUNCTIONS(X)
#undef X
};

/* Loads libcurl the first time. Returns its functions, or NULL with the words in @err. */
const struct curl_functions *curl_load(struct cairn_error *err);

#endif
