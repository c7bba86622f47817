# A memory limit by cgroup v2, and memory bound to the second node.
group=/sys/fs/cgroup/ringmill-test
echo +memory > /sys/fs/cgroup/cgroup.subtree_control 2> /dev/null
mkdir -p $group
if echo 100M > $group/memory.max 2> /dev/null; then
    limited() { sh -c 'echo $$ > '$group'/cgroup.procs && exec "$@"' sh "$@"; }
    limited ringmill doctor > /tmp/limited 2>&1
    if grep -qE 'could be better +memory_limit +105 MB by the cgroup \(v2\)' /tmp/limited &&
        grep -q "$group/memory.max" /tmp/limited; then
        pass 'doctor names the cgroup v2 limit'
    else
        sed 's/^/| /' /tmp/limited
        fail 'doctor names the cgroup v2 limit' 'see above'
    fi
else
    skip 'cgroup v2 limit' 'this kernel has no memory controller here'
fi
if [ -x /guest/bin/placement ]; then
    run_test 'memory bound to a node lies there' placement
fi
