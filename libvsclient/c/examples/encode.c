// SPDX-License-Identifier: Apache-2.0
// Encodes a stream's pictures by the daemon into a bare H.264 file, without copying one:
// encode STREAM FILE [FRAMES] [BITRATE]

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vsclient.h>

static const int64_t PATIENCE = INT64_C(10000000000); // ns
static const int64_t TURN = INT64_C(5000000);         // how long to wait for a picture before listening to the encoder

// Writes what has come out: 1 if it was the end, 0 if there is no more at present.
static int write_outputs(vs_encoder *encoder, int64_t timeout, FILE *file)
{
    const vs_output *output;
    int result;
    while ((result = vs_encoder_receive(encoder, timeout, &output)) > 0) {
        const uint8_t *data;
        size_t size;
        switch (output->kind) {
        case VS_OUTPUT_TYPE_DONE:
            if ((result = vs_frame_payload(output->frame, &data, &size)) < 0)
                return result;
            fwrite(data, 1, size, file);
            if ((result = vs_frame_finish(output->frame)) < 0)
                return result;
            break;
        case VS_OUTPUT_TYPE_LOST:
            fprintf(stderr, "picture %" PRIu64 " is lost: %s\n", output->tag, output->text);
            break;
        case VS_OUTPUT_TYPE_DRAINED:
            return 1;
        default:
            break;
        }
    }
    return result;
}

// The next picture. Meanwhile the encoder is listened to: the stream gives no further picture to who
// holds as many as it may, and those that were submitted are held until the session brings them back.
static int next(vs_client *client, vs_encoder *encoder, FILE *file, vs_frame **frame)
{
    int result = 0;
    for (int64_t waited = 0; result == 0 && waited < PATIENCE; waited += TURN) {
        if (encoder && (result = write_outputs(encoder, 0, file)) < 0)
            return result;
        result = vs_client_next_frame(client, TURN, frame);
    }
    return result == 0 ? VS_ERROR_TIMEOUT : result;
}

static int encode(vs_client *client, FILE *file, uint64_t frames, uint64_t bitrate)
{
    vs_encoder *encoder = NULL;
    int result = VS_OK;
    for (uint64_t number = 0; number < frames && result >= 0; number++) {
        vs_frame *frame = NULL;
        result = next(client, encoder, file, &frame);
        if (result > 0 && !encoder) {
            vs_encoder_options *options = vs_encoder_options_new();
            vs_encoder_options_set_bitrate(options, bitrate);
            result = vs_encoder_open(vs_frame_get_format(frame), options, &encoder);
            vs_encoder_options_free(options);
            if (result == VS_OK)
                printf("%s (%s)\n", vs_encoder_info(encoder)->name, vs_encoder_info(encoder)->backend);
        }
        // The daemon reads the picture where the camera has put it; the lease lasts until then.
        if (result >= 0)
            result = vs_encoder_submit(encoder, frame, number);
        vs_frame_unref(frame);
    }
    if (result >= 0 && (result = vs_encoder_drain(encoder)) == VS_OK)
        result = write_outputs(encoder, VS_FOREVER, file);
    vs_encoder_close(encoder);
    return result;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s STREAM FILE [FRAMES] [BITRATE]\n", argv[0]);
        return 2;
    }
    uint64_t frames = argc > 3 ? strtoull(argv[3], NULL, 10) : 300;
    uint64_t bitrate = argc > 4 ? strtoull(argv[4], NULL, 10) : 2000000;
    FILE *file = fopen(argv[2], "wb");
    if (!file) {
        perror(argv[2]);
        return 1;
    }
    vs_client *client;
    int result = vs_client_open(argv[1], NULL, &client);
    if (result == VS_OK)
        result = encode(client, file, frames, bitrate);
    if (result < 0)
        fprintf(stderr, "%s: %s (%s)\n", argv[0], vs_error_text(result), vs_last_error());
    vs_client_close(client);
    return fclose(file) != 0 || result < 0;
}
