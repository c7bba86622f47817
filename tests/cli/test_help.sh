# Goal: help, version, man pages and completion are complete, on standard output, with exit status 0.
# Method: ask the program itself which commands it has, then ask for everything about each.
. "$(dirname "$0")/lib.sh"

run "$RINGMILL" --version
expect_status 0
expect_stdout_has '^ringmill [0-9]+\.[0-9]+\.[0-9]+$'
expect_stderr ''

run "$RINGMILL" --help
expect_status 0
expect_stdout_has '^Usage: ringmill COMMAND'
expect_stdout_has '^Exit status: '
expect_stderr ''
cp "$work/stdout" "$work/program"

run "$RINGMILL" help
expect_same "$work/program" "$work/stdout"

run "$RINGMILL" help --list
expect_status 0
expect_stdout_has '^help$'
commands=$(cat "$work/stdout")

for command in $commands; do
    grep -qE "^  $command +[^ ]" "$work/program" || fail "$command is not in the list of commands"

    run "$RINGMILL" "$command" --help
    expect_status 0
    expect_stdout_has "^Usage: ringmill $command"
    expect_stdout_has '^      --cores SPEC +'
    expect_stderr ''
    cp "$work/stdout" "$work/first"
    [ -z "$(grep -nE '.{101}' "$work/stdout")" ] || fail "help is wider than 100 columns"

    run "$RINGMILL" help "$command"
    expect_same "$work/first" "$work/stdout"

    # --help wins over what follows it.
    run "$RINGMILL" "$command" --help --no-such-option
    expect_status 0

    run "$RINGMILL" "$command" --version
    expect_status 0
    expect_stdout_has '^ringmill [0-9]'

    run "$RINGMILL" help --man "$command"
    expect_status 0
    expect_stdout_has "^\.TH RINGMILL-$command 1 "
    expect_stdout_has '^\.SH EXIT STATUS$'
done

run "$RINGMILL" help --man
expect_status 0
expect_stdout_has '^\.TH RINGMILL 1 '

run "$RINGMILL" help --completion bash
expect_status 0
cp "$work/stdout" "$work/completion"
bash -n "$work/completion" || fail "the completion is not valid bash"

complete_words() { # words of a command line; prints what would be offered for the last one
    bash --norc -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ringmill 2> /dev/null
        printf "%s\n" "${COMPREPLY[@]}"' bash "$work/completion" "$@"
}
[ "$(complete_words ringmill hel)" = help ] || fail "a command is not completed"
[ "$(complete_words ringmill help --comp)" = --completion ] || fail "an option is not completed"
[ "$(complete_words ringmill help --completion '')" = bash ] || fail "a choice is not completed"
[ -n "$(complete_words ringmill help --cores '')" ] && fail "a free value is completed"
exit 0
