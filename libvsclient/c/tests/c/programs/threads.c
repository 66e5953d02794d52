// SPDX-License-Identifier: Apache-2.0
// Frames that other threads read and give up, while one thread publishes as fast as it can and another
// receives. No picture may be torn unless its reader is told. threads SOCKET FRAMES

#include "check.h"
#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 4, QUEUE = 8 };

// Frames on their way to the readers; NULL tells one to end.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    vs_frame *frames[QUEUE];
    int count;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static atomic_int publishing = 1;
static atomic_ulong whole, told, refused;

static void put(vs_frame *frame)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.count == QUEUE)
        pthread_cond_wait(&queue.changed, &queue.lock);
    queue.frames[queue.count++] = frame;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

static vs_frame *take(void)
{
    pthread_mutex_lock(&queue.lock);
    while (queue.count == 0)
        pthread_cond_wait(&queue.changed, &queue.lock);
    vs_frame *frame = queue.frames[--queue.count];
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return frame;
}

static void *read_frames(void *client)
{
    vs_frame *frame;
    while ((frame = take())) {
        vs_plane plane;
        vs_frame *mine = vs_frame_ref(frame);
        vs_frame_unref(frame);
        if (vs_frame_plane(mine, 0, &plane) == VS_OK) {
            int even = is_even(&plane);
            if (vs_frame_finish(mine) == VS_OK) {
                CHECK(even);
                atomic_fetch_add(&whole, 1);
            } else {
                atomic_fetch_add(&told, 1);
            }
        }
        vs_frame_unref(mine);
        // The client is another thread's, which is in it most of the time.
        int result = vs_client_is_connected(client);
        CHECK(result == 1 || result == VS_ERROR_BUSY);
        if (result == VS_ERROR_BUSY)
            atomic_fetch_add(&refused, 1);
    }
    return NULL;
}

static void *publish_frames(void *publisher)
{
    for (int shade = 0; atomic_load(&publishing); shade = (shade + 1) % 256)
        publish(publisher, shade);
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    vs_publisher *publisher = publisher_at(argv[1]);
    vs_client *client;
    EXPECT(vs_client_open(argv[1], NULL, &client), VS_OK);
    pthread_t readers[READERS], publishing_thread;
    for (int reader = 0; reader < READERS; reader++)
        CHECK(pthread_create(&readers[reader], NULL, read_frames, client) == 0);
    CHECK(pthread_create(&publishing_thread, NULL, publish_frames, publisher) == 0);

    for (unsigned long number = strtoul(argv[2], NULL, 10); number > 0; number--) {
        vs_frame *frame;
        int result;
        // A reader may be asking something.
        while ((result = vs_client_next_frame(client, PATIENCE, &frame)) == VS_ERROR_BUSY)
            ;
        EXPECT(result, 1);
        put(frame);
    }
    for (int reader = 0; reader < READERS; reader++)
        put(NULL);
    for (int reader = 0; reader < READERS; reader++)
        pthread_join(readers[reader], NULL);
    atomic_store(&publishing, 0);
    pthread_join(publishing_thread, NULL);
    printf("%lu whole, %lu told, %lu calls refused\n", whole, told, refused);
    CHECK(whole > 0);
    vs_client_close(client);
    vs_publisher_close(publisher, NULL);
    return 0;
}
