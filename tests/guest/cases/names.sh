# SPDX-License-Identifier: Apache-2.0
# init: lean
# timeout: 300
#
# Three cameras whose node numbers come in each of their six orders (three in a quick run) keep their names, across
# restarts of the daemon and reloads of the driver. A name of the configuration goes with its
# camera. A state file that is rubbish costs nothing but the memory.

. "$LIB"

# shown: each camera's name, and where its driver says it is.
shown() {
    vsctl devices --cameras -v | awk '
        $2 == "camera" { name = $1 }
        $1 == "bus" && name { sub(",", "", $2); print name, $2; name = "" }' | sort
}

three() {
    load vivid n_devs=3 node_types=0x1,0x1,0x1 num_inputs=1,1,1 "vid_cap_nr=$1"
}

wanted='cam0 platform:vivid-000
cam1 platform:vivid-001
cam2 platform:vivid-002'
echo 'not = toml [' >rubbish
mkdir state
cp rubbish state/devices.toml
start_bus
orders="11,12,13 13,12,11 12,13,11 11,13,12 12,11,13 13,11,12"
for order in $(cut -d' ' -f"1-$(often 6 3)" <<<"$orders"); do
    three $order
    start_daemon
    echo "$order: $(shown | tr '\n' ' ')"
    expect_equal "names with the nodes $order" "$wanted" "$(shown)"
    end_daemon
    modprobe -r vivid
done

# While the daemon runs: the whole driver goes and comes back, with other numbers each time.
start_daemon
expect_equal "names without cameras" "" "$(shown)"
for order in 13,12,11 11,12,13 12,13,11; do
    three $order
    until [ "$(shown)" = "$wanted" ]; do
        [ $SECONDS -lt 280 ] || fail "names with the nodes $order while running: $(shown)"
        sleep 0.2
    done
    modprobe -r vivid
    until [ -z "$(shown)" ]; do sleep 0.2; done
done
end_daemon

# The camera that comes last has the name that the configuration gives it; it is listed while it is away.
cat >config.toml <<'END'
[device.door]
match = { bus = "platform:vivid-002" }
[stream.entrance]
camera = "door"
END
rm -r state
start_daemon --config config.toml
expect_match "the door without a camera" '^door +unknown +absent' "$(vsctl devices)"
refused=0
vsctl start-stream entrance 2>refusal || refused=$?
expect_equal "exit status for a stream whose camera is away" 4 $refused
three 13,12,11
until shown | grep -q '^door'; do sleep 0.2; done
expect_match "the entrance" '^entrance is running' "$(vsctl start-stream entrance --size 320x180)"
expect_equal "names beside the door" 'cam0 platform:vivid-000
cam1 platform:vivid-001
door platform:vivid-002' "$(shown)"
grep -q 'name = "cam1"' state/devices.toml || fail "nothing is remembered: $(cat state/devices.toml)"
stop_daemon
