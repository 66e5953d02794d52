# SPDX-License-Identifier: Apache-2.0
#
# Of the recording that went on through unplugs: it plays without an error, and its timestamps have
# the gaps: it is as long as the time was, with far fewer frames than a file without gaps would have.

file=$1/replugged.mp4
# What ffmpeg says about gaps in a file that it takes at a constant rate is of no concern.
if ! ffmpeg -v error -xerror -i "$file" -f null - </dev/null >"$file.log" 2>&1; then
    cat "$file.log"
    exit 1
fi
packets=$(ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 "$file")
awk -F, -v cycles="$(<"$1/cycles")" 'NR > 1 && $1 - last > 0.3 { gaps++; missing += $1 - last } { last = $1 } END {
    printf "%d frames in %.1f s, %d gaps of %.1f s\n", NR, last, gaps, missing
    exit !(gaps >= cycles * 0.95 && NR > cycles * 3 && last > cycles * 0.6)
}' <<<"$packets"
