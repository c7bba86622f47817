#!/usr/bin/env bash
# Pack, verify and unpack beside GNU tar and zstd on one tree: interleaved rounds, median and range.
#
#   scripts/bench-files.sh PROGRAM TREE [ROUNDS]     (BENCH_TMP= where archives and copies go; default /dev/shm)
#
# Both sides read the same warm tree and write to the same file system. What ringmill does and the peers do not: hash
# everything, write an index, sync the archive and the restored tree. The floors are zstd on all cores with the tar in
# memory already: no tree walked, no file opened.
set -euo pipefail

program=$(realpath "$1")
tree=$(realpath "$2")
rounds=${3:-5}
work=$(mktemp -d "${BENCH_TMP:-/dev/shm}/ringmill-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
parent=$(dirname "$tree") name=$(basename "$tree")

run() { # LABEL COMMAND...: append wall seconds to $work/LABEL
    local label=$1 begin
    shift
    sync -f "$work"
    begin=$(date +%s%N)
    "$@" > /dev/null
    echo $((($(date +%s%N) - begin) / 1000000)) >> "$work/$label.ms"
}

tar_pack() { tar -C "$parent" -cf - "$name" | zstd -q -T0 -3 -f -o "$work/peer.tar.zst"; }
tar_unpack() { mkdir "$work/peer" && tar -C "$work/peer" --delay-directory-restore --zstd -xf "$work/tree.tar.zst"; }
pipe_unpack() { mkdir "$work/pipe" && zstd -q -dc "$work/tree.tar.zst" | tar -C "$work/pipe" --delay-directory-restore -xf -; }

tar -C "$parent" -cf "$work/tree.tar" "$name" # Also warms the cache.
bytes=$(stat -c %s "$work/tree.tar")
for _ in $(seq "$rounds"); do
    run pack "$program" pack -q -C "$parent" "$name" -o "$work/tree.tar.zst"
    run tar-zstd tar_pack
    run pzstd pzstd -q -3 -f -p "$(nproc)" "$work/tree.tar" -o "$work/floor.zst"
    run verify "$program" verify -q "$work/tree.tar.zst"
    run zstd-t zstd -q -t "$work/tree.tar.zst"
    run pzstd-t pzstd -q -t -p "$(nproc)" "$work/floor.zst"
    run unpack "$program" unpack -q "$work/tree.tar.zst" --to "$work/restored"
    run tar-x tar_unpack
    run zstd-tar pipe_unpack
    run list "$program" list "$work/tree.tar.zst"
    run tar-t tar --zstd -tf "$work/tree.tar.zst"
    rm -rf "$work/restored" "$work/peer" "$work/pipe"
done

median() { sort -n "$work/$1.ms" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
row() { # LABEL WHAT PEER-LABEL
    local ratio=''
    [ -z "${3:-}" ] || ratio=$(awk -v a="$(median "$1")" -v b="$(median "$3")" 'BEGIN { printf "%.2f x %s", b / a, "as fast" }')
    printf '%-26s %7d ms  [%d .. %d]  %6d MB/s  %s\n' "$2" "$(median "$1")" "$(sort -n "$work/$1.ms" | head -1)" \
        "$(sort -n "$work/$1.ms" | tail -1)" "$(awk -v b="$bytes" -v m="$(median "$1")" 'BEGIN { printf "%d", b / 1000 / (m > 0 ? m : 1) }')" "$ratio"
}

echo "$(find "$tree" | wc -l) entries, $((bytes / 1000000)) MB as tar; $(nproc) cores, $(uname -r); on $(stat -f -c %T "$work"); $rounds rounds, median [range]"
row pack "ringmill pack" tar-zstd
row tar-zstd "tar | zstd -T0 -3"
row pzstd "  floor: pzstd of the tar"
row verify "ringmill verify" zstd-t
row zstd-t "zstd -t"
row pzstd-t "  floor: pzstd -t"
row unpack "ringmill unpack" tar-x
row tar-x "tar --zstd -xf"
row zstd-tar "zstd -dc | tar -xf -"
row list "ringmill list" tar-t
row tar-t "tar --zstd -tf"
echo "archive: $(stat -c %s "$work/tree.tar.zst") bytes, tar | zstd: $(stat -c %s "$work/peer.tar.zst") bytes"
