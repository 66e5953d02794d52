# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 300
#
# Clients that hold everything they may do not slow a camera down, which has 4 buffers only. Where
# the stream may have spares, it gets them while it needs them, clients go on getting frames, and
# afterwards the driver takes the buffers out again.

. "$LIB"

load vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2 num_inputs=1,1
cat >config.toml <<'END'
[defaults]
buffers = 4
lease = "1h"
lease-max = "1h"
credits-max = 16
[stream.poor0]
camera = "cam0"
spares = 0
[stream.poor1]
camera = "cam1"
spares = 0
[stream.rich0]
camera = "cam0"
spares = 8
[stream.rich1]
camera = "cam1"
spares = 8
END
start_bus
start_daemon --config config.toml

# metric STREAM NAME: its value.
metric() {
    vsctl metrics | awk -v name="$2{stream=\"$1\"}" '$1 == name { print $2 }'
}

# until_metric STREAM NAME CONDITION: waits until that is so.
until_metric() {
    local value
    for _ in $(seq 60); do
        value=$(metric "$1" "$2")
        if [ "$value" "${@:3}" ]; then
            return
        fi
        sleep 1
    done
    fail "$1: $2 is $value, wanted ${*:3}"
}

start() {
    expect_match "$1" "$1 is running: .*dmabuf" "$(vsctl start-stream "$1" --size 320x180 --rate 15)"
    expect_equal "buffers of $1" 4 "$(metric "$1" videostream_source_buffers)"
}

for number in 0 1; do
    stream=poor$number
    start $stream
    hoard-probe "$PWD/sockets/$stream" 3 200 || fail "$stream: a frame found no buffer"
    expect_equal "buffers of $stream afterwards" 4 "$(metric $stream videostream_source_buffers)"
    vsctl stop-stream $stream

    stream=rich$number
    start $stream
    # The second time the numbers of buffers that were taken out are used again.
    for _ in 1 2; do
        hoard-probe "$PWD/sockets/$stream" 4 200 >probed &
        probe=$!
        until_metric $stream videostream_source_buffers_spare -gt 0
        vsctl status -v $stream
        wait $probe || fail "$stream: $(cat probed)"
        cat probed
        awk '{ hoarded = $1; seen = $3; of = $5 } END { exit !(hoarded > 1 && seen > of / 2) }' probed ||
            fail "$stream: the spares help nobody"
        until_metric $stream videostream_source_buffers_spare -eq 0
        expect_equal "buffers of $stream afterwards" 4 "$(metric $stream videostream_source_buffers)"
    done
    vsctl stop-stream $stream
done

expect_equal "times that the log says that spares are added" 4 "$(grep -c 'spare buffers are added' "$OUT/daemon-log")"
expect_equal "times that it says that they are gone" 4 "$(grep -c 'all spare buffers are given back' "$OUT/daemon-log")"
stop_daemon
