// SPDX-License-Identifier: Apache-2.0
// Everything that a program must not do, and may do all the same by mistake: NULL everywhere, numbers
// out of range, objects of the wrong origin. Each is an error with a message. misuse SOCKET

#include "check.h"

#define NULL_IS_AN_ERROR(call) EXPECT(call, VS_ERROR_ARGUMENT)

static void null_pointers(vs_client *client, vs_frame *frame)
{
    vs_client *no_client;
    vs_frame *no_frame;
    vs_plane plane;
    uint64_t number;

    vs_client_close(NULL);
    vs_frame_unref(NULL);
    vs_buffer_free(NULL);
    vs_publisher_close(NULL, NULL);
    vs_encoder_close(NULL);
    vs_decoder_close(NULL);
    vs_control_close(NULL);
    vs_format_free(NULL);
    vs_stream_list_free(NULL);
    vs_device_list_free(NULL);
    vs_client_options_free(NULL);
    vs_publisher_options_free(NULL);
    vs_encoder_options_free(NULL);
    vs_decoder_options_free(NULL);
    vs_control_options_free(NULL);
    CHECK(vs_frame_ref(NULL) == NULL);
    CHECK(!vs_frame_get_info(NULL) && !vs_frame_get_format(NULL) && !vs_client_counters(NULL));
    CHECK(!vs_client_format(NULL) && !vs_client_session(NULL) && !vs_client_path(NULL));
    CHECK(!vs_buffer_get_format(NULL) && !vs_publisher_path(NULL) && !vs_encoder_info(NULL) && !vs_decoder_info(NULL));
    CHECK(vs_stream_list_count(NULL) == 0 && !vs_stream_list_get(NULL, 0) && vs_device_list_count(NULL) == 0);
    CHECK(vs_frame_deadline(NULL) == 0);

    NULL_IS_AN_ERROR(vs_client_open(NULL, NULL, &no_client));
    NULL_IS_AN_ERROR(vs_client_open("cam0", NULL, NULL));
    NULL_IS_AN_ERROR(vs_client_next_frame(NULL, 0, &no_frame));
    CHECK(no_frame == NULL);
    NULL_IS_AN_ERROR(vs_client_next_frame(client, 0, NULL));
    NULL_IS_AN_ERROR(vs_client_newest(client, 0, NULL));
    NULL_IS_AN_ERROR(vs_client_next_event(client, 0, NULL));
    NULL_IS_AN_ERROR(vs_client_fd(NULL));
    NULL_IS_AN_ERROR(vs_client_state(NULL, NULL));
    NULL_IS_AN_ERROR(vs_client_lock(client, NULL, 0, 0));
    NULL_IS_AN_ERROR(vs_client_lock(NULL, frame, 0, 0));
    NULL_IS_AN_ERROR(vs_client_latency(client, 0.5, NULL));
    NULL_IS_AN_ERROR(vs_frame_plane(NULL, 0, &plane));
    NULL_IS_AN_ERROR(vs_frame_plane(frame, 0, NULL));
    NULL_IS_AN_ERROR(vs_frame_payload(frame, NULL, NULL));
    NULL_IS_AN_ERROR(vs_frame_finish(NULL));
    NULL_IS_AN_ERROR(vs_frame_check(NULL));
    NULL_IS_AN_ERROR(vs_frame_memory(frame, 0, NULL));
    NULL_IS_AN_ERROR(vs_frame_memory_count(NULL));
    NULL_IS_AN_ERROR(vs_frame_request_lock(NULL, 0, &number));
    NULL_IS_AN_ERROR(vs_format_new(VS_FOURCC_NV12, 2, 2, 0, 1, NULL));
    NULL_IS_AN_ERROR(vs_publisher_open(NULL, NULL, NULL, NULL));
    NULL_IS_AN_ERROR(vs_publisher_buffer(NULL, NULL));
    NULL_IS_AN_ERROR(vs_publisher_publish(NULL, NULL, NULL));
    NULL_IS_AN_ERROR(vs_publisher_publish_frame(NULL, frame, NULL));
    NULL_IS_AN_ERROR(vs_publisher_get_counters(NULL, NULL));
    NULL_IS_AN_ERROR(vs_buffer_plane(NULL, 0, NULL));
    NULL_IS_AN_ERROR(vs_buffer_set_sequence(NULL, 0));
    NULL_IS_AN_ERROR(vs_buffer_finish(NULL, &no_frame));
    NULL_IS_AN_ERROR(vs_encoder_open(NULL, NULL, NULL));
    NULL_IS_AN_ERROR(vs_encoder_submit(NULL, frame, 0));
    NULL_IS_AN_ERROR(vs_encoder_receive(NULL, 0, NULL));
    NULL_IS_AN_ERROR(vs_decoder_open(NULL, NULL));
    NULL_IS_AN_ERROR(vs_decoder_submit_bytes(NULL, NULL, 3, 0, 0, 0, 0));
    NULL_IS_AN_ERROR(vs_control_open(NULL, NULL));
    NULL_IS_AN_ERROR(vs_control_streams(NULL, NULL));
    NULL_IS_AN_ERROR(vs_control_start_stream(NULL, "cam0", NULL));
    NULL_IS_AN_ERROR(vs_control_record(NULL, "cam0", 0, NULL, &number));
    NULL_IS_AN_ERROR(vs_client_options_set_name(NULL, "x"));
}

