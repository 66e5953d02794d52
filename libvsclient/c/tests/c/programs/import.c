// SPDX-License-Identifier: Apache-2.0
// Memory of the program's own, published without a copy and filled again when its last reader is done.
// import SOCKET

#include "check.h"
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WIDTH = 320, HEIGHT = 240 };

static int may_write(vs_import *memory, int timeout_ms)
{
    struct pollfd wait = {.fd = vs_import_fd(memory), .events = POLLIN};
    return poll(&wait, 1, timeout_ms) == 1;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    int fd = memfd_create("own", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && ftruncate(fd, WIDTH * HEIGHT) == 0);
    uint8_t *bytes = mmap(NULL, WIDTH * HEIGHT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bytes != MAP_FAILED);

    vs_import *memory;
    vs_format *format, *large;
    vs_publisher *publisher;
    vs_client *client;
    int no_memory = STDERR_FILENO, nothing = -1;
    EXPECT(vs_import_open(&no_memory, 1, VS_MEMORY_KIND_MEMFD, &memory), VS_ERROR_ARGUMENT);
    EXPECT(vs_import_open(&nothing, 1, VS_MEMORY_KIND_DMABUF, &memory), VS_ERROR_ARGUMENT);
    EXPECT(vs_import_open(&fd, 0, VS_MEMORY_KIND_MEMFD, &memory), VS_ERROR_ARGUMENT);
    EXPECT(vs_import_open(&fd, 1, 7, &memory), VS_ERROR_ARGUMENT);
    EXPECT(vs_import_open(&fd, 1, VS_MEMORY_KIND_MEMFD, &memory), VS_OK);
    close(fd);
    EXPECT(vs_format_new(VS_FOURCC_GREY, WIDTH, HEIGHT, 30, 1, &format), VS_OK);
    EXPECT(vs_format_new(VS_FOURCC_GREY, WIDTH, HEIGHT + 1, 30, 1, &large), VS_OK);
    EXPECT(vs_publisher_open(argv[1], NULL, NULL, &publisher), VS_OK);
    EXPECT(vs_client_open(argv[1], NULL, &client), VS_OK);

    vs_buffer *buffer;
    vs_mutable_plane room;
    EXPECT(vs_publisher_buffer(publisher, &buffer), VS_ERROR_FORMAT);
    EXPECT(vs_import_buffer(memory, large, &buffer), VS_ERROR_FORMAT);
    EXPECT(vs_import_buffer(memory, format, &buffer), VS_OK);
    CHECK(!may_write(memory, 0));
    EXPECT(vs_buffer_plane(buffer, 0, &room), VS_ERROR_NOT_FOUND);
    vs_buffer_free(buffer);

    for (int number = 0; number < 3; number++) {
        CHECK(may_write(memory, 60000));
        memset(bytes, 50 + number, WIDTH * HEIGHT);
        EXPECT(vs_import_buffer(memory, format, &buffer), VS_OK);
        EXPECT(vs_buffer_set_bytes_used(buffer, 9, 1), VS_ERROR_ARGUMENT);
        EXPECT(vs_buffer_set_sequence(buffer, (uint32_t)number), VS_OK);
        EXPECT(vs_publisher_publish(publisher, buffer, NULL), VS_OK);
        vs_frame *frame = next_frame(client);
        vs_plane plane;
        EXPECT(vs_frame_plane(frame, 0, &plane), VS_OK);
        CHECK(is_even(&plane) && plane.data[0] == 50 + number);
        EXPECT(vs_frame_finish(frame), VS_OK);
        CHECK(vs_frame_get_info(frame)->sequence == (uint32_t)number);
        vs_buffer *early;
        EXPECT(vs_import_buffer(memory, format, &early), VS_ERROR_BUSY);
        CHECK(early == NULL && !may_write(memory, 0));
        vs_frame_unref(frame);
        // A stream that does not run has no newest frame, so nobody holds it any more.
        EXPECT(vs_publisher_set_state(publisher, VS_STREAM_STATE_WAITING, NULL), VS_OK);
    }
    vs_import_close(memory);
    vs_format_free(format);
    vs_format_free(large);
    vs_client_close(client);
    vs_publisher_close(publisher, NULL);
    munmap(bytes, WIDTH * HEIGHT);
    return 0;
}
