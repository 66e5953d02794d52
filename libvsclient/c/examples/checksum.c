// SPDX-License-Identifier: Apache-2.0
// The consumer of the benchmark: checksum STREAM FRAMES [WARM-UP]
//
// Receives so many frames after some others, adds up the bytes of the middle row of each, and prints one
// line of JSON: the time it took, the latency from publication to receipt, processor time, and what was
// missed. `make bench` compares it with the same program in Rust and in Python.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vsclient.h>

static const int64_t PATIENCE = INT64_C(10000000000); // ns
static const uint16_t CREDITS = 4;

// What this process has used.
static uint64_t processor_time_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int add_middle_row(vs_frame *frame, uint64_t *sum)
{
    vs_plane plane;
    int result = vs_frame_plane(frame, 0, &plane);
    if (result < 0)
        return result;
    const uint8_t *row = plane.data + plane.rows / 2 * plane.stride;
    uint64_t added = 0;
    for (size_t column = 0; column < plane.row_bytes; column++)
        added += row[column];
    if ((result = vs_frame_finish(frame)) == VS_OK)
        *sum += added;
    return result;
}

static int next(vs_client *client, vs_frame **frame)
{
    int result = vs_client_next_frame(client, PATIENCE, frame);
    if (result == 0)
        fprintf(stderr, "the stream has no more frames\n");
    if (result < 0)
        fprintf(stderr, "%s\n", vs_last_error());
    return result;
}

// 0, or an exit status.
static int measure(vs_client *client, uint64_t frames, uint64_t warm_up, uint64_t *latencies)
{
    vs_frame *frame;
    for (uint64_t number = 0; number < warm_up; number++) {
        if (next(client, &frame) <= 0)
            return 1;
        vs_frame_unref(frame);
    }
    uint64_t torn = 0, sum = 0, lost = vs_client_counters(client)->lost;
    uint64_t cpu = processor_time_ns(), begun = vs_monotonic_ns();
    for (uint64_t number = 0; number < frames; number++) {
        if (next(client, &frame) <= 0)
            return 1;
        const vs_frame_info *info = vs_frame_get_info(frame);
        latencies[number] = info->received_ns - info->publish_ns;
        int result = add_middle_row(frame, &sum);
        vs_frame_unref(frame);
        if (result == VS_ERROR_REVOKED || result == VS_ERROR_EXPIRED) {
            torn++;
        } else if (result < 0) {
            fprintf(stderr, "%s\n", vs_last_error());
            return 1;
        }
    }
    double seconds = (double)(vs_monotonic_ns() - begun) / 1e9;
    cpu = processor_time_ns() - cpu;
    qsort(latencies, frames, sizeof *latencies, compare);
    printf("{\"language\": \"c\", \"frames\": %" PRIu64 ", \"seconds\": %.6f, \"frames_per_second\": %.1f, "
           "\"latency_p50_ns\": %" PRIu64 ", \"latency_p99_ns\": %" PRIu64 ", \"cpu_ns_per_frame\": %" PRIu64 ", "
           "\"checksum\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"torn\": %" PRIu64 "}\n",
           frames, seconds, (double)frames / seconds, latencies[frames / 2], latencies[frames * 99 / 100], cpu / frames,
           sum, vs_client_counters(client)->lost - lost, torn);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t frames = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t warm_up = argc > 3 ? strtoull(argv[3], NULL, 10) : 100;
    uint64_t *latencies = calloc(frames, sizeof *latencies);
    if (frames == 0 || latencies == NULL) {
        fprintf(stderr, "usage: %s STREAM FRAMES [WARM-UP]\n", argv[0]);
        return 2;
    }
    vs_client_options *options = vs_client_options_new();
    vs_client_options_set_credits(options, CREDITS);
    vs_client *client;
    int status = 1;
    if (vs_client_open(argv[1], options, &client) < 0) {
        fprintf(stderr, "%s\n", vs_last_error());
    } else {
        status = measure(client, frames, warm_up, latencies);
        vs_client_close(client);
    }
    vs_client_options_free(options);
    free(latencies);
    return status;
}
