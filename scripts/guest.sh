#!/bin/bash
# Boot guests with two NUMA nodes and an NVMe drive, and run there the tests this machine cannot: guest.sh [KERNEL...]
#
# KERNEL is 6.1 (Debian 12's own, our oldest) or 6.12 (its backports: the newest switches); both by default. The
# processor is emulated: this is for correctness, never for timing. Kernels are fetched by apt-get download into
# build/guest and nothing of them is kept elsewhere. What runs inside is tests/guest/*.sh, see tests/guest/run.sh.
# The last line is "N passed, N failed, N skipped" over all guests; the exit status is 1 when something failed or a
# guest did not reach its closing line, 77 when no guest can be booted here.
set -u
cd "$(dirname "$0")/.." || exit 1

TOP=$PWD
BUILD=${BUILD:-build/release}
WORK=build/guest
LIMIT=${RMILL_GUEST_TIMEOUT:-170} # Seconds for one guest.
PATH=$PATH:/usr/sbin:/sbin

skip_all() {
    echo "SKIP guest: $*"
    exit 77
}

for tool in qemu-system-x86_64 busybox cpio depmod modprobe; do
    command -v $tool > /dev/null || skip_all "no $tool; scripts/deps.sh guest installs it"
done
[ "$(uname -m)" = x86_64 ] || skip_all "the guest's kernel is for x86-64"

mkdir -p "$WORK"
make --no-print-directory -j"$(nproc)" CONFIG=release tests > "$WORK/make.log" 2>&1 ||
    { tail -n 20 "$WORK/make.log"; exit 1; }

# --- kernels -----------------------------------------------------------------------------------------------
apt_in() { # suite, apt-get words...: apt with lists and cache of its own, so that the machine's stay as they are
    local suite=$1 own=$TOP/$WORK/apt-$1 tool=$2
    shift 2
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "http://deb.debian.org/debian $suite main" > "$own/sources.list"
    "$tool" -qq -o Dir::Etc::sourcelist="$own/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$own/lists" -o Dir::Cache="$own/cache" -o APT::Sandbox::User=root "$@"
}

# Unpack the kernel of a suite into WORK/VERSION. An unpacked one is not fetched again.
fetch_kernel() { # version, suite
    local version=$1 suite=$2 package root=$WORK/$1
    [ -e "$root/.complete" ] && return 0
    rm -rf "$root"
    mkdir -p "$root"
    apt_in "$suite" apt-get update > "$root.log" 2>&1
    package=$(apt_in "$suite" apt-cache depends linux-image-amd64 2>> "$root.log" |
        awk '/Depends: linux-image-'"${version//./\\.}"'/ {print $2; exit}')
    [ -n "$package" ] || return 1
    (cd "$root" && apt_in "$suite" apt-get download "$package") >> "$root.log" 2>&1 || return 1
    dpkg -x "$root"/*.deb "$root" && rm -f "$root"/*.deb || return 1
    depmod -b "$root" "$(ls "$root/lib/modules")" && touch "$root/.complete"
}

# --- what goes in --------------------------------------------------------------------------------------------
copy_program() { # file, directory in the guest: the program and the libraries it names
    local library
    install -D -m 755 "$1" "$ROOT/$2/${1##*/}"
    for library in $(ldd "$1" 2> /dev/null | grep -o '/[^ ]*'); do
        [ -e "$ROOT$library" ] || install -D -m 755 "$library" "$ROOT$library"
    done
}

copy_module() { # name: the module and what it needs
    local file
    modprobe -d "$PWD/$WORK/$KERNEL" -S "$RELEASE" --show-depends "$1" 2> /dev/null |
        while read -r word file _; do
            [ "$word" = insmod ] || continue
            install -D "$file" "$ROOT/lib/modules/$RELEASE/${file#*/lib/modules/"$RELEASE"/}"
        done
}

# Programs of the tree that make sense on a strange machine; those not there yet are left out.
PROGRAMS="ringmill tests/unit/test_ring tests/unit/test_verdict tests/unit/test_memory tests/unit/test_arena
    tests/unit/test_topology tests/unit/test_cgroup tests/unit/test_engine tests/unit/test_channel
    tests/unit/test_core tests/unit/test_flow tests/fault/test_forbidden tests/fault/without_uring
    tests/guest/placement"

