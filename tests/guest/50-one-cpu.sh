# One CPU only: the others are switched off, then on again.
for cpu in 1 2 3; do echo 0 > /sys/devices/system/cpu/cpu$cpu/online; done
want 'doctor on one CPU' '1 CPU: everything runs on one core' ringmill doctor
run_test 'the ring on one CPU' test_ring
for cpu in 1 2 3; do echo 1 > /sys/devices/system/cpu/cpu$cpu/online; done
