# SPDX-License-Identifier: Apache-2.0
# init: lean systemd
# timeout: 240
#
# The main job: the daemon finds a single-planar and a multi-planar camera and publishes them; a
# client gets every frame, as DmaBufs, at the driver's rate; a file is recorded. cameras.judge.sh
# looks at the files.

. "$LIB"

load vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2 num_inputs=1,1
# How late a client may be says something about how busy the host is, and nothing else, here.
cat >config.toml <<'END'
[defaults]
buffers = 32
credits-max = 16
END
start_bus
start_daemon --config config.toml

devices=$(vsctl devices --cameras)
expect_match devices '^cam0 +camera +/dev/video[0-9]+ +vivid ' "$devices"
expect_match devices '^cam1 +camera +/dev/video[0-9]+ +vivid ' "$devices"

sizes="640x480 1280x720"
# What runs as PID 1 makes no difference to the larger ones.
[ "$INIT" = lean ] || sizes=$(often "$sizes" 640x480)
for size in $sizes; do
    for camera in cam0 cam1; do
        started=$(vsctl start-stream $camera --size $size --rate 30)
        expect_match "$camera" "$camera is running: [A-Z0-9]+ $size at 30 fps, dmabuf" "$started"
        # 5 if not all of them came.
        received=$(vsctl receive $camera --frames 300 --credits 16)
        echo "$received"
        expect_match "frames of $camera" '^frames +300 ' "$received"
        expect_match "loss of $camera" '^lost +0$' "$received"
        # An emulated camera may come too late for some of its own frames; it counts them.
        awk '$1 == "frames" { frames = $2; seconds = $4 } $1 == "gaps" { frames += $2 }
            END { exit !(frames / seconds > 28 && frames / seconds < 32) }' <<<"$received" ||
            fail "$camera does not run at its 30 fps"
        vsctl stop-stream $camera
    done
done

# Small, for an emulated encoder.
for camera in cam0 cam1; do
    vsctl start-stream $camera --size 320x180 --rate 30
    vsctl record $camera "$OUT/$camera.mp4" --duration 5
    vsctl stop-stream $camera
done

stop_daemon
