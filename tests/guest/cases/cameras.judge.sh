# SPDX-License-Identifier: Apache-2.0
#
# Both recordings are H.264 of the right size and length, and decode without an error. How many
# frames an emulated encoder managed is not looked at.

for file in "$1"/cam0.mp4 "$1"/cam1.mp4; do
    probe=$(ffprobe -v error -show_entries stream=codec_name,width,height,duration -of csv=p=0 "$file")
    IFS=, read -r codec width height duration <<<"$probe"
    if [ "$codec $width $height" != "h264 320 180" ]; then
        echo "$file: $probe"
        exit 1
    fi
    if ! awk -v d="$duration" 'BEGIN { exit !(d > 4.8 && d < 5.2) }'; then
        echo "$file lasts $duration s, not 5"
        exit 1
    fi
    # What ffmpeg says about gaps in a file that it takes at a constant rate is of no concern.
    if ! ffmpeg -v error -xerror -i "$file" -f null - </dev/null >"$file.log" 2>&1; then
        cat "$file.log"
        exit 1
    fi
done
