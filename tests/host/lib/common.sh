# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by everything in tests/host: where things are kept, and how to speak to the user.

# Paths are exported to sourcing scripts. shellcheck disable=SC2034
host_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repo_dir=$(cd "$host_dir/../.." && pwd)
cache_dir=${CORRAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/corral}
mkdir -p "$cache_dir"

# Everything that a script says about itself goes to stderr: stdout belongs to results.
note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { note "$@"; exit 2; }

# Runs as root where the caller is not.
as_root() {
    if [[ $EUID == 0 ]]; then "$@"; else sudo "$@"; fi
}
