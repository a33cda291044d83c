/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The public functions that put trees out again. */
#include "api/api-internal.h"
#include "export/export.h"

int cairn_export_directory(const struct cairn_tree *tree, int dirfd, const char *path,
			   const struct cairn_export_options *options,
			   struct cairn_export_result *ret, struct cairn_error *err)
{
	static const struct cairn_export_options defaults = {0};

	return export_directory(tree_from_public(tree), dirfd, path, options ? options : &defaults,
				ret, err);
}

int cairn_export_tar(const struct cairn_tree *tree, cairn_write_fn write, void *arg,
		     const struct cairn_export_options *options, struct cairn_export_result *ret,
		     struct cairn_error *err)
{
	static const struct cairn_export_options defaults = {0};

	return export_tar(tree_from_public(tree), write, arg, options ? options : &defaults, ret,
			  err);
}
