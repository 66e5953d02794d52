# SPDX-License-Identifier: Apache-2.0
#
# Each picture has the right size, decodes, and is neither black nor of one colour: vivid shows colour bars. The plain pixels have as many bytes as
# their format takes.

# levels FILE: the darkest, the mean and the brightest luma, and the mean saturation.
levels() {
    ffmpeg -nostdin -v error -i "$1" -vf signalstats,metadata=print:file=- -f null - |
        awk -F= '/YMIN|YAVG|YMAX|SATAVG/ { printf "%s ", $2 } END { print "" }'
}

out=$1
for picture in cam0.jpg:640x360 cam1.jpg:640x360 cam0.png:320x180 cam1.png:320x180; do
    file=$out/${picture%:*}
    size=$(ffprobe -v error -show_entries stream=width,height -of csv=p=0:s=x "$file")
    if [ "$size" != "${picture#*:}" ]; then
        echo "$file is $size"
        exit 1
    fi
    read -r darkest mean brightest saturation < <(levels "$file")
    if ! awk -v d="$darkest" -v m="$mean" -v b="$brightest" -v s="$saturation" \
        'BEGIN { exit !(b - d > 100 && m > 50 && m < 200 && s > 20) }'; then
        echo "$file is no picture of colour bars: luma $darkest to $brightest, mean $mean, saturation $saturation"
        exit 1
    fi
done
bytes=$(stat -c %s "$out/plain.nv12")
if [ "$bytes" != $((640 * 360 * 3 / 2)) ]; then
    echo "plain.nv12 has $bytes bytes"
    exit 1
fi
said=$(awk -F'[:,]' '/"bytes"/ { print $2 + 0 }' "$out/plain.json")
if [ "$(stat -c %s "$out/plain.raw")" != "$said" ]; then
    echo "plain.raw has not the $said bytes that were said"
    exit 1
fi
