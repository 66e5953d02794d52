# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 200
#
# Colorimetry, interlacing and sequence are the driver's, and passed on as they are.

. "$LIB"

# A television and an HDMI input.
load vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0x1,0x3
start_bus
start_daemon
television=$(video_node vivid-000-vid-cap)
hdmi=$(video_node vivid-001-vid-cap)

# expect_format CAMERA KEY=VALUE...: of its stream's format.
expect_format() {
    local camera=$1 pair status
    shift
    status=$(vsctl status "$camera" --json)
    for pair; do
        expect_match "$camera" "\"${pair%=*}\": ${pair#*=},?\$" "$status"
    done
}
# expect_driver NODE WORDS: somewhere in what v4l2-ctl says of the same format.
expect_driver() { expect_match "$1" "$2" "$(v4l2-ctl -d "$1" --get-fmt-video)"; }

echo "# interlaced, both fields in one picture"
vsctl start-stream cam0
expect_driver "$television" 'Field +: Interlaced'
expect_driver "$television" 'Colorspace +: sRGB'
expect_format cam0 field=4 colorspace=8 transfer=0 encoding=0 quantization=0 rotation=0
vsctl receive cam0 --frames 5
vsctl stop-stream cam0

echo "# another colour"
vsctl controls cam0 colorspace="SMPTE 170M"
vsctl start-stream cam0
expect_driver "$television" 'Colorspace +: SMPTE 170M'
expect_format cam0 colorspace=1
vsctl stop-stream cam0

echo "# BT.2020, full range"
vsctl controls cam1 colorspace=BT.2020 transfer_function="SMPTE 2084" quantization="Full Range"
vsctl start-stream cam1 --format YUYV
expect_driver "$hdmi" 'Colorspace +: BT.2020'
expect_format cam1 field=1 colorspace=10 transfer=7 quantization=1
vsctl stop-stream cam1

echo "# fields that come as pictures of their own, with one sequence number for both"
v4l2-ctl -d "$hdmi" --list-dv-timings >"$OUT/timings"
index=$(awk '/Index:/ { n = $2 } /Frame format: interlaced/ && !found { found = 1; print n }' "$OUT/timings")
v4l2-ctl -d "$hdmi" --set-dv-bt-timings "index=$index"
vsctl start-stream cam1
expect_driver "$hdmi" 'Field +: Alternating'
expect_format cam1 field=7
frame-probe "$PWD/sockets/cam1" 10 | tee "$OUT/fields"
expect_equal "frames" 10 "$(grep -cE 'flags (GAP\|)?(TOP|BOTTOM)_FIELD field 7 ' "$OUT/fields")"
expect_match "top fields" 'TOP_FIELD' "$(cat "$OUT/fields")"
expect_match "bottom fields" 'BOTTOM_FIELD' "$(cat "$OUT/fields")"
stop_daemon
