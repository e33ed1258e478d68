# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by `inside`: the commands that README gives an operator are run as they stand there, and none is left out.

# shellcheck disable=SC2154  # `here` is the caller's.
declare -A readme_left=()
while IFS= read -r command; do
    readme_left[$command]=1
done < <(sed -n '/^## Install, observe/,/^## What is proven/p' "$here/../../README.md" | sed -nE 's/^    ([^#]*[^# ]) *(#.*)?$/\1/p')
[[ ${#readme_left[@]} -gt 8 ]] || fail "README's section for operators is gone"

# readme COMMAND [STAND_IN]: STAND_IN is run where COMMAND has a place to fill in, or would not end.
readme() {
    [[ -n ${readme_left[$1]:-} ]] || fail "README has no command \"$1\""
    readme_left[$1]= # `unset` would read the command's quotes as its own
    say "README: $1"
    eval "${2:-$1}"
}

readme_is_done() {
    local command missed=()
    for command in "${!readme_left[@]}"; do
        [[ -z ${readme_left[$command]} ]] || missed+=("\"$command\"")
    done
    [[ ${#missed[@]} == 0 ]] || fail "README has commands that were not run: ${missed[*]}"
}
