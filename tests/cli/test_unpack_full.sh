# Goal: a full disk ends unpack with a clear sentence and exit 1; what is there under its name is whole.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || skip "only root can mount a small file system"
mkdir "$work/disk"
mount -t tmpfs -o size=3m tmpfs "$work/disk" 2> /dev/null || skip "cannot mount a tmpfs here"
trap 'umount "$work/disk"; rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir tree
for i in 1 2 3 4 5 6 7 8 9; do
    head -c 600000 /dev/urandom > tree/f$i
done
run "$RINGMILL" pack -q tree -o a.tar.zst
expect_status 0

run "$RINGMILL" unpack -q a.tar.zst --to disk/out
expect_status 1
expect_stderr_has '^ringmill unpack: disk/out: No space left on device'
expect_stderr_lines 1
for file in disk/out/tree/*; do
    cmp "$file" "tree/${file##*/}" || fail "half-written: $file"
done
run "$RINGMILL" unpack -q a.tar.zst --to disk/out
expect_status 1
expect_stderr_has 'was cut off'
rm -rf disk/out

# One large file: its parts come from several cores.
head -c 6000000 /dev/urandom > big
run "$RINGMILL" pack -q big -o b.tar.zst
expect_status 0
run "$RINGMILL" unpack -q b.tar.zst --to disk/out
expect_status 1
expect_stderr_has 'No space left on device'
[ ! -e disk/out/big ] || fail "half-written: big"

# No inodes left.
umount disk
mount -t tmpfs -o size=8m,nr_inodes=6 tmpfs disk
run "$RINGMILL" unpack -q a.tar.zst --to disk/out
expect_status 1
expect_stderr_has 'No space left on device'

# A file system that cannot be written.
mount -o remount,ro disk
run "$RINGMILL" unpack -q a.tar.zst --to disk/out2
expect_status 1
expect_stderr_has 'Read-only file system'
mount -o remount,rw disk
