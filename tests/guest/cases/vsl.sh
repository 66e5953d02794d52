# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 120
#
# Applications of libvideostream at a camera: frames that they can map as they must, while the
# stream's other readers still cannot write.

. "$LIB"

load vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2 num_inputs=1,1
cat >config.toml <<END
[stream.single]
camera = "cam0"
format = "YUYV"
size = "320x240"
rate = 30
vsl = "$PWD/single.vsl"

[stream.multi]
camera = "cam1"
format = "NV12"
size = "320x240"
rate = 30
vsl = "$PWD/multi.vsl"
END
start_bus
start_daemon --config config.toml
for stream in single multi; do
    vsctl start-stream $stream
    probed=$(vsl-probe "$PWD/$stream.vsl" 2) || fail "$stream: $probed"
    echo "$probed"
    expect_match "$stream" ' can be mapped for writing$' "$probed"
    expect_match "$stream" '^unchanged for 2 s ' "$probed"
    probed=$(lease-probe "$PWD/sockets/$stream" 1) || fail "$stream: $probed"
    expect_match "$stream" '^write mapping refused: ' "$probed"
done

refused=0
vsctl start-stream multi --format NM12 2>refusal || refused=$?
expect_equal "exit status for a format in two memories" 1 $refused
expect_match "refusal" 'leave vsl out' "$(cat refusal)"
stop_daemon
