// SPDX-License-Identifier: Apache-2.0
// How fast frames come through the C library: checksum STREAM FRAMES
//
// Receives so many frames, reads one row of each, and prints one line of JSON: what it took per frame, the
// latency from publication to receipt, and what was missed.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vsclient.h>

static const int64_t PATIENCE = INT64_C(10000000000); // ns

// Adds up the row of the first plane that is `number`th, in turn.
static int add_row(vs_frame *frame, uint64_t number, uint64_t *sum)
{
    vs_plane plane;
    int result = vs_frame_plane(frame, 0, &plane);
    if (result < 0)
        return result;
    const uint8_t *row = plane.data + number % plane.rows * plane.stride;
    uint64_t added = 0;
    for (size_t column = 0; column < plane.row_bytes; column++)
        added += row[column];
    if ((result = vs_frame_finish(frame)) == VS_OK)
        *sum += added;
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s STREAM FRAMES\n", argv[0]);
        return 2;
    }
    uint64_t frames = strtoull(argv[2], NULL, 10), number = 0, torn = 0, sum = 0, begun = 0;
    vs_client *client;
    int result = vs_client_open(argv[1], NULL, &client);
    while (result >= 0 && number < frames) {
        vs_frame *frame;
        if ((result = vs_client_next_frame(client, PATIENCE, &frame)) <= 0)
            break;
        // The first frame may have waited for us.
        if (number == 0)
            begun = vs_monotonic_ns();
        result = add_row(frame, number++, &sum);
        if (result == VS_ERROR_REVOKED || result == VS_ERROR_EXPIRED) {
            torn++;
            result = VS_OK;
        }
        vs_frame_unref(frame);
    }
    if (result < 0 || number < frames) {
        fprintf(stderr, "%s: %s\n", argv[0], result < 0 ? vs_last_error() : "the stream has no more frames");
        vs_client_close(client);
        return 1;
    }
    double seconds = (double)(vs_monotonic_ns() - begun) / 1e9;
    uint64_t p50 = 0, p99 = 0;
    vs_client_latency(client, 0.5, &p50);
    vs_client_latency(client, 0.99, &p99);
    printf("{\"frames\":%" PRIu64 ",\"seconds\":%.6f,\"fps\":%.1f,\"latency_p50_ns\":%" PRIu64
           ",\"latency_p99_ns\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"torn\":%" PRIu64 ",\"checksum\":%" PRIu64 "}\n",
           number, seconds, (double)(number - 1) / seconds, p50, p99, vs_client_counters(client)->lost, torn, sum);
    vs_client_close(client);
    return 0;
}
