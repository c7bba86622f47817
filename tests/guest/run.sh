# Run every other script of this folder in the order of their names, inside the guest.
#
# A script reports each thing it tried in one line, "PASS name", "FAIL name: reason" or "SKIP name: reason", with the
# functions below (it is sourced by a subshell of this one, with ROOM as a directory of its own); what else it wants
# to say begins with "| ". To add a test, add a script. The host counts the lines and wants "guest: end".
pass() { echo "PASS $1"; }
fail() { echo "FAIL $1: $2"; }
skip() { echo "SKIP $1: $2"; }

# run_test NAME COMMAND...: pass when the command ends with 0, skip with 77; its output is shown otherwise.
run_test() {
    name=$1
    shift
    timeout 100 "$@" > /tmp/output 2>&1
    case $? in
    0) pass "$name" ;;
    77) skip "$name" "$(tail -n 1 /tmp/output)" ;;
    *) sed 's/^/| /' /tmp/output; fail "$name" "see above" ;;
    esac
}

# want NAME TEXT COMMAND...: pass when the command's output has the text (an extended regular expression).
want() {
    name=$1 text=$2
    shift 2
    timeout 60 "$@" > /tmp/output 2>&1
    status=$?
    if grep -qE "$text" /tmp/output; then
        pass "$name"
    else
        sed 's/^/| /' /tmp/output
        fail "$name" "exit status $status and no '$text'"
    fi
}

echo "guest: Linux $(uname -r), $(nproc) CPUs"
for script in ./*.sh; do
    [ "$script" != ./run.sh ] || continue
    echo "| $script"
    ROOM=/tmp/$(basename "$script" .sh)
    mkdir -p "$ROOM"
    (. "$script")
done
echo "guest: end"
