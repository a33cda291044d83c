/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * libcairn: verified file system images that share their files.
 *
 *	directory, dump text or image -> struct cairn_tree -> image, text, list, difference
 *
 * The library never prints, exits, changes directory or reads the environment. It starts threads only
 * where `jobs` asks for them, and one in cairn_mount() on older kernels; none outlasts the call.
 */
#ifndef CAIRN_CAIRN_H
#define CAIRN_CAIRN_H

#include <cairn/digest.h>
#include <cairn/error.h>
#include <cairn/export.h>
#include <cairn/features.h>
#include <cairn/fuse.h>
#include <cairn/image.h>
#include <cairn/layer.h>
#include <cairn/maintain.h>
#include <cairn/mount.h>
#include <cairn/names.h>
#include <cairn/oci.h>
#include <cairn/store.h>
#include <cairn/transfer.h>
#include <cairn/tree.h>
#include <cairn/usage.h>
#include <cairn/version.h>

#endif
