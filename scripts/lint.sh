#!/bin/bash
# clang-format (dry), cppcheck and clang-tidy over every source; what they say is advice, not a gate.
set -u

scripts/deps.sh build lint || exit 1
mapfile -t sources < <(git ls-files '*.c')
mapfile -t all < <(git ls-files '*.c' '*.h')
flags=(-std=gnu17 -I. -D_GNU_SOURCE -DRMILL_VERSION='"lint"')

clang-format --dry-run "${all[@]}"
cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem \
    -I. -D_GNU_SOURCE -j "$(nproc)" "${sources[@]}"
printf '%s\n' "${sources[@]}" | xargs -n 8 -P "$(nproc)" sh -c \
    'clang-tidy --quiet --checks="bugprone-*,-bugprone-easily-swappable-parameters,clang-analyzer-*,-clang-analyzer-security.insecureAPI.*" "$@" -- '"${flags[*]@Q}"' 2> /dev/null' sh
