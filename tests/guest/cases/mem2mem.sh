# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 900
#
# Sessions of the real codec and converter drivers, through either API: frames there and back,
# copied and imported; drains of 0, 1 and all; a seek; changes of resolution; sessions closed in the
# middle; and a codec that is unbound while it works.

. "$LIB"

# Enough to go through all buffers a few times; an emulated machine takes its time for each.
frames=60

for multiplanar in 0 1; do
    load vicodec multiplanar=$multiplanar
    encoder=$(video_node stateful-encoder) decoder=$(video_node stateful-decoder)
    m2m-probe codec "$encoder" "$decoder" frames=$frames | tee -a "$OUT/codec.json"

    mkfifo unplug-$multiplanar
    m2m-probe unplug "$encoder" >unplug-$multiplanar &
    probe=$!
    exec {said}<unplug-$multiplanar
    read -r _ <&"$said" || fail "the encoder did not start"
    echo vicodec.0 >/sys/bus/platform/drivers/vicodec/unbind
    wait "$probe" || fail "unbound: $(cat <&"$said")"
    expect_match "unbound" '"failed":"Gone"' "$(cat <&"$said")"
    exec {said}<&-
    modprobe -r vicodec
done

load vim2m
m2m-probe convert "$(video_node vim2m)" format=RGB3 to=YUYV size=640x480 frames=60 | tee "$OUT/convert.json"
refused=0
m2m-probe convert "$(video_node vim2m)" format=YUYV to=RGB3 size=640x480 >refusal || refused=$?
expect_equal "exit status for a format that the converter does not take" 1 $refused
expect_match refusal 'does not take YUYV; it knows .*RGB3' "$(cat refusal)"
