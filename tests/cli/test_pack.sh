#!/bin/bash
# `ringmill pack`: what it writes is what GNU tar and zstd read, for any input, and whatever goes wrong an old
# archive stays. Method: pack made trees, restore with tar, compare; create each bad situation for real.
. "$(dirname "$0")/lib.sh"

command -v tar > /dev/null && command -v zstd > /dev/null || skip "GNU tar and zstd are needed"
cd "$work" || exit 1

# A tree with everything the first version keeps. Bytes from a fixed generator: equal in every run.
noise() { # bytes seed
    openssl enc -aes-128-ctr -nosalt -pass "pass:$2" -md sha256 < /dev/zero 2> /dev/null | head -c "$1"
}
command -v openssl > /dev/null || skip "openssl makes the incompressible files"

make_tree() {
    mkdir -p "$1/d/empty" "$1/d.x" "$1/d-" "$1/.hidden" "$1/many"
    printf 'plain\n' > "$1/d/plain.txt"
    printf '' > "$1/d/nothing"
    printf 'x' > "$1/d/$(printf 'new\nline')"
    printf 'x' > "$1/d/$(printf 'latin\xe9.txt')"
    mkdir "$1/$(printf 'l%.0s' {1..200})"
    printf 'deep' > "$1/$(printf 'l%.0s' {1..200})/$(printf 'm%.0s' {1..250})"
    noise 5242881 a > "$1/d/large.bin"
    noise 2097152 b > "$1/d.x/exact.bin"
    noise 2097153 c > "$1/d.x/over.bin"
    seq 1 400000 > "$1/d-/numbers.txt"
    for i in {1..300}; do echo "file $i" > "$1/many/$i.$((i % 7))"; done
    ln "$1/d/plain.txt" "$1/a-link-first.txt"
    ln "$1/d/large.bin" "$1/zz-link-last.bin"
    ln -s plain.txt "$1/d/symbolic"
    ln -s "$(printf 't%.0s' {1..300})" "$1/d/long-symbolic"
    ln "$1/d/symbolic" "$1/d/symbolic-too" 2> /dev/null || true
    chmod 4750 "$1/d/plain.txt"
    chmod 1777 "$1/d/empty"
    touch -d '1960-01-02 03:04:05.678' "$1/d/nothing"
    touch -d '2021-01-02 03:04:05.123456789' "$1/d/large.bin" "$1/many"
}

# Type, mode, owner, time to the nanosecond, size, links, target and name of everything below.
listing() {
    (cd "$1" && find . -mindepth 1 \( -type d -printf '%y %m %u %g %T@ %n %P\0' \) -o \
        -printf '%y %m %u %g %T@ %n %s %l %P\0' | sort -z)
}

make_tree tree

# --- round trip through GNU tar -----------------------------------------------------------------------------------
run "$RINGMILL" pack tree -o out.tar.zst
expect_status 0
expect_stdout_has '^packed [0-9,]+ items, .* to '
expect_stdout_has '^in flight at most '
run zstd -tq out.tar.zst
expect_status 0
mkdir restored
# The directories stand before all their files, which GNU tar wants to be told of to get their times right.
run tar --zstd -xpf out.tar.zst -C restored --delay-directory-restore
expect_status 0
run diff -r --no-dereference tree restored/tree
expect_status 0
listing tree > listing.source
listing restored/tree > listing.restored
expect_same listing.source listing.restored
run "$RINGMILL" verify out.tar.zst
expect_status 0
run "$RINGMILL" list out.tar.zst
expect_status 0
find tree -printf '\n' | wc -l > count
tar --zstd -tf out.tar.zst 2> /dev/null | wc -l | diff - count || fail "tar lists another number of members"

# A link's target is the first of its names, and stands before the link.
run tar --zstd -tvf out.tar.zst --quoting-style=escape
expect_status 0
expect_stdout_has 'd/plain.txt link to tree/a-link-first.txt$'
expect_stdout_has 'zz-link-last.bin link to tree/d/large.bin$'
before=$(grep -n "^-.*[0-9] tree/a-link-first.txt\$" stdout | cut -d: -f1)
behind=$(grep -n 'link to tree/a-link-first.txt$' stdout | cut -d: -f1)
[ "$before" -lt "$behind" ] || fail "a hard link before its target"

# --- the same bytes for any number of cores and any depth -----------------------------------------------------------------
for cores in 1 2 3 8; do
    run "$RINGMILL" pack -q tree -o again.tar.zst --cores "$cores" --depth $((cores * cores))
    expect_status 0
    expect_same out.tar.zst again.tar.zst
