# Goal: verify says "intact" of an intact archive only, names what is damaged, and goes on.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
mkdir -p tree/d
for i in 1 2 3 4 5 6 7 8; do
    head -c 700000 /dev/urandom > tree/d/f$i
done
head -c 9000000 /dev/urandom > tree/big
run "$RINGMILL" pack -q tree -o a.tar.zst
expect_status 0

run "$RINGMILL" verify a.tar.zst
expect_status 0
expect_stderr ''
expect_stdout_has '^verified 11 items, 14\.[0-9] MB in '
run "$RINGMILL" verify -q a.tar.zst
expect_status 0
expect_stdout ''
run "$RINGMILL" verify --json a.tar.zst
expect_status 0
expect_stdout_has '^\{"type":"summary","command":"verify","items":11,'
run "$RINGMILL" verify -v --depth 1 --cores 1 a.tar.zst
expect_status 0
expect_stderr_has 'at most [0-9.]+ MB in flight'
run zstd -qt a.tar.zst
expect_status 0

damage() { # offset: one byte of b.tar.zst becomes another
    local byte
    byte=$(dd if=b.tar.zst bs=1 skip="$1" count=1 status=none | od -An -tu1)
    # shellcheck disable=SC2059
    printf "\\x$(printf '%02x' $((byte ^ 4)))" | dd of=b.tar.zst bs=1 seek="$1" conv=notrunc status=none
}

# Two places: both are named, once each, and only what they hit.
cp a.tar.zst b.tar.zst
size=$(stat -c %s a.tar.zst)
damage 1000000
damage 12000000
run "$RINGMILL" verify b.tar.zst
expect_status 1
expect_stdout ''
expect_stderr_has 'DAMAGED in [0-9]+ places; all else is intact'
expect_stderr_has '^ringmill verify: tree/[^:]*: bytes [0-9]+ to [0-9]+ are damaged \(archive bytes [0-9]+ to [0-9]+\)$'
named=$(grep -c 'are damaged' "$work/stderr")
[ "$named" -ge 2 ] && [ "$named" -le 7 ] || fail "two frames take at most six files and the large one with them"
cp "$work/stderr" first
run "$RINGMILL" verify --cores 1 b.tar.zst
expect_same first "$work/stderr" # Whatever the cores and their timing.
run "$RINGMILL" verify --json b.tar.zst
expect_status 1
expect_stdout_has '^\{"type":"damage","text":"tree/'

# Cut anywhere, longer, empty, or not there.
for bytes in 0 1 100 1000000 $((size - 1)); do
    head -c "$bytes" a.tar.zst > b.tar.zst
    run "$RINGMILL" verify b.tar.zst
    expect_status 1
    expect_stderr_lines 1
done
cp a.tar.zst b.tar.zst
printf x >> b.tar.zst
run "$RINGMILL" verify b.tar.zst
expect_status 1
run "$RINGMILL" verify none.tar.zst
expect_status 1
expect_stderr 'ringmill verify: none.tar.zst: No such file or directory'
run "$RINGMILL" verify
expect_status 2
run "$RINGMILL" verify a.tar.zst b.tar.zst
expect_status 2
run "$RINGMILL" verify --depth 0 a.tar.zst
expect_status 2

# Archives of others.
tar --zstd -cf b.tar.zst tree
run "$RINGMILL" verify b.tar.zst
expect_status 1
expect_stderr_has 'tar --zstd -xf'
expect_stderr_lines 1
