// SPDX-License-Identifier: Apache-2.0
// Publishes a grey that breathes: publish STREAM [FRAMES]
//
// Look at it with `stats`, or give it to videostreamd as a stream with `ipc = "/tmp/breath"`.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vsclient.h>

enum { FPS = 30, WIDTH = 320, HEIGHT = 240 };

static int paint(vs_buffer *buffer, uint64_t number)
{
    vs_mutable_plane luma, chroma;
    int result = vs_buffer_plane(buffer, 0, &luma);
    if (result == VS_OK)
        result = vs_buffer_plane(buffer, 1, &chroma);
    if (result < 0)
        return result;
    int phase = (int)(number * 4 % 440);
    memset(luma.data, 16 + (phase < 220 ? phase : 440 - phase), luma.size);
    memset(chroma.data, 128, chroma.size);
    vs_buffer_set_sequence(buffer, (uint32_t)number);
    vs_buffer_set_capture_time(buffer, vs_monotonic_ns());
    return VS_OK;
}

static int publish(vs_publisher *publisher, uint64_t frames)
{
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (uint64_t number = 0; number < frames; number++) {
        vs_buffer *buffer;
        int result = vs_publisher_buffer(publisher, &buffer);
        if (result < 0)
            return result;
        if ((result = paint(buffer, number)) < 0) {
            vs_buffer_free(buffer);
            return result;
        }
        if ((result = vs_publisher_publish(publisher, buffer, NULL)) < 0)
            return result;
        due.tv_nsec += 1000000000 / FPS;
        if (due.tv_nsec >= 1000000000) {
            due.tv_nsec -= 1000000000;
            due.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    return VS_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s STREAM [FRAMES]\n", argv[0]);
        return 2;
    }
    uint64_t frames = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX;
    vs_format *format = NULL;
    vs_publisher *publisher = NULL;
    int result = vs_format_new(VS_FOURCC_NV12, WIDTH, HEIGHT, FPS, 1, &format);
    if (result == VS_OK)
        result = vs_publisher_open(argv[1], format, NULL, &publisher);
    vs_format_free(format);
    if (result == VS_OK) {
        printf("publishing at %s\n", vs_publisher_path(publisher));
        fflush(stdout);
        result = publish(publisher, frames);
    }
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], vs_last_error());
    } else {
        vs_publisher_counters counters;
        vs_publisher_get_counters(publisher, &counters);
        printf("published %" PRIu64 ", delivered %" PRIu64 "\n", counters.published, counters.delivered);
    }
    vs_publisher_close(publisher, "that was all");
    return result < 0;
}
