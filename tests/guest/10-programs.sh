# The test programs of the tree, on this kernel and with two nodes. Each test case counts.
for program in /guest/bin/test_*; do
    name=$(basename "$program")
    timeout 100 "$program" > /tmp/output 2>&1
    status=$?
    sed -n 's/^\[       OK \] /PASS '"$name"' /p; s/^SKIP /SKIP '"$name"' /p' /tmp/output
    if [ $status -ne 0 ]; then
        grep -E '^\[ *(FAILED|ERROR|LINE)|panic|assert' /tmp/output | sed 's/^/| /'
        fail "$name" "exit status $status"
    fi
done
