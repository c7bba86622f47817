#!/bin/bash
# Install what this Debian lacks: deps.sh build|test|full|bench|guest|demo|lint ...
#
# Nothing is done, and apt is not even asked, when everything is there. What cannot be installed is named, and
# the exit status is 1.
set -u

# One line per need: the package, and how to see that it is there without it being this very package.
needs_of() {
    case $1 in
    build)
        echo "gcc command:gcc
libc6-dev header:stdio.h
binutils command:ar
make command:make
pkg-config command:pkg-config
liburing-dev module:liburing
libnuma-dev module:numa
libxxhash-dev module:libxxhash
libzstd-dev module:libzstd
libjansson-dev module:jansson" ;;
    test)
        echo "g++ command:g++
libcmocka-dev module:cmocka
zstd command:zstd
tar command:tar" ;;
    full)
        echo "clang command:clang
libclang-rt-14-dev package" ;;
    bench)
        echo "zstd command:pzstd
tar command:tar" ;;
    guest)
        echo "qemu-system-x86 command:qemu-system-x86_64
busybox-static package
cpio command:cpio
kmod command:modprobe" ;;
    demo)
        echo "zstd command:zstd
tar command:tar
diffutils command:diff
time package" ;;
    lint)
        echo "clang-format command:clang-format
clang-tidy command:clang-tidy
cppcheck command:cppcheck" ;;
    *)
        echo "deps.sh: unknown word '$1' (build test full bench guest demo lint)" >&2
        return 1 ;;
    esac
}

is_there() { # package, way
    case $2 in
    command:*) PATH=$PATH:/usr/sbin:/sbin command -v "${2#command:}" > /dev/null && return 0 ;;
    module:*) pkg-config --exists "${2#module:}" 2> /dev/null && return 0 ;;
    header:*) [ -e "/usr/include/${2#header:}" ] && return 0 ;;
    esac
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

missing_of() { # words of needs on standard input
    while read -r package way; do
        [ -z "$package" ] || is_there "$package" "$way" || echo "$package"
    done | sort -u
}

needs=
for word in "$@"; do
    needs+=$(needs_of "$word")$'\n' || exit 2
done
missing=$(missing_of <<< "$needs" | tr '\n' ' ')
[ -n "${missing// /}" ] || exit 0

fail() {
    echo "deps.sh: $1. Install by hand: $missing" >&2
    exit 1
}

command -v apt-get > /dev/null || fail "this system has no apt-get"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || fail "not root and there is no sudo"
    as_root=sudo
fi

echo "deps.sh: installing $missing"
install_missing() {
    # shellcheck disable=SC2086 # words on purpose
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 $missing > "$log" 2>&1
}
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
# The package lists may be absent (a fresh image) or old: they are fetched only when the first try fails.
if ! install_missing; then
    $as_root apt-get update -qq > "$log" 2>&1
    install_missing || tail -n 20 "$log" >&2
fi
missing=$(missing_of <<< "$needs" | tr '\n' ' ')
[ -z "${missing// /}" ] || fail "apt-get could not install everything"