fill_root() {
    local name module
    rm -rf "$ROOT"
    mkdir -p "$ROOT"/{bin,proc,sys,dev,tmp,mnt,guest,lib/modules/"$RELEASE"}
    install "$(command -v busybox)" "$ROOT/bin/busybox"
    for name in $PROGRAMS; do
        [ -x "$BUILD/$name" ] && copy_program "$BUILD/$name" guest/bin
    done
    install tests/guest/init "$ROOT/init" && install -t "$ROOT/guest" tests/guest/*.sh || exit 1
    for module in nvme null_blk ext4 crc32c_generic; do
        copy_module $module
    done
    cp "$WORK/$KERNEL/lib/modules/$RELEASE"/modules.{builtin,order} "$ROOT/lib/modules/$RELEASE/"
    depmod -b "$ROOT" "$RELEASE" 2> /dev/null # Debian's package has no modules.builtin.modinfo.
    (cd "$ROOT" && find . -print0 | cpio --null --create --format=newc --quiet) > "$WORK/$KERNEL.cpio"
}

make_drive() {
    truncate -s 128M "$WORK/$KERNEL.disk"
    ! command -v mkfs.ext4 > /dev/null || mkfs.ext4 -q -F "$WORK/$KERNEL.disk"
}

# --- one guest ---------------------------------------------------------------------------------------------
boot() {
    timeout -k 5 "$LIMIT" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 2G \
        -smp 4,sockets=2,cores=2 \
        -object memory-backend-ram,id=m0,size=1G -object memory-backend-ram,id=m1,size=1G \
        -numa node,nodeid=0,cpus=0-1,memdev=m0 -numa node,nodeid=1,cpus=2-3,memdev=m1 \
        -numa dist,src=0,dst=1,val=21 \
        -drive if=none,id=d0,format=raw,file="$WORK/$KERNEL.disk" \
        -device nvme,drive=d0,serial=ringmill,max_ioqpairs=8 \
        -kernel "$WORK/$KERNEL/boot/vmlinuz-$RELEASE" -initrd "$WORK/$KERNEL.cpio" \
        -append 'console=ttyS0 quiet panic=1' -net none -nographic -no-reboot \
        < /dev/null 2>&1 | tr -d '\r' > "$WORK/$KERNEL.serial"
}

count() { # word
    grep -ac "^$1 " "$WORK/$KERNEL.serial"
}

passed=0 failed=0 skipped=0

run_guest() { # kernel version, suite
    local started=$SECONDS here_passed here_failed here_skipped
    KERNEL=$1
    ROOT=$PWD/$WORK/root-$1
    if ! fetch_kernel "$1" "$2"; then
        echo "SKIP guest $1: its kernel cannot be fetched from $2"
        skipped=$((skipped + 1))
        return
    fi
    RELEASE=$(ls "$WORK/$1/lib/modules")
    fill_root
    make_drive
    boot
    here_passed=$(count PASS) here_failed=$(count FAIL) here_skipped=$(count SKIP)
    grep -aE '^(FAIL|SKIP) ' "$WORK/$1.serial" | sed "s/^\(FAIL\|SKIP\) /\1 guest $1: /"
    if ! grep -aq '^guest: end$' "$WORK/$1.serial"; then
        echo "FAIL guest $1: it did not reach its closing line; the end of $WORK/$1.serial:"
        tail -n 20 "$WORK/$1.serial"
        here_failed=$((here_failed + 1))
    elif [ "$here_failed" -gt 0 ]; then
        grep -a '^| ' "$WORK/$1.serial" | tail -n 60
    fi
    echo "guest $RELEASE: $here_passed passed, $here_failed failed, $here_skipped skipped" \
        "($((SECONDS - started)) s)"
    passed=$((passed + here_passed)) failed=$((failed + here_failed))
    skipped=$((skipped + here_skipped))
}

[ $# -gt 0 ] || set -- 6.1 6.12
for version in "$@"; do
    case $version in
    6.1) run_guest 6.1 bookworm ;;
    6.12) run_guest 6.12 bookworm-backports ;;
    *) echo "guest.sh: 6.1 or 6.12, not '$version'" >&2; exit 2 ;;
    esac
done
echo "guest: $passed passed, $failed failed, $skipped skipped"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
