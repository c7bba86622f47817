# Goal: unpack restores what was packed, as GNU tar does from the same archive; existing files are kept; a run that
# is interrupted or killed leaves no file half-written under its name, and says so next time.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
mkdir -p tree/sub/deep tree/empty tree/many
seq 1 100000 > tree/sub/text
head -c 7000001 /dev/urandom > tree/big
: > tree/nothing
ln tree/sub/text tree/sub/deep/same
ln -s ../nothing tree/sub/way
ln -s /nowhere/at/all tree/dangling
printf 1 > $'tree/odd\n\\name\xff'
chmod 4711 tree/nothing
chmod 500 tree/sub/deep
touch -d '1960-01-02 03:04:05.678901234' tree/sub/text
touch -hd '2001-02-03 04:05:06.7' tree/dangling
[ "$(id -u)" -ne 0 ] || chown 1234:5678 tree/empty tree/sub/text
touch -d '2010-01-01' tree/empty
run "$RINGMILL" pack -q tree -o a.tar.zst
expect_status 0

describe() { # everything there is to know of a tree, but for the sizes of directories
    (cd "$1" && find . -printf '%P\t%y %m %U %G %T@ %n %l\t' \( -type f -printf '%s' -o -true \) -printf '\0' | sort -z)
}
same_tree() {
    diff -r --no-dereference "$1" "$2" > diff.out || fail "$1 and $2 differ: $(head -n 3 diff.out)"
    describe "$1" > describe.1
    describe "$2" > describe.2
    expect_same describe.1 describe.2
}

run "$RINGMILL" unpack a.tar.zst --to out
expect_status 0
expect_stderr ''
expect_stdout_has '^unpacked [0-9]+ items, .* in '
same_tree tree out/tree
[ "$(stat -c %i out/tree/sub/text)" = "$(stat -c %i out/tree/sub/deep/same)" ] || fail "hard links are kept"
[ "$(ls -A out)" = tree ] || fail "nothing else is left in the target"
# GNU tar sets a directory's times when it leaves it, but for this option.
mkdir tar && tar -C tar --delay-directory-restore --zstd -xpf a.tar.zst 2> tar.err || fail "GNU tar cannot read it"
same_tree tar/tree out/tree
run "$RINGMILL" unpack -q --sync none --cores 4 --depth 1 a.tar.zst --to out1
expect_status 0
expect_stdout ''
same_tree tree out1/tree

# What is there is kept; what is missing comes; exit 3.
rm -f out/tree/nothing
echo mine > out/tree/big
run "$RINGMILL" unpack -q a.tar.zst --to out
expect_status 3
expect_stderr_has '^ringmill unpack: tree/big: exists already; it is kept as it is$'
[ "$(cat out/tree/big)" = mine ] || fail "an existing file was replaced"
[ -e out/tree/nothing ] || fail "a missing file was not restored"
find out -name '.ringmill*' | grep . && fail "temporary files are left"

# Wrong ways to ask.
run "$RINGMILL" unpack a.tar.zst
expect_status 2
run "$RINGMILL" unpack a.tar.zst --to ''
expect_status 2
run "$RINGMILL" unpack a.tar.zst --to no/such/parent
expect_status 1
expect_stderr_has 'No such file or directory'
run "$RINGMILL" unpack a.tar.zst --to $'no\e[31m/x'
expect_status 1
expect_stderr_has 'no\\x1b\[31m/x: No such file'
run "$RINGMILL" unpack a.tar.zst --to a.tar.zst
expect_status 1
expect_stderr_lines 1
tar --zstd -cf foreign.tar.zst tree
run "$RINGMILL" unpack foreign.tar.zst --to out2
expect_status 1
expect_stderr_has 'tar --zstd -xf'
[ ! -e out2 ] || fail "a refused archive leaves no directory behind"

# --- interrupted ------------------------------------------------------------------------------------------------
(cd tree/many && seq 1 120000 | split -l 8 -a 4 -)
run "$RINGMILL" pack -q --level 1 tree -o b.tar.zst
expect_status 0

# Start an unpack, and once it is under way send it a signal.
cut_off() { # signal, target
    command_shown="unpack --to $2, then SIG$1"
    "$RINGMILL" unpack -q --cores 1 --depth 1 b.tar.zst --to "$2" > stdout 2> stderr < /dev/null &
    local child=$!
    until [ -e "$2/tree/many/xaaaa" ] || ! kill -0 $child 2> /dev/null; do :; done
    kill -"$1" $child 2> /dev/null
    wait $child 2> /dev/null
    status=$?
    [ -e "$2/.ringmill-unpack" ] || fail "it was over before the signal came, or took its marker away"
}
every_file_is_right() { # target, least count
    local count=0 file
    while IFS= read -r -d '' file; do
        cmp -s "$file" "tree/${file#"$1"/tree/}" || fail "half-written: $file"
        count=$((count + 1))
    done < <(find "$1/tree" -type f -size +0 -name 'x???[abc]' -print0)
    [ "$count" -ge "$2" ] || fail "the signal came before there was a file"
}

cut_off INT interrupted
expect_status 1
expect_stderr_has 'stopped before the end; what is in interrupted is incomplete'
every_file_is_right interrupted 1
run "$RINGMILL" unpack -q b.tar.zst --to interrupted
expect_status 1
expect_stderr_has 'an earlier unpack into interrupted was cut off'

cut_off KILL killed
expect_status 137
run "$RINGMILL" unpack -q b.tar.zst --to killed
expect_status 1
expect_stderr_has 'an earlier unpack into killed was cut off.*remove that directory'
rm killed/.ringmill-unpack
run "$RINGMILL" unpack -q b.tar.zst --to killed
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || fail "without its marker the rest is restored"
rm -rf killed
run "$RINGMILL" unpack -q b.tar.zst --to killed
expect_status 0
same_tree tree killed/tree

# --- as an ordinary user --------------------------------------------------------------------------------------
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null; then
    mkdir user && chmod 777 user && chmod 755 "$work"
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$RINGMILL" unpack -q a.tar.zst --to user/out
    expect_status 0
    [ "$(find user/out ! -uid 65534 | wc -l)" -eq 0 ] || fail "files of others"
    [ "$(stat -c %a user/out/tree/nothing user/out/tree/sub/deep | tr '\n' ' ')" = '4711 500 ' ] ||
        fail "modes are kept"
fi
