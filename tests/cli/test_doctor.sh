# Goal: doctor says on this machine what is so, and what it cannot have, with the right exit status.
# Method: situations made for real: a seccomp filter, an ordinary user with little memlock, one CPU, a cgroup v1 memory
# limit; each looked for in text or JSON. (cgroup v2, the sysctl and two nodes: tests/guest.)
. "$(dirname "$0")/lib.sh"

without=$(dirname "$RINGMILL")/tests/fault/without_uring

run "$RINGMILL" doctor "$work"
[ "$status" -eq 77 ] && skip "io_uring is not to be had here: $(grep -m 1 ' io_uring ' "$work/stdout")"
expect_status 0
expect_stdout_has '^ok +kernel +Linux [0-9]+\.[0-9]+'
expect_stdout_has '^ok +io_uring +works'
expect_stdout_has '^(ok|could be better) +filesystem '
expect_stdout_has '^ringmill can run here: [0-9]+ ok, [0-9]+ could be better, [0-9]+ missing$'
expect_stderr ''
! grep -q $'\033' "$work/stdout" || fail 'colours, though this is no terminal'
# Whatever is not ok says what it costs and what changes it.
awk '/^(could be better|missing)/ {open++} /^ +costs: ./ {cost++} /^ +change: ./ {change++}
     END {exit !(open == cost && open == change)}' "$work/stdout" || fail 'a line without cost or command'

run "$RINGMILL" doctor --json "$work"
expect_status 0
[ "$(wc -l < "$work/stdout")" -eq 1 ] || fail 'the report in JSON is one line'
expect_stdout_has '"usable": ?true'
expect_stdout_has '"name": ?"io_uring", ?"level": ?"ok"'

run "$RINGMILL" doctor "$work/not there"
expect_status 1
expect_stderr_has '^ringmill doctor: .*not there: No such file or directory$'

run "$RINGMILL" doctor a b
expect_status 2

# --- io_uring forbidden -----------------------------------------------------------------------------------
for code in EPERM ENOSYS; do
    run "$without" $code "$RINGMILL" doctor
    expect_status 77
    expect_stdout_has "^missing +io_uring +io_uring is forbidden by a seccomp filter \($code\)"
    expect_stdout_has '^ringmill cannot run here: '
    expect_stderr ''
    run "$without" $code "$RINGMILL" doctor --json
    expect_status 77
    expect_stdout_has '"usable": ?false'
done

# --- one CPU ----------------------------------------------------------------------------------------------
if [ "$(nproc)" -gt 1 ]; then
    first=$(taskset -cp $$ | sed 's/.*: *//; s/[^0-9].*//')
    run taskset -c "$first" "$RINGMILL" doctor
    expect_status 0
    expect_stdout_has '^could be better +cpus +1 of [0-9]+ CPUs: the (affinity of this process|cgroup)'
fi

# --- an ordinary user with little memlock -----------------------------------------------------------------
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null && command -v prlimit > /dev/null; then
    ordinary() {
        prlimit --memlock=1048576 setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
    }
    cp "$RINGMILL" "$work/ringmill" && chmod 755 "$work" "$work/ringmill"
    run ordinary "$work/ringmill" doctor
    expect_status 0
    expect_stdout_has '^could be better +memlock +1.05 MB for rings and arena'
    expect_stdout_has '^could be better +registered_buffers .*memlock limit'
else
    echo 'SKIP test_doctor: little memlock: not root, or no setpriv and prlimit'
fi

# --- a memory limit by cgroup v1 --------------------------------------------------------------------------
group=/sys/fs/cgroup/memory/ringmill-test-$$
if [ -w /sys/fs/cgroup/memory/tasks ] && mkdir "$group" 2> /dev/null; then
    trap 'rmdir "$group" 2> /dev/null; chmod -R u+rwx "$work" 2> /dev/null; rm -rf "$work"' EXIT
    echo 200M > "$group/memory.limit_in_bytes"
    run sh -c 'echo $$ > "$1/tasks" && shift && exec "$@"' sh "$group" "$RINGMILL" doctor
    expect_status 0
    expect_stdout_has '^could be better +memory_limit +210 MB by the cgroup \(v1\)'
    expect_stdout_has "change: echo 1073741824 > $group/memory.limit_in_bytes"
else
    echo 'SKIP test_doctor: cgroup v1 limit: no writable memory hierarchy'
fi
