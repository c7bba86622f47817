#!/bin/bash
# Hold the tree to its own rules: check.sh BUILD
#
#   layers    an #include points down or sideways, never up (the table is may_include below)
#   seam      engine/ and workloads/ call nothing that the simulator could not answer; exceptions, each with its
#             reason, are in scripts/check-allow.txt
#   style     what clang-format cannot see
#   headers   every header compiles alone; the public ones also as C++ and as strict C11
#   symbols   every global symbol of the library begins with rmill_
#   tracked   no generated file is in the repository
#
# Every offence is one line "file:line: rule". The last line says how many; the exit status is 1 when there are any.
set -u
export LC_ALL=C.UTF-8

build=${1:?usage: check.sh BUILD}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Tracked files and new ones that are not ignored; in an unpacked archive, all.
list_files() {
    if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard
    else
        find . -path ./build -prune -o -path ./dist -prune -o -type f -print | sed 's|^\./||'
    fi | while read -r file; do [ -e "$file" ] && echo "$file"; done
}
list_files > "$work/files"
grep -E '\.[ch]$' "$work/files" > "$work/sources"
grep -E '\.h$' "$work/sources" > "$work/headers"
mapfile -t sources < "$work/sources"
[ "${#sources[@]}" -gt 0 ] || { echo "check.sh: no sources here" >&2; exit 1; }

# --- layers -----------------------------------------------------------------------------------------------------
check_layers() {
    grep -lE '^ \* (.*[.] )?Workloads may include this\.' cli/*.h > "$work/services"
    # shellcheck disable=SC2016
    awk -v services="$work/services" '
        # The layer a path belongs to: its longest known folder.
        function layer(path) {
            if (match(path, /^(perf\/record|engine\/linux|engine\/sim|workloads\/[^\/]+)\//)) {
                return substr(path, 1, RLENGTH - 1)
            }
            if (match(path, /^perf\//)) { return "perf/report" }
            sub(/\/.*/, "", path)
            return path
        }
        function one_of(word, words) { return index(" " words " ", " " word " ") > 0 }
        function may_include(from, to, path) {
            if (from == to || one_of(from, "tests scripts docs")) { return 1 }
            if (from == "base") { return 0 }
            if (from == "perf/record") { return to == "base" }
            if (from == "numa") { return one_of(to, "base perf/record") }
            if (from == "uring") { return one_of(to, "base perf/record numa") }
            if (from == "engine") { return one_of(to, "base perf/record numa uring") }
            if (one_of(from, "engine/linux engine/sim")) {
                return one_of(to, "base perf/record numa uring engine")
            }
            if (from ~ /^workloads\//) {
                return one_of(to, "base perf/record") || path == "engine/ringmill.h" || (path in service)
            }
            if (one_of(from, "perf/report prof bench")) {
                return one_of(to, "base perf/record perf/report prof bench numa uring engine") ||
                       (path in service)
            }
            if (from == "cli") { return to !~ /^workloads/ && to != "tests" }
            if (from == "examples") { return to == "base" || path == "engine/ringmill.h" }
            printf "%s: folder %s has no place in the table of layers\n", FILENAME, from
            return 1
        }
        BEGIN { while ((getline line < services) > 0) { service[line] } }
        /^[ \t]*#[ \t]*include[ \t]*"/ {
            split($0, part, "\"")
            if (part[2] !~ /\//) {
                printf "%s:%d: layers: \"%s\" must be named from the root of the tree\n", FILENAME, FNR, part[2]
            } else if (!may_include(layer(FILENAME), layer(part[2]), part[2])) {
                printf "%s:%d: layers: may not include %s\n", FILENAME, FNR, part[2]
            }
        }' "${sources[@]}"
    for header in engine/ringmill.h cli/command.h; do
        [ -e "$header" ] || echo "$header: layers: this header is missing"
    done
}

