/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The subcommands, one a file: cmd_NAME.c. */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli.h"

extern const struct command cmd_build;
extern const struct command cmd_bundle;
extern const struct command cmd_cat;
extern const struct command cmd_check;
extern const struct command cmd_completion;
extern const struct command cmd_copy;
extern const struct command cmd_convert;
extern const struct command cmd_diff;
extern const struct command cmd_digest;
extern const struct command cmd_du;
extern const struct command cmd_dump;
extern const struct command cmd_export;
extern const struct command cmd_export_dir;
extern const struct command cmd_fsck;
extern const struct command cmd_gc;
extern const struct command cmd_fetch;
extern const struct command cmd_features;
extern const struct command cmd_help;
extern const struct command cmd_images;
extern const struct command cmd_ls;
extern const struct command cmd_measure;
extern const struct command cmd_missing;
extern const struct command cmd_mount;
extern const struct command cmd_mounts;
extern const struct command cmd_objects;
extern const struct command cmd_pull;
extern const struct command cmd_push;
extern const struct command cmd_oci_export;
extern const struct command cmd_oci_seal;
extern const struct command cmd_oci_verify;
extern const struct command cmd_oci;
extern const struct command cmd_oci_commit;
extern const struct command cmd_oci_digest;
extern const struct command cmd_oci_inspect;
extern const struct command cmd_oci_layers;
extern const struct command cmd_oci_ls;
extern const struct command cmd_oci_merge;
extern const struct command cmd_refs;
extern const struct command cmd_run;
extern const struct command cmd_store;
extern const struct command cmd_store_info;
extern const struct command cmd_store_init;
extern const struct command cmd_store_parents;
extern const struct command cmd_tag;
extern const struct command cmd_tar;
extern const struct command cmd_umount;
extern const struct command cmd_untag;
extern const struct command cmd_version;

#endif
