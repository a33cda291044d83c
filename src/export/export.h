/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Trees back out (cairn/export.h says what that means). */
#ifndef EXPORT_EXPORT_H
#define EXPORT_EXPORT_H

#include <cairn/export.h>

#include "base/error.h"

struct tree;

/* As cairn_export_directory() and cairn_export_tar(). */
int export_directory(const struct tree *t, int dirfd, const char *path,
		     const struct cairn_export_options *options, struct cairn_export_result *ret,
		     struct cairn_error *err);
int export_tar(const struct tree *t, cairn_write_fn write, void *arg,
	       const struct cairn_export_options *options, struct cairn_export_result *ret,
	       struct cairn_error *err);

#endif