done
for options in '--order=path' '--chunk-size 64K' '--chunk-size 8M -1' '-9'; do
    # shellcheck disable=SC2086
    run "$RINGMILL" pack -q tree -o one.tar.zst $options --cores 1
    expect_status 0
    # shellcheck disable=SC2086
    run "$RINGMILL" pack -q tree -o two.tar.zst $options --cores 3
    expect_same one.tar.zst two.tar.zst
    run "$RINGMILL" verify -q one.tar.zst
    expect_status 0
    tar --zstd -xOf one.tar.zst tree/d/large.bin | cmp - tree/d/large.bin || fail "content with $options"
done
run "$RINGMILL" pack -q tree -o path.tar.zst --order path
tar --zstd -tf path.tar.zst 2> /dev/null | sed 's|/$||' > path.names
[ "$(head -1 path.names)" = tree ] || fail "the walk begins with its root"

# --- names ------------------------------------------------------------------------------------------------------
run "$RINGMILL" pack "$work/tree/d" -o abs.tar.zst
expect_status 0
expect_stderr 'ringmill pack: names are stored without their leading /'
run tar --zstd -tf abs.tar.zst "${work#/}/tree/d/plain.txt"
expect_status 0
run "$RINGMILL" pack tree/../tree -o no.tar.zst
expect_status 2
expect_stderr_has 'has the component ".."'
[ ! -e no.tar.zst ] || fail "an archive in spite of misuse"
run "$RINGMILL" pack tree
expect_status 2
run "$RINGMILL" pack -q tree/many ./tree//many tree/many/1.1 tree/d/plain.txt -o once.tar.zst
expect_status 0
tar --zstd -tf once.tar.zst | sort | uniq -d | grep . && fail "a name twice"
run "$RINGMILL" pack -q -C tree d -C many 1.1 -o c.tar.zst
expect_status 0
run tar --zstd -tf c.tar.zst d/plain.txt 1.1
expect_status 0
run "$RINGMILL" pack -q -C tree/d . -C ../many . -o no.tar.zst
expect_status 2
expect_stderr_has 'different inputs'
ln -s tree/many through
run "$RINGMILL" pack -q through/ -o through.tar.zst
expect_status 0
run tar --zstd -tf through.tar.zst through/1.1
expect_status 0

# --- the output inside the tree, replaced, and refused -----------------------------------------------------------------
cp -a tree inside
run "$RINGMILL" pack -q inside -o inside/o.tar.zst
expect_status 0
run "$RINGMILL" pack -q inside -o inside/o.tar.zst
expect_status 0
tar --zstd -tf inside/o.tar.zst 2> /dev/null | grep -F o.tar.zst && fail "the archive holds itself"
tar --zstd -tf inside/o.tar.zst 2> /dev/null | grep -F .tmp && fail "the archive holds its temporary file"
mkdir dir
run "$RINGMILL" pack -q tree -o dir
expect_status 1
mkfifo fifo
run "$RINGMILL" pack -q tree -o fifo
expect_status 1
[ -p fifo ] || fail "a fifo was replaced"
run "$RINGMILL" pack -q tree -o nowhere/o.tar.zst
expect_status 1
expect_stderr_lines 1

# --- what cannot be packed is listed, the rest goes on ------------------------------------------------------------------
run "$RINGMILL" pack -q tree/d missing fifo -o some.tar.zst
expect_status 3
expect_stderr_has 'missing: left out: No such file or directory'
expect_stderr_has 'fifo: left out: neither'
run tar --zstd -tf some.tar.zst tree/d/plain.txt
expect_status 0
echo kept > kept.tar.zst
run "$RINGMILL" pack -q missing -o kept.tar.zst
expect_status 1
[ "$(cat kept.tar.zst)" = kept ] || fail "the old archive is gone"

# --- a file that grows while it is packed -------------------------------------------------------------------------------
mkdir growing
noise 50000000 g > growing/big.bin
(for _ in {1..2000}; do echo more; done >> growing/big.bin) &
writer=$!
run "$RINGMILL" pack -q growing -o growing.tar.zst
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || fail "expected 0 or 3"
wait "$writer"
run "$RINGMILL" verify -q growing.tar.zst
expect_status 0

