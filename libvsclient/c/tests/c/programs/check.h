// SPDX-License-Identifier: Apache-2.0
// What the test programs have in common.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vsclient.h>

static const int64_t SECOND = INT64_C(1000000000);
static const int64_t PATIENCE = INT64_C(60000000000);

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: %s does not hold (%s)\n", __FILE__, __LINE__, #condition, vs_last_error());       \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

#define EXPECT(call, wanted)                                                                                          \
    do {                                                                                                              \
        int result_ = (call);                                                                                         \
        if (result_ != (wanted)) {                                                                                    \
            fprintf(stderr, "%s:%d: %s gives %d (%s, %s), not %s\n", __FILE__, __LINE__, #call, result_,              \
                    vs_error_text(result_), vs_last_error(), #wanted);                                                \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

// Waits for what no event tells of.
static inline void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

// A publisher of pictures whose bytes are all the same in each.
static inline vs_publisher *publisher_at(const char *path)
{
    vs_format *format;
    vs_publisher *publisher;
    EXPECT(vs_format_new(VS_FOURCC_GREY, 320, 240, 30, 1, &format), VS_OK);
    EXPECT(vs_publisher_open(path, format, NULL, &publisher), VS_OK);
    vs_format_free(format);
    return publisher;
}

static inline uint64_t publish(vs_publisher *publisher, int shade)
{
    vs_buffer *buffer;
    vs_mutable_plane plane;
    uint64_t serial;
    EXPECT(vs_publisher_buffer(publisher, &buffer), VS_OK);
    EXPECT(vs_buffer_plane(buffer, 0, &plane), VS_OK);
    memset(plane.data, shade, plane.size);
    EXPECT(vs_publisher_publish(publisher, buffer, &serial), VS_OK);
    return serial;
}

static inline vs_frame *next_frame(vs_client *client)
{
    vs_frame *frame;
    EXPECT(vs_client_next_frame(client, PATIENCE, &frame), 1);
    return frame;
}

// Whether all bytes of the first plane are the same.
static inline int is_even(const vs_plane *plane)
{
    for (size_t row = 0; row < plane->rows; row++)
        for (size_t column = 0; column < plane->row_bytes; column++)
            if (plane->data[row * plane->stride + column] != plane->data[0])
                return 0;
    return 1;
}
