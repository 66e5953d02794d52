# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 600
#
# Clients that hold everything they may do not slow a camera down, which has 4 buffers only. Where
# the stream may have spares, it gets them while it needs them, clients go on getting frames, and
# afterwards the driver takes the buffers out again: when nobody has a descriptor of them any more,
# so that nobody can make the stream have more memory than it may.

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
        if test "$value" "${@:3}"; then
            return
        fi
        sleep 1
    done
    fail "$1: $2 is $value, wanted ${*:3}"
}

# Slow, for an emulated driver is late for its own frames otherwise.
start() {
    expect_match "$1" "$1 is running: .*dmabuf" "$(vsctl start-stream "$1" --size 320x180 --rate 10)"
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
    # The second time the numbers of buffers that were taken out are used again. That is the daemon's work and
    # the same with either API.
    options=("" --keep)
    [ $number = 0 ] || [ "${THOROUGH:-}" ] || options=("")
    for option in "${options[@]}"; do
        mkfifo input
        hoard-probe "$PWD/sockets/$stream" 4 100 $option <input >probed &
        probe=$!
        exec {end}>input
        until_metric $stream videostream_source_buffers_spare -gt 0
        vsctl status -v $stream
        if [ "$option" ]; then
            until grep -q '^kept$' probed; do
                kill -0 $probe || fail "$stream: $(cat probed)"
                sleep 1
            done
            # Long enough for buffers to go that nobody has.
            sleep 30
            kept=$(metric $stream videostream_source_buffers_spare)
            [ "$kept" -gt 0 ] || fail "$stream: buffers are gone of which somebody has descriptors"
        fi
        exec {end}>&-
        wait $probe || fail "$stream: $(cat probed)"
        rm input
        cat probed
        # One that was late once is not trusted with the last frames: not all need come.
        awk '/hoarded/ && $1 > 1 && $3 > 10 { helped = 1 } END { exit !helped }' probed ||
            fail "$stream: the spares help nobody"
        until_metric $stream videostream_source_buffers_spare -eq 0
        expect_equal "buffers of $stream afterwards" 4 "$(metric $stream videostream_source_buffers)"
    done
    vsctl stop-stream $stream
done

log=$(cat "$OUT/daemon-log")
expect_match "the daemon's log" 'spare buffers are added camera=' "$log"
expect_match "the daemon's log" 'all spare buffers are given back camera=' "$log"
stop_daemon
