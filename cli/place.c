/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Where the store is. The only place where the environment is read. */
#include "place.h"

#include <stdio.h>
#include <stdlib.h>

#define SYSTEM_PLACE "/var/lib/cairn"

static const char *home_place(void)
{
	static char path[4096];
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int n = -1;

	/* A relative one is to be ignored, says the XDG specification. */
	if (data && *data == '/')
		n = snprintf(path, sizeof(path), "%s/cairn", data);
	else if (home && *home == '/')
		n = snprintf(path, sizeof(path), "%s/.local/share/cairn", home);
	return n > 0 && (size_t)n < sizeof(path) ? path : NULL;
}

const char *store_place(const char *given)
{
	const char *place = given ? given : getenv("CAIRN_STORE");

	if (place && *place)
		return place;
	place = geteuid() ? home_place() : SYSTEM_PLACE;
	if (!place)
		talk("no store: there is no --store, no $CAIRN_STORE and no home directory");
	return place;
}

int store_place_open(const char *given, unsigned int flags, struct cairn_store **ret)
{
	const char *place = store_place(given);
	struct cairn_error err = {0};
	int r;

	if (!place)
		return EXIT_FAILED;
	r = cairn_store_open(place, flags, ret, &err);
	return r < 0 ? talk_error(r, &err, NULL) : EXIT_DONE;
}
