# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced: packages from Debian suites which this machine does not list, without touching its apt configuration.
#
# A machine may reach Debian by a mirror, a proxy or a company's registry. So the further suites are derived: the entry of
# this machine's own sources that carries bookworm's main archive is copied with the suite exchanged, and everything else in
# it (URI, Signed-By, options) kept. The copy, its package lists and its downloads live in the cache only.

# Prints every entry of the machine's sources that has suite bookworm and component main, as deb822 paragraphs with the
# suites replaced by "$*". One-line entries are rewritten to deb822, so that one form is left to handle.
apt_derived_entries() {
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ -e $file ]] && awk -v suites="$*" '
            # Comments may stand inside a paragraph, and a paragraph may be switched off by Enabled: no.
            function flush() {
                if (has_suite && has_main && is_deb && !off) printf "%s\n", text
                text = ""; has_suite = has_main = is_deb = off = 0
            }
            /^#/ { next }
            /^[[:space:]]*$/ { flush(); next }
            /^[Ss]uites:/ {
                for (i = 2; i <= NF; i++) if ($i == "bookworm") has_suite = 1
                text = text "Suites: " suites "\n"; next
            }
            /^[Cc]omponents:/ {
                for (i = 2; i <= NF; i++) if ($i == "main") has_main = 1
                text = text "Components: main\n"; next
            }
            /^[Tt]ypes:/ {
                for (i = 2; i <= NF; i++) if ($i == "deb") is_deb = 1
                text = text "Types: deb\n"; next
            }
            /^[Ee]nabled:/ { if (tolower($2) == "no") off = 1; next }
            { text = text $0 "\n" }
            END { flush() }' "$file"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -e $file ]] && awk -v suites="$*" '
            $1 != "deb" { next }
            {
                options = ""; rest = $0
                sub(/^deb[[:space:]]+/, "", rest)
                if (match(rest, /^\[[^]]*\]/)) {
                    options = substr(rest, 2, RLENGTH - 2)
                    rest = substr(rest, RLENGTH + 1)
                }
                n = split(rest, word, /[[:space:]]+/); first = word[1] == "" ? 2 : 1
                if (word[first + 1] != "bookworm") next
                has_main = 0
                for (i = first + 2; i <= n; i++) { if (word[i] ~ /^#/) break; if (word[i] == "main") has_main = 1 }
                if (!has_main) next
                printf "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n", word[first], suites
                m = split(options, option, /[[:space:]]+/)
                for (i = 1; i <= m; i++) {
                    if (option[i] == "") continue
                    eq = index(option[i], "=")
                    key = substr(option[i], 1, eq - 1); value = substr(option[i], eq + 1)
                    gsub(/,/, " ", value)
                    # The names differ between the two forms only for these.
                    if (key == "arch") key = "Architectures"
                    else if (key == "lang") key = "Languages"
                    else if (key == "target") key = "Targets"
                    printf "%s: %s\n", key, value
                }
                printf "\n"
            }' "$file"
    done
    return 0
}

# apt_open NAME SUITE... : a private apt configuration NAME with these suites, used by private_apt from then on. With --with-host
# as first argument the machine's own entries are there too.
apt_open() {
    local with_host=no
    if [[ $1 == --with-host ]]; then with_host=yes; shift; fi
    apt_dir=$cache_dir/apt-$1; shift
    mkdir -p "$apt_dir"/{sources,lists/partial,cache/archives/partial}
    # A mirror's URI may carry a password.
    chmod 700 "$apt_dir"
    rm -f "$apt_dir"/sources/*
    apt_derived_entries "$@" | awk -v RS= -v dir="$apt_dir/sources" '{
        # Third parties also call a suite of theirs bookworm: the usual path of the Debian archive goes first.
        rank = $0 ~ /URIs?:[^\n]*\/debian\/?([[:space:]]|$)/ ? 1 : 2
        print $0 > (dir "/candidate-" rank "-" sprintf("%02d", NR))
    }'
    local candidate found=no
    for candidate in "$apt_dir"/sources/candidate-*; do
        [[ -e $candidate ]] || break
        if [[ $found == no ]]; then
            mv "$candidate" "$apt_dir/sources/corral.sources"
            apt_link_host "$with_host"
            if apt_refresh "$@"; then found=yes; fi
        else
            rm -f "$candidate"
        fi
    done
    [[ $found == yes ]] || die "no entry of this machine's apt sources leads to Debian's suites $* (see $apt_dir/update.log)"
}

apt_link_host() {
    local file
    [[ $1 == yes ]] || return 0
    for file in /etc/apt/sources.list.d/*.{list,sources}; do
        [[ -e $file ]] && ln -sf "$file" "$apt_dir/sources/host-${file##*/}"
    done
    [[ -e /etc/apt/sources.list ]] && ln -sf /etc/apt/sources.list "$apt_dir/sources/host-main.list"
    return 0
}

apt_refresh() {
    local suite
    note "reading package lists: $*"
    if ! private_apt apt-get update >"$apt_dir/update.log" 2>&1 ||
        grep -Eq '^(E:|Err:)|NO_PUBKEY|is not signed' "$apt_dir/update.log"; then
        note "apt-get update failed: $(grep -Em1 '^(E:|Err:|W:)' "$apt_dir/update.log")"
        return 1
    fi
    for suite; do
        # The signature has been verified by apt; this tells Debian's archive from a third party's.
        grep -qsx 'Origin: Debian.*' "$apt_dir"/lists/*_dists_"$suite"_*Release || { note "suite $suite is not Debian's"; return 1; }
    done
}

# private_apt apt-get|apt-cache ARGUMENT... : with the configuration that apt_open made.
private_apt() {
    local tool=$1; shift
    # _apt, the user that downloads, need not be able to read the cache: fetch as the caller.
    "$tool" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt_dir/sources" -o Dir::State::lists="$apt_dir/lists" \
        -o Dir::Cache="$apt_dir/cache" -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}
