# Goal: what list, verify and unpack say of the archives in tests/golden/archives, honest, damaged and hostile
# ones, is what is kept beside them in NAME.expected: every line, every exit status, every restored name.
# RMILL_GOLDEN_MAKE=1 writes the expectations anew.
. "$(dirname "$0")/lib.sh"
export TZ=UTC
golden=tests/golden/archives

say() { # what ran, with its exit status and output
    run "$RINGMILL" "$@"
    echo "\$ ringmill $*"
    cat "$work/stdout"
    sed 's/^/! /' "$work/stderr"
    [ "$status" -eq 0 ] || echo "exit $status"
}

# What is in $1, and the tree below $1/to: kinds, modes, sizes, times, names as bash quotes them, targets.
tree() {
    (export LC_ALL=C # In UTF-8 bash's read swallows what follows half a character.
    cd "$1" && ls -A && [ -d to ] && cd to && find . -mindepth 1 -printf '%y %m %s %Ts %p\0%l\0' |
        while IFS= read -r -d '' line && IFS= read -r -d '' target; do
            case $line in d*) line=$(sed -E '1s/^(d [0-9]+) [0-9]+/\1 -/' <<< "$line") ;; esac
            printf '%q %q\n' "$line" "$target"
        done | sort)
}

cp "$golden"/*.tar.zst "$work"
mkdir "$work/run"
for archive in "$golden"/*.tar.zst; do
    name=$(basename "$archive" .tar.zst)
    (
        cd "$work/run" || exit 1
        cp "$work/$name.tar.zst" .
        say list "$name.tar.zst"
        say list --long "$name.tar.zst"
        say list --json "$name.tar.zst"
        say verify -q "$name.tar.zst"
        mkdir unpacked
        [ "$name" != hostile-way-2 ] || run "$RINGMILL" unpack -q "$work/hostile-way-1.tar.zst" --to unpacked/to
        say unpack -q "$name.tar.zst" --to unpacked/to
        tree unpacked
        rm -rf unpacked "$name.tar.zst"
        ls -A # Nothing else is left here.
    ) > "$work/said"
    if [ -n "${RMILL_GOLDEN_MAKE:-}" ]; then
        cp "$work/said" "$golden/$name.expected"
    fi
    if ! diff -u "$golden/$name.expected" "$work/said"; then
        command_shown="the commands on $name.tar.zst" status=0
        fail "they say something else than $golden/$name.expected"
    fi
    [ ! -e /tmp/ringmill-out ] || fail "an archive wrote to an absolute path"
done
