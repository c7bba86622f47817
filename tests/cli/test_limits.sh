# Goal: a narrow machine gets one clear sentence or a slower run, never a wrong archive.
# Method: a small tree is packed, verified and restored under each situation made for real: io_uring forbidden by seccomp, one
# CPU, more cores than CPUs, an ordinary user with little memlock and few descriptors, a cgroup v1 memory limit. The archive
# must be the same bytes everywhere. (cgroup v2, the sysctl: tests/guest.)
. "$(dirname "$0")/lib.sh"

without=$(dirname "$RINGMILL")/tests/fault/without_uring
mkdir -p "$work/in/a/b" "$work/in/c"
for i in $(seq 1 300); do echo "file $i $RANDOM" > "$work/in/a/b/$i.txt"; done
head -c 5000000 /dev/urandom > "$work/in/c/random"
seq 1 700000 > "$work/in/c/numbers"
ln -s ../c/numbers "$work/in/a/link"
ln "$work/in/c/numbers" "$work/in/c/other"

round_trip() { # NAME COMMAND-PREFIX...
    local name=$1
    shift
    run "$@" pack -C "$work" in -o "$work/$name.tar.zst"
    expect_status 0
    run "$@" verify "$work/$name.tar.zst"
    expect_status 0
    run "$@" unpack "$work/$name.tar.zst" --to "$work/$name"
    expect_status 0
    diff -r --no-dereference "$work/in" "$work/$name/in" || fail "the restored tree differs ($name)"
    [ "$name" = plain ] || expect_same "$work/plain.tar.zst" "$work/$name.tar.zst"
    rm -rf "${work:?}/$name"
}

round_trip plain "$RINGMILL"

# --- io_uring forbidden -----------------------------------------------------------------------------------
for code in EPERM ENOSYS; do
    run "$without" $code "$RINGMILL" pack -C "$work" in -o "$work/none.tar.zst"
    expect_status 77
    expect_stderr_has '^ringmill pack: .*io_uring is forbidden by a seccomp filter'
    [ -e "$work/none.tar.zst" ] && fail 'an archive was made without io_uring'
    run "$without" $code "$RINGMILL" verify "$work/plain.tar.zst"
    expect_status 77
done
ls -A "$work" | grep -q '\.tmp$' && fail 'a temporary file was left'

# --- one CPU, and more cores than CPUs -----------------------------------------------------------------------
first=$(taskset -cp $$ | sed 's/.*: *//; s/[^0-9].*//')
round_trip one_cpu taskset -c "$first" "$RINGMILL"
pack_with_cores() {
    local cores=$1 command=$2
    shift 2
    "$RINGMILL" "$command" --cores "$cores" "$@"
}
for cores in 1 3 7; do
    round_trip cores_$cores pack_with_cores "$cores"
done

# --- an ordinary user: little memlock, few descriptors ----------------------------------------------------------
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null && command -v prlimit > /dev/null; then
    cp "$RINGMILL" "$work/ringmill" && chmod 755 "$work" "$work/ringmill"
    chown -R 65534:65534 "$work/in"
    round_trip plain "$RINGMILL" # Other owners, another archive.
    chmod 777 "$work"
    ordinary() {
        prlimit --memlock=65536 --nofile=64 setpriv --reuid 65534 --regid 65534 --clear-groups -- \
            "$work/ringmill" "$@"
    }
    round_trip ordinary ordinary
else
    echo "SKIP limits_of_an_ordinary_user: needs root, setpriv and prlimit"
fi

case $RINGMILL in
*/asan/* | */tsan/*)
    echo "SKIP limits_of_a_memory_cgroup: a sanitizer needs more memory than the limit"
    exit 0 ;;
esac

# --- a cgroup with little memory -----------------------------------------------------------------------------------
group=/sys/fs/cgroup/memory/ringmill-test-$$
if [ "$(id -u)" -eq 0 ] && [ -w /sys/fs/cgroup/memory/cgroup.procs ] && mkdir "$group" 2> /dev/null; then
    echo $((96 << 20)) > "$group/memory.limit_in_bytes"
    in_group() {
        (echo $BASHPID > "$group/cgroup.procs" && exec "$RINGMILL" "$@")
    }
    round_trip memory in_group
    # What is in flight keeps to a quarter of the limit: 24 MiB are two units of 4.5 MB on each of two cores.
    run in_group pack --cores 2 -C "$work" in -o "$work/flight.tar.zst"
    expect_status 0
    expect_stdout_has '^in flight at most 4 chunks,'
    rmdir "$group"
else
    echo "SKIP limits_of_a_memory_cgroup: cgroup v1 memory controller not writable"
fi