# --- seam -------------------------------------------------------------------------------------------------------
# Calls that only engine/linux (and the simulator, for what is not time or chance) may make.
time_and_chance='time clock_gettime clock_nanosleep gettimeofday nanosleep usleep sleep rand random srand rand_r
    drand48 getrandom getentropy getenv secure_getenv rmill_clock_ns rmill_clock_thread_cpu_ns'
threads='pthread_[a-z_]+ sched_yield sched_setaffinity sched_getcpu'
files='open openat openat2 creat fopen fdopen freopen read pread preadv readv write pwrite pwritev writev lseek
    stat fstat lstat fstatat statx statfs fstatfs statvfs access faccessat mkdir mkdirat mkdtemp mkstemp mkostemp
    rmdir unlink unlinkat remove rename renameat renameat2 link linkat symlink symlinkat readlink readlinkat
    chmod fchmod fchmodat chown fchown lchown fchownat utimes utimensat futimens truncate ftruncate fallocate
    posix_fallocate posix_fadvise fsync fdatasync sync syncfs sync_file_range opendir fdopendir readdir getdents64
    scandir nftw copy_file_range sendfile splice ioctl fcntl flock dup dup2 pipe pipe2 socket connect accept send
    recv poll ppoll select epoll_[a-z_0-9]+ eventfd timerfd_[a-z]+ syscall io_uring_[a-z_0-9]+'

