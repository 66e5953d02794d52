# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 90
#
# What a machine can do, and what is missing and how to fix it, as the daemon sees it.

. "$LIB"

load vivid n_devs=1 node_types=0x1 num_inputs=1
load vicodec
start_bus
printf '[stream.door]\ncamera = "door"\n' >config.toml
start_daemon --config config.toml
info=$(vsctl info)
echo "$info"
expect_match daemon '^daemon +[0-9.]+ +ok ' "$info"
expect_match kernel "^kernel +$(uname -r | sed 's/[.+]/\\&/g') +ok +x86_64" "$info"
expect_match camera '^camera +cam0 +ok +/dev/video[0-9]+, vivid, [0-9]+ formats' "$info"
expect_match "a camera that is not there" '^device +door +missing +it is not there' "$info"
expect_match "software encoder" '^encoder +software +ok +H264' "$info"
expect_match "hardware encoder" '^encoder +enc0 +ok +.*FWHT' "$info"
expect_match decoder '^decoder +dec0 +ok +.*FWHT' "$info"
expect_match heap '^memory +/dev/dma_heap/system +ok' "$info"
expect_match state "^state +$PWD/state +ok" "$info"
end_daemon

echo "# a camera and heaps that it may not open: which group may"
node=$(video_node vivid-000-vid-cap)
chown nobody:video "$node" /dev/dma_heap/*
chmod 0660 "$node" /dev/dma_heap/*
# Root without the right to pass over permissions is like anybody else.
mkdir -p sockets state
setpriv --inh-caps=-all --bounding-set=-all videostreamd --bus "$VIDEOSTREAM_BUS" --socket-dir "$PWD/sockets" 2>>"$OUT/daemon-log" &
# shellcheck disable=SC2034 # for stop_daemon
daemon=$!
until vsctl --quiet status >/dev/null 2>&1; do sleep 0.2; done
info=$(vsctl info)
echo "$info"
expect_match device "^device +dev0 +denied +no permission to open $node" "$info"
expect_match remedy "to do: add the user that runs this to group 'video'" "$info"
expect_match camera '^camera +none +missing +no camera can be used: see above' "$info"
expect_match heap '^memory +/dev/dma_heap/system +denied +no permission to use it: streams with memory = "dma-heap"' "$info"
expect_match "remedy for the heap" "to do: add the daemon's user to group 'video'" "$info"
expect_match state '^state +none +note' "$info"
expect_equal "only what is wrong" 0 "$(vsctl info -q | grep -cE ' (ok|note) ' || true)"
stop_daemon