static void out_of_range(const char *path, vs_client *client, vs_frame *frame)
{
    vs_format *format;
    vs_publisher *publisher;
    vs_control *control;
    vs_client *other;
    vs_plane plane;
    vs_memory memory;

    vs_client_options *options = vs_client_options_new();
    EXPECT(vs_client_options_set_mode(options, 7), VS_ERROR_ARGUMENT);
    EXPECT(vs_client_options_set_mode(options, -1), VS_ERROR_ARGUMENT);
    EXPECT(vs_client_options_set_lease(options, -1), VS_ERROR_ARGUMENT);
    EXPECT(vs_client_options_set_name(options, "\xff"), VS_ERROR_ARGUMENT);
    vs_client_options_free(options);

    EXPECT(vs_frame_plane(frame, 4, &plane), VS_ERROR_NOT_FOUND);
    EXPECT(vs_frame_memory(frame, UINT32_MAX, &memory), VS_ERROR_NOT_FOUND);
    EXPECT(vs_client_lock(client, frame, 0, -1), VS_ERROR_ARGUMENT);
    EXPECT(vs_client_open("", NULL, &other), VS_ERROR_ARGUMENT);
    EXPECT(vs_client_open("/nowhere/at/all", NULL, &other), VS_ERROR_NOT_FOUND);
    CHECK(strstr(vs_last_error(), "/nowhere/at/all"));
    EXPECT(vs_control_open("nonsense", &control), VS_ERROR_ARGUMENT);
    EXPECT(vs_publisher_open(path, NULL, NULL, &publisher), VS_ERROR_BUSY);

    EXPECT(vs_format_new(VS_FOURCC_NV12, 0, 240, 30, 1, &format), VS_ERROR_FORMAT);
    EXPECT(vs_format_new(VS_FOURCC('?', '?', '?', '?'), 320, 240, 30, 1, &format), VS_ERROR_FORMAT);
    EXPECT(vs_format_new(VS_FOURCC_NV12, 320, 240, 30, 0, &format), VS_ERROR_FORMAT);
    EXPECT(vs_format_new(VS_FOURCC_NV12, 320, 240, 30, 1, &format), VS_OK);
    EXPECT(vs_format_set_stride(format, 319), VS_ERROR_FORMAT);
    EXPECT(vs_format_set_stride(format, 384), VS_OK);
    CHECK(format->planes[0].stride == 384 && format->planes[1].offset == 384 * 240);
    format->plane_count = 9;
    EXPECT(vs_publisher_set_format(NULL, format), VS_ERROR_ARGUMENT);
    EXPECT(vs_publisher_open("/tmp/never", format, NULL, &publisher), VS_ERROR_FORMAT);
    format->plane_count = 2;
    format->planes[1].stride = 7;
    EXPECT(vs_publisher_open("/tmp/never", format, NULL, &publisher), VS_ERROR_FORMAT);
    vs_format_free(format);
}

// A frame of the program's own has no lease, and never ends.
static void own_frame(vs_publisher *publisher, vs_client *client)
{
    vs_buffer *buffer;
    vs_mutable_plane room;
    vs_plane plane;
    vs_frame *frame;
    uint64_t first, second;
    EXPECT(vs_publisher_buffer(publisher, &buffer), VS_OK);
    EXPECT(vs_buffer_plane(buffer, 1, &room), VS_ERROR_NOT_FOUND);
    EXPECT(vs_buffer_plane(buffer, 0, &room), VS_OK);
    memset(room.data, 9, room.size);
    EXPECT(vs_buffer_set_times(buffer, -5, VS_NO_TIME, 40), VS_OK);
    EXPECT(vs_buffer_finish(buffer, &frame), VS_OK);
    CHECK(vs_frame_deadline(frame) == UINT64_MAX && vs_frame_get_info(frame)->pts == -5);
    CHECK(vs_frame_get_info(frame)->dts == VS_NO_TIME && vs_frame_get_info(frame)->duration == 40);
    EXPECT(vs_client_lock(client, frame, 0, SECOND), VS_ERROR_ARGUMENT);
    EXPECT(vs_frame_request_lock(frame, 0, NULL), VS_ERROR_ARGUMENT);
    EXPECT(vs_frame_plane(frame, 0, &plane), VS_OK);
    CHECK(is_even(&plane) && plane.data[0] == 9);
    EXPECT(vs_publisher_publish_frame(publisher, frame, &first), VS_OK);
    EXPECT(vs_publisher_publish_frame(publisher, frame, &second), VS_OK);
    CHECK(second == first + 1);
    EXPECT(vs_frame_finish(frame), VS_OK);
    vs_frame_unref(frame);
    EXPECT(vs_publisher_set_state(publisher, 99, NULL), VS_ERROR_ARGUMENT);
    EXPECT(vs_publisher_set_state(publisher, VS_STREAM_STATE_STOPPED, "a break"), VS_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    CHECK(strcmp(vs_version(), VSCLIENT_VERSION) == 0 && vs_last_error()[0] == '\0');
    vs_publisher *publisher = publisher_at(argv[1]);
    vs_client *client;
    vs_client_options *options = vs_client_options_new();
    EXPECT(vs_client_options_set_lease(options, 10 * SECOND), VS_OK); // valgrind takes its time
    EXPECT(vs_client_open(argv[1], options, &client), VS_OK);
    vs_client_options_free(options);
    uint64_t serial = publish(publisher, 1);
    vs_frame *frame = next_frame(client);
    CHECK(vs_frame_get_info(frame)->serial == serial && vs_frame_get_format(frame) == vs_client_format(client));
    CHECK(vs_client_session(client)->credits > 0 && strstr(argv[1], vs_client_session(client)->stream));
    null_pointers(client, frame);
    out_of_range(argv[1], client, frame);
    own_frame(publisher, client);
    vs_frame_unref(frame);
    vs_client_close(client);
    vs_publisher_close(publisher, NULL);
    return 0;
}