# --- Ctrl-C and kill -9 -------------------------------------------------------------------------------------------------
leftovers() { find "$work/stop" -name '.*.tmp' | wc -l; }
mkdir stop
echo old > stop/out.tar.zst
mkdir heavy
for i in {1..4}; do seq "$i" 600000 > "heavy/$i"; done
for signal in INT KILL; do
    "$RINGMILL" pack -q heavy -19 -o stop/out.tar.zst 2> stderr &
    packer=$!
    for _ in {1..200}; do
        [ "$(leftovers)" -gt 0 ] && break
        sleep 0.05
    done
    [ "$(leftovers)" -eq 1 ] || fail "no temporary file appeared before $signal"
    kill -s "$signal" "$packer"
    wait "$packer" 2> /dev/null
    status=$?
    [ "$(cat stop/out.tar.zst)" = old ] || fail "the old archive is gone after $signal"
    case $signal in
    INT)
        expect_status 1
        expect_stderr_lines 1
        expect_stderr_has 'stopped; .* is as it was before'
        [ "$(leftovers)" -eq 0 ] || fail "a stopped run left its temporary file"
        ;;
    KILL) [ "$(leftovers)" -eq 1 ] || fail "expected a leftover" ;;
    esac
done
# A leftover somebody still writes is left alone; another one goes.
exec 9> stop/.out.tar.zst.ringmill-00000000.tmp
python3 -c 'import fcntl, struct
fcntl.fcntl(9, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))' 2> /dev/null && locked=1 || locked=0
run "$RINGMILL" pack tree/many -o stop/out.tar.zst
expect_status 0
[ "$(leftovers)" -eq "$locked" ] || fail "expected $locked temporary file(s)"
expect_stderr_has 'removed [12] unfinished file'
exec 9>&-

# --- several runs for one OUT: each takes only leftovers for leftovers, and the last one to end has the name ------
mkdir same
for writer in 1 2 3; do
    (for _ in {1..15}; do "$RINGMILL" pack -q tree/d/empty -o same/out.tar.zst || exit 1; done) 2> "same-$writer" &
    writers[writer]=$!
done
for writer in 1 2 3; do
    wait "${writers[writer]}" || { command_shown='three packs to one OUT'; status=$?; fail "$(cat "same-$writer")"; }
done
[ "$(ls -A same)" = out.tar.zst ] || fail "packs at once left $(ls -A same)"
run "$RINGMILL" verify -q same/out.tar.zst
expect_status 0

chmod 600 same/out.tar.zst
run "$RINGMILL" pack -q tree/d/empty -o same/out.tar.zst
[ "$(stat -c %a same/out.tar.zst)" = 600 ] || fail 'an archive nobody else may read became readable'

# --- a low soft limit of open files is raised as far as allowed; below what is needed the knob is named -------------------
run bash -c 'ulimit -Sn 64; exec "$@"' - "$RINGMILL" pack -q --cores 8 tree/many -o descriptors.tar.zst
expect_status 0
run bash -c 'ulimit -n 16; exec "$@"' - "$RINGMILL" pack -q --cores 1 tree/many -o few.tar.zst
expect_status 1
expect_stderr_lines 1
expect_stderr_has "ulimit -n"
[ "$(find . -maxdepth 1 -name 'few*' -o -maxdepth 1 -name '.few*' | wc -l)" -eq 0 ] || fail "a failed run left files"

# --- as root: unreadable files are readable, so an ordinary user is needed; a full disk is a small tmpfs ------------------
[ "$(id -u)" -eq 0 ] || exit 0
chmod 755 "$work"
cp -a tree/d ./guarded
cp "$RINGMILL" ./program
chmod -R a+rX guarded
printf 'secret' > guarded/secret
ln guarded/secret guarded/secret-too
chmod 600 guarded/secret
mkdir guarded/closed
chmod 700 guarded/closed
mkdir theirs
chmod 777 theirs
if setpriv --reuid=65534 --regid=65534 --clear-groups true 2> /dev/null; then
    run setpriv --reuid=65534 --regid=65534 --clear-groups ./program pack -q guarded -o theirs/o.tar.zst
    expect_status 3
    expect_stderr_has 'guarded/secret: left out: Permission denied'
    expect_stderr_has 'guarded/secret-too: left out: Permission denied'
    expect_stderr_has 'guarded/closed: cannot read the directory: Permission denied'
    run "$RINGMILL" verify -q theirs/o.tar.zst
    expect_status 0
fi
mkdir small
if mount -t tmpfs -o size=3m none small 2> /dev/null; then
    trap 'umount "$work/small" 2> /dev/null; chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
    echo old > small/out.tar.zst
    run "$RINGMILL" pack -q tree -o small/out.tar.zst
    expect_status 1
    expect_stderr_lines 1
    expect_stderr_has 'No space left on device'
    [ "$(cat small/out.tar.zst)" = old ] || fail "the old archive is gone after a full disk"
    [ "$(find small -name '.*.tmp' | wc -l)" -eq 0 ] || fail "a full disk left a temporary file"
fi
exit 0
