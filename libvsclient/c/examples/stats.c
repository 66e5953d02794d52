// SPDX-License-Identifier: Apache-2.0
// Shows what happens to a stream: stats STREAM [FRAMES]
//
// One line for each event, and at the end what came and what did not.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vsclient.h>

static void show(const vs_event *event)
{
    static const char *const states[] = {"waiting", "running", "stopped", "failed"};

    switch (event->kind) {
    case VS_EVENT_TYPE_CONNECTED:
        puts(event->epoch_changed ? "connected to a host that has started anew" : "connected");
        break;
    case VS_EVENT_TYPE_STATE:
        printf("%s %s\n", states[event->state], event->text);
        break;
    case VS_EVENT_TYPE_FORMAT:
        printf("format %.4s %" PRIu32 "x%" PRIu32 "\n", (const char *)&event->format->fourcc,
               event->format->width, event->format->height);
        break;
    case VS_EVENT_TYPE_FRAME: {
        const vs_frame_info *info = vs_frame_get_info(event->frame);
        printf("frame %" PRIu64 ", captured %" PRIu64 " us ago, skipped until now: %" PRIu64 "\n",
               info->serial, (vs_monotonic_ns() - info->capture_ns) / 1000, info->skipped);
        break;
    }
    case VS_EVENT_TYPE_REVOKED:
        printf("frame %" PRIu64 " was taken back\n", event->serial);
        break;
    case VS_EVENT_TYPE_DISCONNECTED:
    case VS_EVENT_TYPE_RETRY_FAILED:
        printf("%s; next attempt in %" PRIu64 " ms\n", event->text, event->retry_in_ns / 1000000);
        break;
    default:
        break; // of a later version
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s STREAM [FRAMES]\n", argv[0]);
        return 2;
    }
    uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
    vs_client *client;
    int result = vs_client_open(argv[1], NULL, &client);
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], vs_last_error());
        return 1;
    }
    const vs_event *event;
    while (vs_client_counters(client)->received < wanted
           && (result = vs_client_next_event(client, VS_FOREVER, &event)) > 0)
        show(event);
    if (result < 0)
        fprintf(stderr, "%s: %s\n", argv[0], vs_last_error());

    const vs_counters *counters = vs_client_counters(client);
    uint64_t latency = 0;
    vs_client_latency(client, 0.5, &latency);
    printf("received %" PRIu64 ", lost %" PRIu64 ", skipped %" PRIu64 ", revoked %" PRIu64 ", median latency %" PRIu64
           " us\n",
           counters->received, counters->lost, counters->skipped_total, counters->revoked, latency / 1000);
    vs_client_close(client);
    return result < 0;
}
