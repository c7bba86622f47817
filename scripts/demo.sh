#!/usr/bin/env bash
# The demo: pack a real tree, list, verify, restore it elsewhere, compare the two trees with tools that
# are not ours, and put the figures beside `tar | zstd -T0` on the same tree in the same run.
#
#   scripts/demo.sh PROGRAM TREE        (DEMO_TMP= where the archive and the copy go; default TMPDIR or /tmp)
set -euo pipefail

program=$(realpath "$1")
tree=$(realpath "${2:-/usr/share}")
[ -d "$tree" ] || { echo "demo: $tree is not a directory; give DEMO_DIR=" >&2; exit 2; }
work=$(mktemp -d "${DEMO_TMP:-${TMPDIR:-/tmp}}/ringmill-demo-XXXXXX")
trap 'rm -rf "$work"' EXIT
parent=$(dirname "$tree") name=$(basename "$tree")

need=$(du -s --block-size=1 --apparent-size "$tree" | cut -f1)
room=$(df --output=avail --block-size=1 "$work" | tail -1)
if [ "$room" -lt $((need * 2)) ]; then
    echo "demo: $work has $((room >> 20)) MiB, about $((need * 2 >> 20)) are needed; give DEMO_TMP=" >&2
    exit 1
fi

# timed LABEL COMMAND...: wall, user, system seconds and peak KiB of the largest process to $work/LABEL
timed() {
    local label=$1
    shift
    /usr/bin/time -o "$work/$label" -f '%e %U %S %M' "$@"
}
# Everything about a tree but its content: type, mode, owner, size of files, mtime in ns, link target, links.
listing() {
    (cd "$1" && find . -printf '%y %#m %U:%G %T@ %n %P\t%l\n' | LC_ALL=C sort)
}

echo "== reading $tree once, so that both sides start warm"
tar -C "$parent" -cf - "$name" | cat >/dev/null
files=$(find "$tree" | wc -l)
bytes=$(tar -C "$parent" -cf - "$name" | wc -c)

echo "== ringmill pack $tree"
timed pack "$program" pack -C "$parent" "$name" -o "$work/tree.tar.zst"
echo "== the same with tar | zstd -T0 -3"
timed peer-pack sh -c "tar -C '$parent' -cf - '$name' | zstd -q -T0 -3 -o '$work/peer.tar.zst'"
sync -f "$work"

echo "== ringmill list: the first lines"
timed list "$program" list "$work/tree.tar.zst" >"$work/list.out"
head -5 "$work/list.out"
echo "   ... $(wc -l <"$work/list.out") entries"

echo "== ringmill verify"
timed verify "$program" verify "$work/tree.tar.zst"
echo "== zstd -t reads the same archive"
timed peer-verify zstd -q -t "$work/tree.tar.zst"

echo "== ringmill unpack"
timed unpack "$program" unpack "$work/tree.tar.zst" --to "$work/restored"
echo "== tar --zstd -xf of the same archive"
mkdir "$work/peer"
timed peer-unpack sh -c "tar -C '$work/peer' --zstd -xf '$work/tree.tar.zst' && sync -f '$work/peer'"

echo "== comparing the restored tree with the original: diff -r, and find -printf of all metadata"
diff -r --no-dereference "$tree" "$work/restored/$name" && echo "   contents equal"
listing "$tree" >"$work/a.listing"
listing "$work/restored/$name" >"$work/b.listing"
if [ "$(id -u)" -ne 0 ]; then # Only root can give files away; times of directories then still compare.
    sed -Ei 's/^(. [0-7]+) [0-9]+:[0-9]+/\1 -/' "$work/a.listing" "$work/b.listing"
fi
# Link counts differ where only some links of a file lie in the tree; compare the rest of the line.
cut -d' ' -f1-4,6- "$work/a.listing" >"$work/a.cut"
cut -d' ' -f1-4,6- "$work/b.listing" >"$work/b.cut"
diff "$work/a.cut" "$work/b.cut" >"$work/listing.diff" &&
    echo "   types, modes, owners, times and link targets equal" ||
    { head -20 "$work/listing.diff"; echo "demo: the trees differ" >&2; exit 1; }

cores=$(nproc)
row() { # LABEL WHAT ARCHIVE
    read -r wall user system peak <"$work/$1"
    awk -v what="$2" -v wall="$wall" -v cpu="$(echo "$user $system")" -v peak="$peak" -v bytes="$bytes" \
        -v size="$(stat -c %s "$work/$3")" -v cores="$cores" 'BEGIN {
        split(cpu, c, " "); w = wall > 0 ? wall : 0.01
        printf "%-28s %8.2f %9.0f %8.0f %% %8.1f %8.3f\n", what, wall, bytes / w / 1e6,
            100 * (c[1] + c[2]) / w / cores, peak / 1024, size / bytes }'
}
echo
echo "$files files, $((bytes / 1000000)) MB as tar, on $cores cores, warm; peak memory is the largest process's"
printf '%-28s %8s %9s %10s %8s %8s\n' "" "wall s" "MB/s" "CPU/core" "peak MiB" "ratio"
row pack "ringmill pack" tree.tar.zst
row peer-pack "tar | zstd -T0 -3" peer.tar.zst
row verify "ringmill verify" tree.tar.zst
row peer-verify "zstd -t" tree.tar.zst
row unpack "ringmill unpack (synced)" tree.tar.zst
row peer-unpack "tar --zstd -xf; sync -f" tree.tar.zst
row list "ringmill list" tree.tar.zst
