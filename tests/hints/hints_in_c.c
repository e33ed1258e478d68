/* SPDX-License-Identifier: Apache-2.0 */
/* The library's header and its archive are enough for a program in C, also where no agent is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/hints/corral_hints.h"

int main(void)
{
	char long_name[200];
	char why[128] = "";
	struct corral_hints *hints = corral_hints_open("no-such-enclave");

	if (!hints)
		return 1;
	corral_hints_set(hints, CORRAL_HINT_BATCH);
	if (corral_hints_connected(hints, why, sizeof(why)) || !why[0])
		return 2;
	corral_hints_close(hints);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	if (corral_hints_open(long_name) || errno != ENAMETOOLONG)
		return 3;
	corral_hints_close(NULL);
	return 0;
}
