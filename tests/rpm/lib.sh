# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the tests of the package.

fail() { echo "${0##*/}: FAILED: $*" >&2; exit 1; }

# The binary package in a folder of RPMs.
package_in() {
    local packages=("$1"/x86_64/corral-[0-9]*.x86_64.rpm)
    [[ ${#packages[@]} == 1 && -e ${packages[0]} ]] || fail "not one package in $1: ${packages[*]}"
    echo "${packages[0]}"
}

# What applications are built with.
devel_package_in() {
    local packages=("$1"/x86_64/corral-devel-[0-9]*.x86_64.rpm)
    [[ ${#packages[@]} == 1 && -e ${packages[0]} ]] || fail "not one package for applications in $1: ${packages[*]}"
    echo "${packages[0]}"
}

# The page for Cockpit, a package of its own.
page_package_in() {
    local packages=("$1"/noarch/cockpit-corral-[0-9]*.noarch.rpm)
    [[ ${#packages[@]} == 1 && -e ${packages[0]} ]] || fail "not one page for Cockpit in $1: ${packages[*]}"
    echo "${packages[0]}"
}

# What SELinux has to allow.
selinux_package_in() {
    local packages=("$1"/noarch/corral-selinux-[0-9]*.noarch.rpm)
    [[ ${#packages[@]} == 1 && -e ${packages[0]} ]] || fail "not one package for SELinux in $1: ${packages[*]}"
    echo "${packages[0]}"
}

# Debian's rpm looks for its data base in the caller's home; and it always says that dpkg is to be preferred.
rpm_quietly() { rpm --dbpath /var/lib/rpm "$@" 2> >(grep -v '^rpm: \(RPM should not\|However assuming\)' >&2); }

# provides_of PACKAGE...: what they require, as a stub's Provides. What it requires beside others, it does not here.
provides_of() { rpm -qp --requires "$@" | grep -vE '^(\(|(rpmlib|config)\()' | sed 's/^/Provides: /'; }

# An empty package that says so, where the machine's own packages are not rpm's.
provide_requirements_of() {
    local work
    work=$(mktemp -d)
    {
        printf 'Name: stub-base\nVersion: 1\nRelease: 1\nSummary: What corral requires\nLicense: none\n'
        provides_of "$@"
        printf '%%description\n%%files\n'
    } >"$work/stub.spec"
    rpmbuild -bb --quiet --define "_topdir $work" "$work/stub.spec" >"$work/log" 2>&1 || { cat "$work/log"; fail "no stub"; }
    rpm_quietly -U "$work"/RPMS/*/stub-base-*.rpm
    rm -r "$work"
}
