// SPDX-License-Identifier: Apache-2.0
// Lists what the daemon has, and records some seconds of a stream: control [STREAM FILE SECONDS]

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vsclient.h>

static int list(vs_control *control)
{
    vs_stream_list *streams;
    vs_device_list *devices;
    int result = vs_control_streams(control, &streams);
    if (result < 0)
        return result;
    for (size_t index = 0; index < vs_stream_list_count(streams); index++) {
        const vs_stream_info *stream = vs_stream_list_get(streams, index);
        printf("stream %s: %s, %s %ux%u, %" PRIu32 " clients\n", stream->name, stream->state, stream->fourcc,
               stream->width, stream->height, stream->clients);
    }
    vs_stream_list_free(streams);

    if ((result = vs_control_devices(control, &devices)) < 0)
        return result;
    for (size_t index = 0; index < vs_device_list_count(devices); index++) {
        const vs_device_info *device = vs_device_list_get(devices, index);
        printf("%s %s: %s %s\n", device->kind, device->name, device->card, device->problem);
    }
    vs_device_list_free(devices);
    return VS_OK;
}

static int record(vs_control *control, const char *stream, const char *path, double seconds)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) {
        perror(path);
        return VS_ERROR_SYSTEM;
    }
    uint64_t recording;
    vs_recording_result end;
    vs_control_options *options = vs_control_options_new();
    vs_control_options_set_text(options, "title", path);
    vs_control_options_set_number(options, "duration", (uint64_t)(seconds * 1e9));
    int result = vs_control_record(control, stream, file, options, &recording);
    vs_control_options_free(options);
    close(file); // the daemon has its own now
    if (result == VS_OK)
        result = vs_control_wait_recording(control, recording, &end);
    if (result == VS_OK)
        printf("recorded %" PRIu64 " frames, %" PRIu64 " bytes\n", end.frames, end.bytes);
    return result;
}

int main(int argc, char **argv)
{
    vs_control *control;
    int result = vs_control_open(NULL, &control);
    if (result == VS_OK)
        result = list(control);
    if (result == VS_OK && argc == 4)
        result = record(control, argv[1], argv[2], strtod(argv[3], NULL));
    if (result < 0)
        fprintf(stderr, "%s: %s (%s)\n", argv[0], vs_error_text(result), vs_last_error());
    vs_control_close(control);
    return result < 0;
}
