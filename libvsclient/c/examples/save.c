// SPDX-License-Identifier: Apache-2.0
// Saves one frame: save STREAM FILE
//
// 24-bit RGB becomes a PPM, GREY and the luma of NV12 and YU12 a PGM; of anything else the bytes are
// written, plane after plane, row after row, without padding.

#include <stdio.h>
#include <vsclient.h>

static const int64_t PATIENCE = INT64_C(10000000000); // ns

// Writes the rows of a plane without their padding.
static int write_plane(vs_frame *frame, uint32_t index, FILE *file)
{
    vs_plane plane;
    int result = vs_frame_plane(frame, index, &plane);
    if (result < 0)
        return result;
    for (size_t row = 0; row < plane.rows; row++)
        fwrite(plane.data + row * plane.stride, 1, plane.row_bytes, file);
    return VS_OK;
}

static int write_frame(vs_frame *frame, FILE *file)
{
    const vs_format *format = vs_frame_get_format(frame);
    uint32_t planes = format->plane_count;
    switch (format->fourcc) {
    case VS_FOURCC_RGB24:
        fprintf(file, "P6\n%u %u\n255\n", format->width, format->height);
        break;
    case VS_FOURCC_GREY:
    case VS_FOURCC_NV12:
    case VS_FOURCC_YUV420:
        fprintf(file, "P5\n%u %u\n255\n", format->width, format->height);
        planes = 1;
        break;
    default:
        break;
    }
    for (uint32_t index = 0; index < planes; index++) {
        int result = write_plane(frame, index, file);
        if (result < 0)
            return result;
    }
    // Only now it is known that no other picture came in between.
    return vs_frame_finish(frame);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s STREAM FILE\n", argv[0]);
        return 2;
    }
    vs_client *client = NULL;
    vs_frame *frame = NULL;
    FILE *file = fopen(argv[2], "wb");
    if (!file) {
        perror(argv[2]);
        return 1;
    }
    int result = vs_client_open(argv[1], NULL, &client);
    if (result == VS_OK)
        result = vs_client_next_frame(client, PATIENCE, &frame);
    if (result > 0)
        result = write_frame(frame, file);
    else if (result == 0)
        result = VS_ERROR_TIMEOUT;
    if (result < 0)
        fprintf(stderr, "%s: %s (%s)\n", argv[0], vs_error_text(result), vs_last_error());
    vs_frame_unref(frame);
    vs_client_close(client);
    return fclose(file) != 0 || result < 0;
}
