// SPDX-License-Identifier: Apache-2.0
// Frames that have ended, in each way: every function says so, and none crashes. ended SOCKET

#include "check.h"

static vs_client *client_of(const char *path, int mode, int64_t lease_ns)
{
    vs_client *client;
    vs_client_options *options = vs_client_options_new();
    EXPECT(vs_client_options_set_mode(options, mode), VS_OK);
    if (lease_ns > 0)
        EXPECT(vs_client_options_set_lease(options, lease_ns), VS_OK);
    EXPECT(vs_client_open(path, options, &client), VS_OK);
    vs_client_options_free(options);
    return client;
}

// Publishes a frame, receives it and begins to read it; again if its time has passed before that, for under
// valgrind on a busy machine everything takes long.
static vs_frame *read_frame(vs_publisher *publisher, vs_client *client, int shade)
{
    for (;;) {
        vs_plane plane;
        publish(publisher, shade);
        vs_frame *frame = next_frame(client);
        if (vs_frame_plane(frame, 0, &plane) == VS_OK) {
            CHECK(is_even(&plane));
            return frame;
        }
        vs_frame_unref(frame);
    }
}

// A frame that may not be read: whatever one does with it.
static void is_dead(vs_frame *frame, int error)
{
    vs_plane plane;
    vs_memory memory;
    const uint8_t *data;
    size_t size;
    EXPECT(vs_frame_check(frame), error);
    EXPECT(vs_frame_plane(frame, 0, &plane), error);
    EXPECT(vs_frame_payload(frame, &data, &size), error);
    EXPECT(vs_frame_memory(frame, 0, &memory), error);
    EXPECT(vs_frame_finish(frame), error);
    CHECK(vs_frame_get_info(frame)->serial > 0 && vs_frame_get_format(frame)->width == 320);
    CHECK(strlen(vs_last_error()) > 10);
}

static void revoked(vs_publisher *publisher, const char *path)
{
    vs_client *client = client_of(path, VS_MODE_LEASED, SECOND / 20);
    vs_frame *frame = read_frame(publisher, client, 1);
    const vs_event *event;
    do
        EXPECT(vs_client_next_event(client, PATIENCE, &event), 1);
    while (event->kind != VS_EVENT_TYPE_REVOKED || event->serial != vs_frame_get_info(frame)->serial);
    EXPECT(event->reason, VS_REVOKE_REASON_DEADLINE);
    // Reading was under way: what was read is not vouched for.
    EXPECT(vs_frame_finish(frame), VS_ERROR_REVOKED);
    is_dead(frame, VS_ERROR_REVOKED);
    CHECK(vs_client_counters(client)->revoked >= 1);
    vs_frame_unref(frame);
    vs_client_close(client);
}

static void expired(vs_publisher *publisher, const char *path)
{
    vs_client *client = client_of(path, VS_MODE_NOTIFY, 0);
    vs_frame *frame = read_frame(publisher, client, 2);
    while (vs_frame_check(frame) == VS_OK)
        pause_shortly();
    EXPECT(vs_frame_finish(frame), VS_ERROR_EXPIRED);
    is_dead(frame, VS_ERROR_EXPIRED);
    CHECK(vs_frame_deadline(frame) <= vs_monotonic_ns());
    vs_frame_unref(frame);

    // One that is locked in time stays.
    int result;
    while (frame = read_frame(publisher, client, 3), result = vs_client_lock(client, frame, 5 * SECOND, PATIENCE),
           result == VS_ERROR_EXPIRED)
        vs_frame_unref(frame);
    EXPECT(result, VS_OK);
    vs_plane plane;
    EXPECT(vs_frame_finish(frame), VS_OK);
    EXPECT(vs_frame_plane(frame, 0, &plane), VS_OK);
    EXPECT(vs_frame_finish(frame), VS_OK);
    // Asking without waiting is answered by an event.
    uint64_t request;
    const vs_event *event;
    EXPECT(vs_frame_request_lock(frame, 8 * SECOND, &request), VS_OK);
    do
        EXPECT(vs_client_next_event(client, PATIENCE, &event), 1);
    while (event->kind != VS_EVENT_TYPE_LOCKED);
    CHECK(event->request == request && event->reason == VS_OK && event->deadline_ns == vs_frame_deadline(frame));
    vs_frame_unref(frame);
    vs_client_close(client);
}

static void disconnected(vs_publisher *publisher, const char *path)
{
    vs_client *client = client_of(path, VS_MODE_LEASED, 10 * SECOND), *other = client_of(path, VS_MODE_LEASED, 10 * SECOND);
    vs_frame *frame = read_frame(publisher, client, 4), *orphan = read_frame(publisher, other, 5);
    vs_client_close(other);
    EXPECT(vs_frame_finish(orphan), VS_ERROR_DISCONNECTED);
    is_dead(orphan, VS_ERROR_DISCONNECTED);

    // The host goes while a frame is being read, and nobody has told the client yet.
    vs_publisher_close(publisher, "on purpose");
    EXPECT(vs_frame_finish(frame), VS_ERROR_DISCONNECTED);
    const vs_event *event;
    do
        EXPECT(vs_client_next_event(client, PATIENCE, &event), 1);
    while (event->kind != VS_EVENT_TYPE_DISCONNECTED);
    CHECK(strstr(event->text, "on purpose") && event->retry_in_ns > 0);
    is_dead(frame, VS_ERROR_DISCONNECTED);
    CHECK(vs_client_is_connected(client) == 0 && vs_client_session(client) == NULL);
    const char *why;
    EXPECT(vs_client_state(client, &why), VS_STREAM_STATE_WAITING);
    CHECK(strstr(why, "on purpose"));
    EXPECT(vs_client_lock(client, frame, 0, SECOND), VS_ERROR_DISCONNECTED);
    vs_frame_unref(frame);
    vs_frame_unref(orphan);
    vs_client_close(client);
}

// Without reconnecting, the end of the host is the end of the client.
static void ended(const char *path)
{
    vs_publisher *publisher = publisher_at(path);
    vs_client *client;
    vs_client_options *options = vs_client_options_new();
    EXPECT(vs_client_options_set_reconnect(options, -1, 0), VS_OK);
    EXPECT(vs_client_open(path, options, &client), VS_OK);
    vs_client_options_free(options);
    vs_publisher_close(publisher, NULL);
    vs_frame *frame;
    CHECK(vs_client_next_frame(client, PATIENCE, &frame) < 0 && frame == NULL);
    EXPECT(vs_client_next_frame(client, PATIENCE, &frame), VS_ERROR_ENDED);
    vs_client_close(client);
    EXPECT(vs_client_open(path, NULL, &client), VS_ERROR_NOT_FOUND);
    CHECK(client == NULL);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    vs_publisher *publisher = publisher_at(argv[1]);
    revoked(publisher, argv[1]);
    expired(publisher, argv[1]);
    disconnected(publisher, argv[1]);
    ended(argv[1]);
    return 0;
}
