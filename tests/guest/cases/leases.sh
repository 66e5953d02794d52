# SPDX-License-Identifier: Apache-2.0
# init: lean systemd
# timeout: 120
#
# What a client of a camera is entitled to: DmaBufs that nobody can write to, and a picture that
# stays as it is while it is held. The objects of a machine with devices keep the bus's contract.

. "$LIB"

load vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2 num_inputs=1,1
start_bus
start_daemon
for camera in cam0 cam1; do
    vsctl start-stream $camera --size 320x240 --rate 30
    probed=$(lease-probe "$PWD/sockets/$camera" 2) || fail "$camera: $probed"
    echo "$probed"
    expect_match "$camera" '^exp_name ' "$probed"
    expect_match "$camera" '^write mapping refused: ' "$probed"
    expect_match "$camera" '^unchanged for 2 s ' "$probed"
done
dbus-contract "$VIDEOSTREAM_BUS" Manager Stream Device Controls || fail "the bus does not keep its contract"

refused=0
vsctl start-stream cam0 --format ZZZZ 2>refusal || refused=$?
expect_equal "exit status for a format that the camera does not have" 1 $refused
expect_match "refusal" 'NV12' "$(cat refusal)"
stop_daemon
