// SPDX-License-Identifier: Apache-2.0
// A stream in an event loop: poll STREAM
//
// Waits for a stream that need not be there yet, and for standard input, whose end ends the program. One
// descriptor stands for the client for its whole life, also while its connection is being made again.

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include <vsclient.h>

// Takes everything that has happened; negative if the client has ended.
static int dispatch(vs_client *client)
{
    const vs_event *event;
    int result;
    while ((result = vs_client_next_event(client, 0, &event)) > 0) {
        switch (event->kind) {
        case VS_EVENT_TYPE_CONNECTED:
            puts("connected");
            break;
        case VS_EVENT_TYPE_DISCONNECTED:
            puts("disconnected");
            break;
        case VS_EVENT_TYPE_FRAME:
            printf("frame %" PRIu64 "\n", event->serial);
            break;
        default:
            break;
        }
    }
    fflush(stdout);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s STREAM\n", argv[0]);
        return 2;
    }
    vs_client *client;
    vs_client_options *options = vs_client_options_new();
    vs_client_options_set_wait(options, true);
    int result = vs_client_open(argv[1], options, &client);
    vs_client_options_free(options);

    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (result == VS_OK)
        result = fds[1].fd = vs_client_fd(client);
    while (result >= 0 && poll(fds, 2, -1) >= 0) {
        char discarded[64];
        if (fds[0].revents && read(STDIN_FILENO, discarded, sizeof discarded) <= 0)
            break;
        if (fds[1].revents)
            result = dispatch(client);
    }
    if (result < 0)
        fprintf(stderr, "%s: %s\n", argv[0], vs_last_error());
    vs_client_close(client);
    return result < 0;
}
