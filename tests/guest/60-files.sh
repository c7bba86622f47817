# Pack, verify and restore a tree on this kernel, on one core and on more than there are: the same bytes.
mkdir -p "$ROOM/in/sub"
for number in 1 2 3 4 5 6 7 8 9; do echo "content $number" > "$ROOM/in/sub/file$number.txt"; done
head -c 5000000 /dev/urandom > "$ROOM/in/large"
ln -s sub/file1.txt "$ROOM/in/link"
ln "$ROOM/in/large" "$ROOM/in/sub/other"

run_test files_pack ringmill pack -C "$ROOM" in -o "$ROOM/a.tar.zst"
run_test files_pack_one_core ringmill pack --cores 1 -C "$ROOM" in -o "$ROOM/b.tar.zst"
run_test files_pack_seven_cores ringmill pack --cores 7 -C "$ROOM" in -o "$ROOM/c.tar.zst"
run_test files_same_bytes cmp "$ROOM/a.tar.zst" "$ROOM/b.tar.zst"
run_test files_same_bytes_seven cmp "$ROOM/a.tar.zst" "$ROOM/c.tar.zst"
run_test files_verify ringmill verify "$ROOM/a.tar.zst"
run_test files_unpack ringmill unpack "$ROOM/a.tar.zst" --to "$ROOM/out"
run_test files_restored diff -r "$ROOM/in" "$ROOM/out/in"
