# Goal: a wrong command line is answered with one line on standard error, nothing on standard output, exit 2;
# output that cannot be written is answered with exit 1.
. "$(dirname "$0")/lib.sh"

refused() { # message, words...
    local message=$1
    shift
    run "$RINGMILL" "$@"
    expect_status 2
    expect_stdout ''
    expect_stderr "$message"
    expect_stderr_lines 1
}

refused "ringmill: no command given; see ringmill --help"
refused "ringmill: unknown command 'hlp'; did you mean 'help'?" hlp
refused "ringmill: unknown command 'zzzzzz'; see ringmill --help" zzzzzz
refused "ringmill: unknown option '--frob'; see ringmill --help" --frob
refused "ringmill: unknown command ''; see ringmill --help" ''
refused "ringmill: unknown command 'a\\x1b[31mb'; see ringmill --help" $'a\e[31mb'
refused "ringmill help: unknown option --compltion; did you mean --completion?" help --compltion bash
refused "ringmill help: unknown option --quux; see ringmill help help" help --quux
refused "ringmill help: unknown option --quux; see ringmill help help" help --quux=3
refused "ringmill help: unknown option -Z; see ringmill help help" help -qZ
refused "ringmill help: --quiet takes no value" help --quiet=yes
refused "ringmill help: --completion needs a value (SHELL)" help --completion
refused "ringmill help: --completion: 'fish' is not one of bash" help --completion fish
refused "ringmill help: unexpected argument 'two'; see ringmill help help" help one two
refused "ringmill help: unexpected argument '--help'; see ringmill help help" help -- one --help
refused "ringmill help: no command 'hepl'; did you mean 'help'?" help hepl

# A name with bytes of any kind cannot reach the terminal raw, however long.
run "$RINGMILL" "$(head -c 100000 /dev/zero | tr '\0' '\1')"
expect_status 2
expect_stderr_lines 1
[ "$(wc -c < "$work/stderr")" -lt 1000 ] || fail "a long name floods the terminal"

if [ -w /dev/full ]; then
    "$RINGMILL" --help > /dev/full 2> "$work/stderr"
    status=$?
    expect_status 1
    expect_stderr "ringmill: cannot write to standard output: No space left on device"
fi

# A reader that went away is an error like any other, not a death by signal.
mkfifo "$work/pipe"
(exec 3< "$work/pipe"; exec 3<&-; sleep 0.1) &
{ sleep 0.05; "$RINGMILL" --help 2> "$work/stderr"; echo $? > "$work/code"; } > "$work/pipe"
wait
status=$(cat "$work/code")
expect_status 1
expect_stderr "ringmill: cannot write to standard output: Broken pipe"
exit 0
