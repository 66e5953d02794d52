// SPDX-License-Identifier: Apache-2.0
// How bright a stream is, in C++: brightness STREAM [FRAMES]
//
// The library's objects in std::unique_ptr, its errors as exceptions, and pictures that another thread
// looks at while the next one is waited for.

#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vsclient.h>

namespace {

constexpr std::int64_t PATIENCE = 10'000'000'000; // ns

template <auto release> struct Release {
    template <typename T> void operator()(T *object) const { release(object); }
};
using Client = std::unique_ptr<vs_client, Release<vs_client_close>>;
using Frame = std::unique_ptr<vs_frame, Release<vs_frame_unref>>;

int checked(int result)
{
    if (result < 0)
        throw std::runtime_error(std::string(vs_error_text(result)) + ": " + vs_last_error());
    return result;
}

Client open(const char *stream)
{
    vs_client *client = nullptr;
    checked(vs_client_open(stream, nullptr, &client));
    return Client(client);
}

Frame next(const Client &client)
{
    vs_frame *frame = nullptr;
    if (checked(vs_client_next_frame(client.get(), PATIENCE, &frame)) == 0)
        throw std::runtime_error("the stream has no more frames");
    return Frame(frame);
}

double brightness(const Frame &frame)
{
    vs_plane plane;
    checked(vs_frame_plane(frame.get(), 0, &plane));
    double sum = 0;
    for (std::size_t row = 0; row < plane.rows; row++)
        for (std::size_t column = 0; column < plane.row_bytes; column++)
            sum += plane.data[row * plane.stride + column];
    checked(vs_frame_finish(frame.get()));
    return sum / static_cast<double>(plane.rows * plane.row_bytes);
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " STREAM [FRAMES]\n";
        return 2;
    }
    const long frames = argc > 2 ? std::atol(argv[2]) : 100;
    const Client client = open(argv[1]);
    for (long number = 0; number < frames; number++) {
        Frame frame = next(client);
        const auto serial = vs_frame_get_info(frame.get())->serial;
        auto looking = std::async(std::launch::async, [frame = std::move(frame)] { return brightness(frame); });
        std::cout << "frame " << serial << ": " << looking.get() << '\n';
    }
    return 0;
} catch (const std::exception &error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
}
