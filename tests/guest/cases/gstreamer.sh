# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 150
# needs: gstreamer
#
# A camera's DmaBufs through vslsink to vslsrc: what the reader gets are DmaBufs, and what both do for
# a frame does not grow with it. And DmaBufs of the sink's own pool, from a heap and from udmabuf.

. "$LIB"

# In memory: from the share, each page of a library would be fetched when it is first touched.
cp -r /host/gst gst

# Plays a pipeline; in the background it is the process itself.
gst=(env LD_LIBRARY_PATH="$PWD/gst/lib" GST_PLUGIN_SYSTEM_PATH_1_0="$PWD/gst/plugins" GST_REGISTRY="$PWD/gst/registry"
    GST_REGISTRY_FORK=no gst/bin/gst-launch-1.0 -q)

# end PID: ends a pipeline that has no end.
end() {
    kill -TERM "$1"
    wait "$1" || true
}

# used PID: clock ticks that a process has used.
used() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# hundredths SECONDS...: their sum, in clock ticks.
hundredths() { awk '{ for (i = 1; i <= NF; i++) sum += $i } END { printf "%d", sum * 100 }' <<<"$*"; }

dmabuf='video/x-raw(memory:DMABuf)'
frames=$(often 300 60)

load vivid n_devs=1 node_types=0x1 num_inputs=1
node=$(video_node vivid-000-vid-cap)
# What is loaded for the first time is not measured.
"${gst[@]}" videotestsrc num-buffers=1 ! fakesink

TIMEFORMAT='%U %S'
# both SIZE MODE CAPS: ticks that sink and reader take for the frames.
both() {
    local sink before reader
    "${gst[@]}" v4l2src device="$node" io-mode=dmabuf ! "video/x-raw,format=YUY2,width=${1%x*},height=${1#*x},framerate=30/1" ! \
        vslsink path="$PWD/camera" sync=false &
    sink=$!
    "${gst[@]}" vslsrc path="$PWD/camera" num-frames=5 ! "$3" ! fakesink sync=false || fail "no frames of $1"
    before=$(used $sink)
    { time "${gst[@]}" vslsrc path="$PWD/camera" mode="$2" num-frames="$frames" ! "$3" ! fakesink sync=false; } 2>spent ||
        fail "no frames of $1, $2: $(cat spent)"
    reader=$(tail -n1 spent)
    ticks=$(($(used $sink) - before + $(hundredths "$reader")))
    end $sink
}

# The capsfilter lets nothing pass but DmaBufs: one frame that was copied would end the reader with an error.
declare -A cost=()
for size in 320x180 1920x1080; do
    both $size leased "$dmabuf"
    cost[leased-$size]=$ticks
    # For comparison: one copy of each frame.
    both $size notify video/x-raw
    cost[notify-$size]=$ticks
    echo "ticks for $frames frames of $size: ${cost[leased-$size]}, with a copy ${cost[notify-$size]}" | tee -a "$OUT/seen"
done
leased=$((cost[leased-1920x1080] - cost[leased-320x180]))
notify=$((cost[notify-1920x1080] - cost[notify-320x180]))
# 36 times the bytes: a copy shows that, and a frame that is passed on does not.
[ $((4 * leased)) -lt "$notify" ] || fail "what a frame costs grows with it: $leased ticks more, and $notify with a copy"

for memory in dma-heap udmabuf dmabuf; do
    "${gst[@]}" videotestsrc ! video/x-raw,format=NV12,width=322,height=242,framerate=30/1 ! \
        vslsink path="$PWD/painted" memory=$memory sync=false &
    sink=$!
    "${gst[@]}" vslsrc path="$PWD/painted" num-frames=20 ! "$dmabuf" ! fakesink sync=false || fail "memory=$memory gives no DmaBufs"
    end $sink
done
# A camera that fills what the sink offers.
"${gst[@]}" v4l2src device="$node" io-mode=dmabuf-import ! video/x-raw,format=YUY2,width=640,height=360,framerate=30/1 ! \
    vslsink path="$PWD/filled" memory=dma-heap sync=false &
sink=$!
"${gst[@]}" vslsrc path="$PWD/filled" num-frames=20 ! "$dmabuf" ! fakesink sync=false || fail "nothing was imported"
end $sink