strip_code() { # comments, strings and characters become blanks; one line stays one line
    awk '{
        line = $0; out = ""
        while (line != "") {
            if (inside) {
                end = index(line, "*/")
                if (!end) { line = ""; break }
                line = substr(line, end + 2); inside = 0
                continue
            }
            if (!match(line, /\/\*|\/\/|"|\047/)) { out = out line; break }
            out = out substr(line, 1, RSTART - 1) " "
            mark = substr(line, RSTART, RLENGTH); line = substr(line, RSTART + RLENGTH)
            if (mark == "/*") { inside = 1 }
            else if (mark == "//") { line = "" }
            else {
                if (mark == "\"") { found = match(line, /^([^"\\]|\\.)*"/) }
                else { found = match(line, /^([^\047\\]|\\.)*\047/) }
                line = found ? substr(line, RLENGTH + 1) : ""
            }
        }
        print out
    }' "$1"
}

seam_calls() { # names, list of files
    local names=$1 file
    names=$(tr -s ' \n' '|' <<< "$names" | sed 's/^|//; s/|$//')
    while read -r file; do
        strip_code "$file" | grep -nE "\b($names)[[:space:]]*\(" |
            grep -oP "^[0-9]+:|(?<![A-Za-z0-9_.>])($names)[[:space:]]*\(" |
            awk -v file="$file" '/^[0-9]+:$/ { line = $0; next }
                { gsub(/^[^A-Za-z_]+|[ \t]*\($/, ""); print file, $0, line }'
    done < "$2"
}

check_seam() {
    grep -E '^(engine/[^/]+|workloads/.*)\.[ch]$' "$work/sources" > "$work/above"
    grep -E '^engine/sim/.*\.[ch]$' "$work/sources" > "$work/sim"
    {
        seam_calls "$time_and_chance $threads $files" "$work/above"
        seam_calls "$time_and_chance $threads" "$work/sim"
    } > "$work/calls"
    awk '
        NR == FNR {
            if ($0 ~ /^[ \t]*(#|$)/) { next }
            if (NF < 3) { printf "scripts/check-allow.txt:%d: seam: a line is FILE CALL REASON\n", FNR }
            allowed[$1 " " $2] = FNR
            next
        }
        {
            key = $1 " " $2
            if (key in allowed) { used[key] } else { printf "%s:%s seam: calls %s directly\n", $1, $3, $2 }
        }
        END {
            for (key in allowed) {
                if (!(key in used)) {
                    printf "scripts/check-allow.txt:%d: seam: no longer needed: %s\n", allowed[key], key
                }
            }
        }' scripts/check-allow.txt "$work/calls"
}

# --- style ------------------------------------------------------------------------------------------------------
check_style() {
    grep -nHE '.{101}' "${sources[@]}" | sed -E 's/^([^:]+:[0-9]+):.*/\1: style: more than 100 columns/'
    grep -nHE $'\t' "${sources[@]}" | sed -E 's/^([^:]+:[0-9]+):.*/\1: style: a tab/'
    grep -nHE '[[:space:]]$' "${sources[@]}" | sed -E 's/^([^:]+:[0-9]+):.*/\1: style: blanks at the end/'
    grep -nHE '^[[:space:]]*typedef[[:space:]]+(struct|union|enum)' "${sources[@]}" |
        sed -E 's/^([^:]+:[0-9]+):.*/\1: style: a type hidden behind a typedef/'
    # A definition's brace and its end stand alone in column one.
    awk 'FNR == 1 { begin = 0 }
        /^\{$/ { begin = FNR }
        /^\}$/ {
            if (begin && FNR - begin - 1 > 100) {
                printf "%s:%d: style: a function of %d lines (100)\n", FILENAME, begin, FNR - begin - 1
            }
            begin = 0
        }' "${sources[@]}"
    while read -r header; do
        case $(head -n 1 "$header") in
        "/* $header — "*) ;;
        *) echo "$header:1: style: the first line of a header is '/* $header — what it is'" ;;
        esac
        grep -qE '^#ifndef RMILL_[A-Z0-9_]+_H$' "$header" || echo "$header:1: style: no include guard RMILL_..._H"
    done < "$work/headers"
}

# --- headers ----------------------------------------------------------------------------------------------------
compile_alone() { # compiler, standard, language, file
    local output
    output=$("$1" -fsyntax-only "-std=$2" -Wall -Wextra -Werror -Wno-unused-parameter -I. -D_GNU_SOURCE \
        -DRMILL_VERSION='"check"' -x "$3" -include "$4" /dev/null 2>&1) || {
        echo "$4:1: headers: does not compile alone with $1 -std=$2"
        echo "$output" | head -n 8 | sed 's/^/    /'
    }
}

check_headers() {
    local file
    {
        sed 's/^/gcc gnu17 c /' "$work/headers"
        ls tests/headers/*.c 2> /dev/null | sed 's/^/gcc gnu17 c /'
        # The public header and all of ours that it includes.
        gcc -MM -I. engine/ringmill.h 2> /dev/null | tr -s ' \\' '\n' | grep '\.h$' | while read -r file; do
            echo "g++ c++11 c++ $file"
            echo "gcc c11 c $file"
        done
    } > "$work/compiles"
    export -f compile_alone
    # shellcheck disable=SC2016
    xargs -P 2 -L 1 bash -c 'compile_alone "$@"' compile < "$work/compiles"
}

# --- symbols ----------------------------------------------------------------------------------------------------
check_symbols() {
    local library
    for library in "$build/libringmill.a" "$build/libringmill.so.0"; do
        if [ ! -e "$library" ]; then
            echo "$library: symbols: not built; run make first"
            continue
        fi
        # What sanitizers, gcov and the probes of sys/sdt.h add is not ours.
        nm -g --defined-only $([[ $library == *.so* ]] && echo -D) "$library" 2> /dev/null |
            awk -v library="$library" 'NF == 3 && $2 != "A" && $3 !~ /^(rmill_|_\.stapsdt\.base$|__asan_|__odr_asan|__gcov|__tsan)/ {
                printf "%s: symbols: %s does not begin with rmill_\n", library, $3 }'
    done
}

# --- tracked ----------------------------------------------------------------------------------------------------
check_tracked() {
    git ls-files 2> /dev/null |
        grep -E '(^|/)(build|dist)/|\.(o|a|so|so\.[0-9]+|d|gcda|gcno|tmp|orig|rej|pyc|log|profraw|perf)$' |
        sed 's/$/: tracked: a generated file/'
}

for check in layers seam style headers symbols tracked; do
    "check_$check" 2>&1
done > "$work/offences"
cat "$work/offences"
count=$(grep -c '^[^ ]' "$work/offences")
echo "check: ${#sources[@]} sources, $count offences"
[ "$count" -eq 0 ]
