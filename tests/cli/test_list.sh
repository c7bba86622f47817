# Goal: list shows what an archive holds, by its index alone, and says no more than was asked for.
. "$(dirname "$0")/lib.sh"
export TZ=UTC
mkdir -p "$work/tree/sub/deep" && cd "$work/tree" || exit 1
echo one > a
echo two > sub/b
echo three > sub/deep/c
ln -s a way
printf x > $'odd\nname'
touch -d '2020-02-03 04:05:06' a
chmod 4750 a
run "$RINGMILL" pack -q -C "$work/tree" . -o "$work/a.tar.zst"
expect_status 0
cd "$work" || exit 1

run "$RINGMILL" list a.tar.zst
expect_status 0
expect_stderr ''
expect_stdout './
a
odd\x0aname
sub/
sub/b
sub/deep/
sub/deep/c
way'
"$RINGMILL" list -0 a.tar.zst | sort -z > names.ours
(cd tree && find . -printf '%P\0' | sed -z 's/^$/./' | sort -z) > names.find
expect_same names.ours names.find

run "$RINGMILL" list -l a.tar.zst a
expect_status 0
expect_stdout_has '^-rwsr-x--- [^ ]+/[^ ]+ +4 2020-02-03 04:05:06 a$'
run "$RINGMILL" list --long a.tar.zst way
expect_stdout_has '^l.* way -> a$'

# Paths: an entry, a directory and all below it, with or without what a shell appends.
for path in sub sub/ ./sub /sub; do
    run "$RINGMILL" list a.tar.zst "$path"
    expect_status 0
    expect_stdout 'sub/
sub/b
sub/deep/
sub/deep/c'
done
run "$RINGMILL" list a.tar.zst sub/deep/c a
expect_stdout 'sub/deep/c
a'
run "$RINGMILL" list a.tar.zst su sub/b
expect_status 1
expect_stdout 'sub/b'
expect_stderr "ringmill list: su: no such entry in the archive"

run "$RINGMILL" list --json a.tar.zst sub/b
expect_status 0
expect_stdout_has '^\{"path":"sub/b","type":"file","size":4,'
run "$RINGMILL" list -0 --long a.tar.zst
expect_status 2
expect_stderr_lines 1
run "$RINGMILL" list
expect_status 2

# What is no archive of ours.
tar -C tree --zstd -cf foreign.tar.zst .
run "$RINGMILL" list foreign.tar.zst
expect_status 1
expect_stdout ''
expect_stderr_has 'tar --zstd -xf'
expect_stderr_lines 1
run "$RINGMILL" list "$work"
expect_status 1
run "$RINGMILL" list $'no\nsuch'
expect_status 1
expect_stderr 'ringmill list: no\x0asuch: No such file or directory'

# A reader that goes away and a full disk are no success.
run bash -c '"$1" list a.tar.zst | head -n 1 > /dev/null; exit "${PIPESTATUS[0]}"' - "$RINGMILL"
[ "$status" -lt 2 ] || [ "$status" -eq 141 ] || fail "a closed pipe is no crash"
if [ -w /dev/full ]; then
    run bash -c '"$1" list a.tar.zst > /dev/full' - "$RINGMILL"
    expect_status 1
    expect_stderr_has 'No space left'
fi
