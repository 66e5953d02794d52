# SPDX-License-Identifier: Apache-2.0
#
# Every file plays as the power cut has left it, and ends at most the promised time before the last
# frame that was published. Repaired it is an ordinary MP4 with the same pictures.

# In ms, at 10 frames per second: what is synchronised every second, and the fragment of 100 ms that
# was not complete, which is a frame.
frame=100
promise=$((1000 + 100))
# What an emulated disk takes for a flush and an emulated processor for a picture, on a busy host.
slack=500

out=$1
losses=()
for said in "$out"/said.*; do
    boot=${said##*.}
    # Up to the last whole line; the first boot and the last one record nothing.
    mapfile -t frames < <(sed -n '/^recording$/,$ { s/^frame \([0-9]* [0-9]*\)$/\1/p }' "$said")
    [ ${#frames[@]} -gt 0 ] || continue
    read -r published published_ns <<<"${frames[-1]}"
    file=$out/$boot.mp4
    if [ -e "$file" ]; then
        "$BIN/barcodes" "$file" >"$file.pictures" 2>"$file.log" || { cat "$file.log"; exit 1; }
        repaired=$out/$boot.repaired.mp4
        "$BIN/vsctl" --quiet repair --check "$repaired" && "$BIN/barcodes" "$repaired" | cmp - "$file.pictures" ||
            { echo "boot $boot: the repaired file is another one"; exit 1; }
        read -r _ recorded recorded_ms < <(tail -n 1 "$file.pictures")
        loss=$((published_ns / 1000000 - recorded_ms - frame))
    else
        # It was never synchronised, and all that was to be in it is lost.
        read -r recorded recorded_ns <<<"${frames[0]}"
        recorded="nothing from $recorded on"
        loss=$(((published_ns - recorded_ns) / 1000000))
    fi
    # What comes after the last frame that was published is nobody's loss.
    loss=$((loss > 0 ? loss : 0))
    echo "boot $boot: published up to frame $published, recorded $recorded: $loss ms lost" >>"$out/losses"
    losses+=("$loss")
    [ $loss -le $((promise + slack)) ] || { cat "$out/losses"; exit 1; }
done
[ ${#losses[@]} -gt 0 ] || { echo "no recording was cut off"; exit 1; }
printf '%s\n' "${losses[@]}" | sort -n | awk '{ all[NR] = $1 }
    END { printf "     %d power cuts: %d to %d ms lost, median %d\n", NR, all[1], all[NR], all[int((NR + 1) / 2)] }'
