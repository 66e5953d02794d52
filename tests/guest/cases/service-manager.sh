# SPDX-License-Identifier: Apache-2.0
# init: systemd
# timeout: 60
#
# systemd is up, nothing in the image failed, and the journal takes and gives entries.

. "$LIB"

expect_equal "failed units" '' "$(systemctl --failed --plain --no-legend)"
expect_equal "a unit of type notify" success \
    "$(systemd-run --quiet --wait --collect -p Type=notify -p NotifyAccess=all \
        sh -c 'systemd-notify --ready; exec logger written-by-the-case' && echo success)"
journalctl --sync
expect_match journal 'written-by-the-case' "$(journalctl --boot --no-pager)"
