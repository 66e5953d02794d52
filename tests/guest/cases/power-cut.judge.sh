# SPDX-License-Identifier: Apache-2.0
#
# Every file plays as the power cut has left it, and ends at most the promised time before the last
# frame that was published.

# In ms, at 10 frames per second: what is synchronised every second, and the frame that makes a
# fragment of 100 ms complete.
frame=100
promise=$((1000 + 100))
# What an emulated disk takes for a flush and an emulated processor for a picture, on a busy host.
slack=${GUEST_POWER_SLACK:-400}

out=$1
losses=()
for said in "$out"/said.*; do
    boot=${said##*.}
    # The first boot and the last one record nothing.
    read -r _ published published_ns < <(grep '^frame ' "$said" | tail -n 1) || continue
    file=$out/$boot.mp4
    "$BIN/barcodes" "$file" >"$file.pictures" 2>"$file.log" || { cat "$file.log"; exit 1; }
    read -r _ recorded recorded_ms < <(tail -n 1 "$file.pictures")
    loss=$((published_ns / 1000000 - recorded_ms - frame))
    echo "boot $boot: published up to frame $published, recorded up to $recorded: $loss ms lost" >>"$out/losses"
    losses+=("$loss")
    [ $loss -le $((promise + slack)) ] || { cat "$out/losses"; exit 1; }
done
[ ${#losses[@]} -gt 0 ] || { echo "no recording was cut off"; exit 1; }
printf '%s\n' "${losses[@]}" | sort -n | awk '{ all[NR] = $1 }
    END { printf "     %d power cuts: %d to %d ms lost, median %d\n", NR, all[1], all[NR], all[int((NR + 1) / 2)] }'
