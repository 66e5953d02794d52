# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 600
#
# The codec as a service, through either API: 300 pictures (60 in a quick run) there and back through sessions of a
# program and through a coded stream, in order and as they were; a camera encoded where its pictures
# lie, and one whose format nobody encodes; a converter; the codec unbound under clients, and back.

. "$LIB"

# Far longer than an emulated machine takes for anything here.
patience=60
pictures=$(often 300 60)

# json STREAM KEY: the first value of that key, in what vsctl says of the stream.
json() { vsctl --json status "$1" | awk -F': ' -v key="\"$2\"" '$1 ~ key { gsub(/[",]/, "", $2); print $2; exit }'; }
# await STREAM STATE
await() {
    local until=$((SECONDS + patience))
    until [ "$(json "$1" state)" = "$2" ]; do
        [ $SECONDS -lt $until ] || fail "$1 is not $2: $(vsctl status -v "$1")"
        sleep 0.2
    done
}
# open_nodes NODE: descriptors of it that the daemon has.
# shellcheck disable=SC2154 # lib.sh sets daemon
open_nodes() { find "/proc/$daemon/fd" -lname "$1" | wc -l; }
# cpu: clock ticks that the daemon has used.
cpu() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }

# One buffer of several memories: nobody encodes it as it is.
odd=NM12
# The whole of it once; with the other API, what differs.
streamed=$pictures
starts=$(often 10 3)
for multiplanar in 0 1; do
    load vivid n_devs=1 node_types=0x1 num_inputs=1 multiplanar=$((multiplanar + 1))
    load vicodec multiplanar=$multiplanar
    encoder=$(video_node stateful-encoder)
    decoder=$(video_node stateful-decoder)
    cat >config.toml <<END
[defaults]
linger = "500ms"
[stream.bars]
pattern = "bars"
size = "640x360"
rate = 4
[stream.bars-fwht]
from = "bars"
codec = "FWHT"
gop = 10
[stream.eye]
camera = "cam0"
format = "NV12"
size = "640x360"
[stream.eye-fwht]
from = "eye"
codec = "FWHT"
gop = 10
END
    start_bus
    start_daemon --config config.toml

    session-probe session FWHT 640x360 $pictures | tee -a "$OUT/seen" || fail "sessions: $(tail -n1 "$OUT/seen")"
    expect_match "who works" "encoder .*\(v4l2\), decoder .*\(v4l2\)" "$(tail -n1 "$OUT/seen")"
    session-probe stream "$PWD/sockets/bars-fwht" FWHT "$streamed" | tee -a "$OUT/seen" || fail "a stream: $(tail -n1 "$OUT/seen")"
    await bars-fwht idle
    expect_equal "descriptors of the codec" 0 $(($(open_nodes "$encoder") + $(open_nodes "$decoder")))

    # The camera's own buffers, where they lie as the codec wants them (whole macroblocks): what the daemon does for a picture does not grow with its size.
    declare -A used=()
    for size in 640x480 1280x720; do
        vsctl start-stream eye --size $size >/dev/null
        vsctl receive eye-fwht --frames 5 --timeout 2min >/dev/null || fail "no access units of $size"
        before=$(cpu)
        vsctl receive eye-fwht --frames 10 --timeout 2min >/dev/null || fail "no access units of $size"
        used[$size]=$(($(cpu) - before))
    done
    expect_equal "pictures are imported" true "$(json eye-fwht imports)"
    echo "ticks for 10 frames: ${used[640x480]} of 640x480, ${used[1280x720]} of 1280x720" | tee -a "$OUT/seen"
    # Three times the pixels; the access units, which are copied, grow as well.
    [ "${used[1280x720]}" -lt $((5 * used[640x480] / 2)) ] || fail "the daemon's work grows with the picture"

    # Started and stopped, and the device is free after that.
    for _ in $(seq "$starts"); do
        vsctl start-stream extra --from bars --codec FWHT >/dev/null
        vsctl receive extra --frames 1 --timeout 2min >/dev/null || fail "no access unit of a stream that was made"
        vsctl stop-stream extra >/dev/null
    done
    await bars idle
    await eye-fwht idle
    expect_equal "descriptors of the codec" 0 $(($(open_nodes "$encoder") + $(open_nodes "$decoder")))

    # Unbound under a session and a stream: each says so; the stream comes back with the codec.
    mkfifo said-$multiplanar
    session-probe unplug FWHT 640x360 >said-$multiplanar &
    probe=$!
    exec {said}<said-$multiplanar
    read -r _ <&"$said"
    vsctl receive bars-fwht --frames 1000000 --timeout 10min >/dev/null &
    client=$!
    await bars-fwht running
    echo vicodec.0 >/sys/bus/platform/drivers/vicodec/unbind
    wait $probe || fail "unbound: $(cat <&"$said")"
    expect_match "what the program is told" "FWHT" "$(cat <&"$said")"
    exec {said}<&-
    await bars-fwht failed
    expect_match "what the stream says" "FWHT" "$(json bars-fwht state_text)"
    echo vicodec.0 >/sys/bus/platform/drivers/vicodec/bind
    udevadm settle
    await bars-fwht running
    kill -INT $client
    wait $client || true
    stop_daemon
    modprobe -r vicodec vivid
    rm -rf sockets state bus bus-ready
    streamed=30
    starts=1
done

# A format that the codec does not take is brought into one that it does; a converter converts.
load vivid n_devs=1 node_types=0x1 num_inputs=1 multiplanar=2
load vicodec
load vim2m
cat >config.toml <<END
[stream.eye]
camera = "cam0"
format = "$odd"
size = "640x360"
[stream.eye-fwht]
from = "eye"
codec = "FWHT"
[stream.bars]
pattern = "bars"
format = "RGB3"
size = "640x360"
rate = 5
[stream.packed]
from = "bars"
format = "YUYV"
END
start_bus
start_daemon --config config.toml
vsctl receive eye-fwht --frames 10 || fail "$odd is not encoded: $(vsctl status -v eye-fwht)"
vsctl start-stream eye-fwht >/dev/null
vsctl receive eye-fwht --frames 1 >/dev/null
expect_match "who encodes $odd" "from $odd to" "$(vsctl status -v eye-fwht)"
vsctl receive packed --frames 10 || fail "nothing is converted: $(vsctl status packed)"
stop_daemon
