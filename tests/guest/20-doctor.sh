# doctor and topo on a machine with two nodes, an NVMe drive with polled queues, and this kernel.
want 'doctor can use this kernel' '^ringmill can run here' ringmill doctor
sed 's/^/| /' /tmp/output
want 'doctor sees the wake by message' '^ok +message_wake' ringmill doctor
want 'doctor sees two nodes' 'nodes +2' ringmill doctor
want 'doctor names the seccomp filter' 'missing +io_uring .*seccomp' without_uring EPERM ringmill doctor
without_uring EPERM ringmill doctor > /dev/null 2>&1
[ $? -eq 77 ] && pass 'doctor exits with 77' || fail 'doctor exits with 77' 'another status'
want 'doctor writes JSON' '"usable": ?true' ringmill doctor --json

if mount -t ext4 /dev/nvme0n1 /mnt > /tmp/output 2>&1; then
    want 'doctor sees the filesystem' '^ok +filesystem +ext4 on /dev/nvme0n1' ringmill doctor /mnt
    want 'doctor sees direct I/O' '^ok +direct_io +O_DIRECT' ringmill doctor /mnt
    want 'doctor sees polled queues' '^ok +polled_queues +nvme0n1' ringmill doctor /mnt
    umount /mnt
else
    skip 'doctor on a drive' "no ext4 on the NVMe drive: $(head -n 1 /tmp/output)"
fi
if ringmill topo --help > /dev/null 2>&1; then
    want 'topo shows both nodes' '^node 1 +CPUs 2-3' ringmill topo
    run_test 'topo writes JSON' ringmill topo --json
else
    skip 'topo' 'this tree has no such command'
fi
