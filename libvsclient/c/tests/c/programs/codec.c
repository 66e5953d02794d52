// SPDX-License-Identifier: Apache-2.0
// Pictures of the program's own through an encoder and back through a decoder, event loops' way and the
// blocking way. codec

#include "check.h"
#include <poll.h>

enum { PICTURES = 20 };

int main(void)
{
    vs_format *format;
    vs_encoder *encoder;
    vs_decoder *decoder;
    const vs_output *output;
    EXPECT(vs_format_new(VS_FOURCC_NV12, 320, 240, 30, 1, &format), VS_OK);
    vs_encoder_options *options = vs_encoder_options_new();
    EXPECT(vs_encoder_options_set_constant_bitrate(options, 500000), VS_OK);
    EXPECT(vs_encoder_options_set_keyframe_interval(options, SECOND), VS_OK);
    EXPECT(vs_encoder_options_set_quality(options, 101), VS_ERROR_ARGUMENT);
    EXPECT(vs_encoder_options_set_backend(options, "software"), VS_OK);
    EXPECT(vs_encoder_open(format, options, &encoder), VS_OK);
    vs_encoder_options_free(options);
    vs_format_free(format);
    CHECK(strcmp(vs_encoder_info(encoder)->backend, "software") == 0 && vs_encoder_credit(encoder) > 0);
    EXPECT(vs_decoder_open(NULL, &decoder), VS_OK);
    EXPECT(vs_decoder_receive(decoder, 0, &output), 0);
    CHECK(output == NULL);

    int submitted = 0, coded = 0, decoded = 0, drained = 0;
    while (!drained) {
        if (submitted < PICTURES) {
            vs_buffer *buffer;
            vs_mutable_plane plane;
            vs_frame *frame;
            EXPECT(vs_encoder_buffer(encoder, &buffer), VS_OK);
            for (uint32_t index = 0; vs_buffer_plane(buffer, index, &plane) == VS_OK; index++)
                memset(plane.data, index ? 128 : 40 + submitted * 5, plane.size);
            EXPECT(vs_buffer_set_times(buffer, submitted * SECOND / 30, VS_NO_TIME, SECOND / 30), VS_OK);
            EXPECT(vs_buffer_finish(buffer, &frame), VS_OK);
            EXPECT(vs_encoder_submit(encoder, frame, 1000 + (uint64_t)submitted++), VS_OK);
            vs_frame_unref(frame);
            if (submitted == PICTURES)
                EXPECT(vs_encoder_drain(encoder), VS_OK);
        } else {
            struct pollfd wait = {.fd = vs_encoder_fd(encoder), .events = POLLIN};
            if (vs_encoder_wants_write(encoder))
                wait.events |= POLLOUT;
            CHECK(poll(&wait, 1, 60000) == 1);
        }
        int result;
        while (!drained && (result = vs_encoder_receive(encoder, 0, &output)) > 0) {
            if (output->kind == VS_OUTPUT_TYPE_DRAINED) {
                drained = 1;
            } else {
                CHECK(output->kind == VS_OUTPUT_TYPE_DONE && output->tag == 1000 + (uint64_t)coded++);
                CHECK(vs_frame_get_format(output->frame)->coded);
                const uint8_t *data;
                size_t size;
                EXPECT(vs_frame_payload(output->frame, &data, &size), VS_OK);
                CHECK(size > 4);
                // One as the frame that it is, the others copied: the decoder would hold so many that the
                // encoder has none left.
                int64_t pts = vs_frame_get_info(output->frame)->pts;
                uint32_t flags = vs_frame_get_info(output->frame)->flags;
                if (coded == 1)
                    EXPECT(vs_decoder_submit(decoder, output->frame, output->tag), VS_OK);
                else
                    EXPECT(vs_decoder_submit_bytes(decoder, data, size, pts, VS_NO_TIME, flags, output->tag), VS_OK);
                EXPECT(vs_frame_finish(output->frame), VS_OK);
            }
            const vs_output *picture;
            while (vs_decoder_receive(decoder, 0, &picture) > 0)
                decoded += picture->kind == VS_OUTPUT_TYPE_DONE;
        }
        CHECK(drained || result == 0);
    }
    CHECK(coded == PICTURES);
    EXPECT(vs_decoder_drain(decoder), VS_OK);
    for (drained = 0; !drained;) {
        EXPECT(vs_decoder_receive(decoder, PATIENCE, &output), 1);
        if (output->kind == VS_OUTPUT_TYPE_DRAINED) {
            drained = 1;
        } else {
            EXPECT(output->kind, VS_OUTPUT_TYPE_DONE);
            vs_plane plane;
            EXPECT(vs_frame_plane(output->frame, 0, &plane), VS_OK);
            int shade = 40 + decoded * 5, seen = plane.data[plane.stride * (plane.rows / 2) + plane.row_bytes / 2];
            CHECK(abs(shade - seen) < 12 && output->tag == 1000 + (uint64_t)decoded);
            CHECK(vs_frame_get_info(output->frame)->pts == decoded * SECOND / 30);
            EXPECT(vs_frame_finish(output->frame), VS_OK);
            decoded++;
        }
    }
    CHECK(decoded == PICTURES);
    vs_encoder_close(encoder);
    vs_decoder_close(decoder);
    return 0;
}
