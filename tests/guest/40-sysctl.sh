# io_uring switched off by the administrator (6.6 and later).
knob=/proc/sys/kernel/io_uring_disabled
if [ -e $knob ]; then
    echo 2 > $knob
    want 'the sysctl is named' 'missing +io_uring .*kernel.io_uring_disabled=2' ringmill doctor
    want 'the command is given' 'sysctl kernel.io_uring_disabled=0' ringmill doctor
    ringmill doctor > /dev/null 2>&1
    [ $? -eq 77 ] && pass 'switched off means 77' || fail 'switched off means 77' 'another status'
    echo 1 > $knob
    want 'root may with 1' 'could be better +io_uring_disabled' ringmill doctor
    echo 0 > $knob
    want 'switched on again' '^ringmill can run here' ringmill doctor
else
    skip 'kernel.io_uring_disabled' "Linux $(uname -r) has no such switch (6.6 has)"
fi
