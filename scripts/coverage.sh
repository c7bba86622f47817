#!/bin/bash
# Line coverage per file after a run of the test suite: coverage.sh BUILD
set -u

build=${1:?usage: coverage.sh BUILD}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# An object that no test ran has no .gcda but its .gcno counts: 0 % must show.
find "$build" -name '*.gcno' ! -path '*/tests/*' -print0 |
    xargs -0 -r gcov -n -r -s "$PWD" 2> /dev/null |
    awk '
        /^File / { file = substr($2, 2, length($2) - 2) }
        /^Lines executed:/ && file != "" {
            split($0, part, /[:%]| of /)
            lines = $NF; executed = part[2] / 100 * lines
            if (executed >= best[file]) { best[file] = executed; total[file] = lines }
            file = ""
        }
        END {
            for (f in total) {
                printf "%6.1f%%  %5d  %s\n", 100 * best[f] / total[f], total[f], f
                all += total[f]; done += best[f]
            }
            if (all == 0) { print "no coverage data"; exit 1 }
            printf "%6.1f%%  %5d  total\n", 100 * done / all, all
        }' | sort -k3
