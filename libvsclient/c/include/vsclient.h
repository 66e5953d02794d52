/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvsclient: frames of videostreamd's streams, without a copy.
 *
 * Made of the library's source by cbindgen: do not edit it.
 *
 * Results   Functions that return `int` give 0 or more if they succeed, and a negative `enum vs_error` if
 *           they fail; vs_last_error() has the message then.
 * Pointers  What a function gives by `const` pointer is the library's, and good as long as the function
 *           says. What it gives through a `**` argument is the caller's, to be freed by the function that is
 *           named. Arguments are not kept, unless it is said. NULL where an object must be is an error.
 * Threads   A thread may use any object that no other thread uses meanwhile. Whatever may be used by several
 *           at once says so.
 * Times     are in ns. Those that end in `_ns` are of CLOCK_MONOTONIC, or durations.
 *
 * docs/c.md has examples.
 */

#ifndef VSCLIENT_H
#define VSCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VS_FOURCC(a, b, c, d) \
    ((uint32_t)(a) | ((uint32_t)(b) << 8) | ((uint32_t)(c) << 16) | ((uint32_t)(d) << 24))
/** Y plane, then interleaved CbCr at half width and height. */
#define VS_FOURCC_NV12 VS_FOURCC('N', 'V', '1', '2')
/** The same, each plane in a memory of its own. */
#define VS_FOURCC_NV12M VS_FOURCC('N', 'M', '1', '2')
/** Y, Cb, Cr planes, chroma at half width and height ("I420"). */
#define VS_FOURCC_YUV420 VS_FOURCC('Y', 'U', '1', '2')
/** Packed Y0 Cb Y1 Cr. */
#define VS_FOURCC_YUYV VS_FOURCC('Y', 'U', 'Y', 'V')
/** Packed Cb Y0 Cr Y1. */
#define VS_FOURCC_UYVY VS_FOURCC('U', 'Y', 'V', 'Y')
/** Packed R G B, 24 bit. */
#define VS_FOURCC_RGB24 VS_FOURCC('R', 'G', 'B', '3')
/** Packed B G R, 24 bit. */
#define VS_FOURCC_BGR24 VS_FOURCC('B', 'G', 'R', '3')
/** Packed B G R x, 32 bit ("BGRx"). */
#define VS_FOURCC_BGRX32 VS_FOURCC('X', 'R', '2', '4')
/** Packed R G B x, 32 bit ("RGBx"). */
#define VS_FOURCC_RGBX32 VS_FOURCC('X', 'B', '2', '4')
/** Luma only, 8 bit. */
#define VS_FOURCC_GREY VS_FOURCC('G', 'R', 'E', 'Y')
/** H.264 access units as an Annex B byte stream. */
#define VS_FOURCC_H264 VS_FOURCC('H', '2', '6', '4')
/** H.265 access units as an Annex B byte stream. */
#define VS_FOURCC_HEVC VS_FOURCC('H', 'E', 'V', 'C')

/** A result that must be looked at. */
#if defined(__GNUC__)
#define VS_CHECKED __attribute__((warn_unused_result))
#else
#define VS_CHECKED
#endif

/** Version of this header; vs_version() is that of the library. */
#define VSCLIENT_VERSION_MAJOR 0
#define VSCLIENT_VERSION_MINOR 1
#define VSCLIENT_VERSION_PATCH 0
#define VSCLIENT_VERSION "0.1.0"


/**
 * What a function returns when it has done what it should, and has nothing to count.
 */
#define VS_OK 0

/**
 * Waits for ever.
 */
#define VS_FOREVER -1

/**
 * The most planes, and the most memories, that a frame can have.
 */
#define VS_MAX_PLANES 4

/**
 * A time that is not known.
 */
#define VS_NO_TIME INT64_MIN

/**
 * Decoding can start with this frame.
 */
#define VS_FRAME_KEYFRAME 1

/**
 * The source lost frames, or time, just before this one.
 */
#define VS_FRAME_GAP 2

/**
 * A picture of even rows only, from 0.
 */
#define VS_FRAME_TOP_FIELD 4

/**
 * A picture of odd rows only.
 */
#define VS_FRAME_BOTTOM_FIELD 8

/**
 * Room in `vs_counters.skipped`, for reasons to come.
 */
#define VS_SKIP_REASONS 8

/**
 * Why a function failed. Functions return these as `int`; a number is never given a new meaning,
 * and a later version may have more.
 */
typedef enum vs_error {
    /**
     * An argument is NULL that must not be, or out of range.
     */
    VS_ERROR_ARGUMENT = -1,
    /**
     * A fault of the library itself. What was being worked on is best closed.
     */
    VS_ERROR_INTERNAL = -2,
    /**
     * The system has no memory, or no descriptors, left for it.
     */
    VS_ERROR_MEMORY = -3,
    /**
     * The system refused something else.
     */
    VS_ERROR_SYSTEM = -4,
    /**
     * The other side did not answer in time.
     */
    VS_ERROR_TIMEOUT = -5,
    /**
     * Not now: another thread is in the same object, or something else is using what is needed.
     */
    VS_ERROR_BUSY = -6,
    /**
     * There is no such stream, device, recording or plane.
     */
    VS_ERROR_NOT_FOUND = -7,
    /**
     * What should answer does not run: the daemon, whoever published the stream, or the stream.
     */
    VS_ERROR_NOT_RUNNING = -8,
    /**
     * This user may not do that.
     */
    VS_ERROR_DENIED = -9,
    /**
     * The host or the daemon has said no, and why.
     */
    VS_ERROR_REFUSED = -10,
    /**
     * The other side speaks another protocol or version, or breaks it.
     */
    VS_ERROR_PROTOCOL = -11,
    /**
     * The connection has ended, and with it the right to read its frames.
     */
    VS_ERROR_DISCONNECTED = -12,
    /**
     * An earlier error has ended this object: close it, and make another one.
     */
    VS_ERROR_ENDED = -13,
    /**
     * The host has taken the frame back: what was read of it may be torn.
     */
    VS_ERROR_REVOKED = -14,
    /**
     * The frame's time has passed: what was read of it may be torn.
     */
    VS_ERROR_EXPIRED = -15,
    /**
     * No such format, or it does not fit.
     */
    VS_ERROR_FORMAT = -16,
    /**
     * All buffers or credits are in use: give some back, or receive first.
     */
    VS_ERROR_FULL = -17,
    /**
     * It was tried and did not work.
     */
    VS_ERROR_FAILED = -18,
} vs_error;

/**
 * Kinds of events. A later version may have more: pass over what is not known.
 */
typedef enum vs_event_type {
    /**
     * The connection stands, for the first time or again. `epoch_changed`.
     */
    VS_EVENT_TYPE_CONNECTED = 1,
    /**
     * What the stream is doing. `state`, `text`.
     */
    VS_EVENT_TYPE_STATE = 2,
    /**
     * How the frames that follow are laid out. `format`.
     */
    VS_EVENT_TYPE_FORMAT = 3,
    /**
     * A frame. `frame`, `serial`.
     */
    VS_EVENT_TYPE_FRAME = 4,
    /**
     * The host has taken a frame back that this program still held. `serial`, `reason`.
     */
    VS_EVENT_TYPE_REVOKED = 5,
    /**
     * The answer to `vs_frame_request_lock()`. `request`, `serial`, and `reason`: `VS_OK` with `deadline_ns`,
     * or a negative `enum vs_error`.
     */
    VS_EVENT_TYPE_LOCKED = 6,
    /**
     * The connection is lost, and will be made again. Frames in hand have ended. `text`, `retry_in_ns`.
     */
    VS_EVENT_TYPE_DISCONNECTED = 7,
    /**
     * An attempt to make it again has failed. `text`, `retry_in_ns`.
     */
    VS_EVENT_TYPE_RETRY_FAILED = 8,
} vs_event_type;

/**
 * Why nothing was made of a frame.
 */
typedef enum vs_loss_cause {
    /**
     * Something else.
     */
    VS_LOSS_CAUSE_OTHER = 0,
    /**
     * It is damaged, or came out damaged.
     */
    VS_LOSS_CAUSE_CORRUPT = 1,
    /**
     * It shows no picture, or refers to one that is missing.
     */
    VS_LOSS_CAUSE_NO_PICTURE = 2,
    /**
     * The codec did not take it.
     */
    VS_LOSS_CAUSE_REFUSED = 3,
    /**
     * The device stood still while it had it, and was repaired.
     */
    VS_LOSS_CAUSE_STALLED = 4,
    /**
     * The codec failed while it had it, and was opened anew.
     */
    VS_LOSS_CAUSE_FAILED = 5,
} vs_loss_cause;

/**
 * What kind of memory a frame lies in.
 */
typedef enum vs_memory_kind {
    /**
     * Ordinary memory, sealed against writing and resizing.
     */
    VS_MEMORY_KIND_MEMFD = 0,
    /**
     * A DmaBuf: devices can import it. Who reads it by a mapping of its own brackets that with
     * `DMA_BUF_IOCTL_SYNC`; `vs_frame_plane()` does so itself.
     */
    VS_MEMORY_KIND_DMABUF = 1,
} vs_memory_kind;

/**
 * How frames are delivered.
 */
typedef enum vs_mode {
    /**
     * Each frame is this client's until it is given up, or its lease ends. The default.
     */
    VS_MODE_LEASED = 0,
    /**
     * A frame may be read for the stream's lifespan after it was published; a lock keeps it longer.
     */
    VS_MODE_NOTIFY = 1,
} vs_mode;

/**
 * Kinds of what comes out of a codec. A later version may have more: pass over what is not known.
 */
typedef enum vs_output_type {
    /**
     * What was made of a frame: `tag`, `frame`.
     */
    VS_OUTPUT_TYPE_DONE = 1,
    /**
     * Nothing was made of a frame: `tag`, `cause`, `text`.
     */
    VS_OUTPUT_TYPE_LOST = 2,
    /**
     * Everything that was submitted before the drain has come out.
     */
    VS_OUTPUT_TYPE_DRAINED = 3,
    /**
     * The answer to a change of an encoder. With an empty `text`: `bitrate`, `keyframe_interval_ns`, as they are
     * now; otherwise why it goes on as before.
     */
    VS_OUTPUT_TYPE_ADJUSTED = 4,
} vs_output_type;

/**
 * Why a frame was taken back.
 */
typedef enum vs_revoke_reason {
    /**
     * The lease's deadline has passed.
     */
    VS_REVOKE_REASON_DEADLINE = 0,
    /**
     * Whoever lent the frame's memory took it back.
     */
    VS_REVOKE_REASON_WITHDRAWN = 1,
} vs_revoke_reason;

/**
 * Reasons for which a host does not send a frame to a client: index of `vs_counters.skipped`.
 */
typedef enum vs_skip_reason {
    /**
     * It held as many frames as it may.
     */
    VS_SKIP_REASON_NO_CREDIT = 0,
    /**
     * It did not read fast enough.
     */
    VS_SKIP_REASON_NOT_READING = 1,
    /**
     * All clients together held as many frames as the source can spare.
     */
    VS_SKIP_REASON_POOL = 2,
    /**
     * Frames were scarce, and it or its user held more than its share.
     */
    VS_SKIP_REASON_SHARE = 3,
} vs_skip_reason;

/**
 * What a stream is doing.
 */
typedef enum vs_stream_state {
    /**
     * No frames now, but they may come.
     */
    VS_STREAM_STATE_WAITING = 0,
    /**
     * Frames come.
     */
    VS_STREAM_STATE_RUNNING = 1,
    /**
     * Stopped on purpose.
     */
    VS_STREAM_STATE_STOPPED = 2,
    /**
     * Cannot run.
     */
    VS_STREAM_STATE_FAILED = 3,
} vs_stream_state;

/**
 * A buffer to fill, of `vs_publisher_buffer()`, `vs_encoder_buffer()` or `vs_import_buffer()`: write to its planes, say
 * what is to be known of the frame, and publish or submit it. One thread at a time may use it.
 */
typedef struct vs_buffer vs_buffer;

/**
 * A client of one stream. One thread at a time may use it; a second one gets `VS_ERROR_BUSY`. Its frames
 * may be used by any thread.
 */
typedef struct vs_client vs_client;

/**
 * Options of a client. They belong to the program, and one thread at a time may use them; the same
 * may be used for several clients.
 */
typedef struct vs_client_options vs_client_options;

/**
 * The way to a daemon, over D-Bus. Any threads may use it at once.
 */
typedef struct vs_control vs_control;

/**
 * Options for streams, recordings and snapshots, by the names that `docs/dbus.md` gives them. They belong to
 * the program, and one thread at a time may use them.
 */
typedef struct vs_control_options vs_control_options;

/**
 * A decoder of the daemon. Each frame that is submitted comes out once, done or lost, with the tag that
 * it was submitted with. One thread at a time may use it; a second one gets `VS_ERROR_BUSY`.
 */
typedef struct vs_decoder vs_decoder;

/**
 * What is to be decoded; what is not said is left to the daemon. Options belong to the program, and one
 * thread at a time may use them.
 */
typedef struct vs_decoder_options vs_decoder_options;

/**
 * The devices of the daemon at one moment. It does not change: any threads may use it at once.
 */
typedef struct vs_device_list vs_device_list;

/**
 * An encoder of the daemon. Each frame that is submitted comes out once, done or lost, with the tag that
 * it was submitted with. One thread at a time may use it; a second one gets `VS_ERROR_BUSY`.
 */
typedef struct vs_encoder vs_encoder;

/**
 * What is to be encoded, and how; what is not said is left to the daemon. Options belong to the program,
 * and one thread at a time may use them.
 */
typedef struct vs_encoder_options vs_encoder_options;

/**
 * A picture or access unit, and the right to read it for a while. Counted: any thread may use it,
 * hold it with `vs_frame_ref()` and give it up with `vs_frame_unref()`.
 */
typedef struct vs_frame vs_frame;

/**
 * Memory of the program's own, as one buffer. Any threads may use it at once.
 */
typedef struct vs_import vs_import;

/**
 * Publishes one stream at one socket, from a thread of its own. Any threads may use it at once.
 */
typedef struct vs_publisher vs_publisher;

/**
 * Options of a publisher. They belong to the program, and one thread at a time may use them.
 */
typedef struct vs_publisher_options vs_publisher_options;

/**
 * The streams of the daemon at one moment. It does not change: any threads may use it at once.
 */
typedef struct vs_stream_list vs_stream_list;

/**
 * Where one plane lies in a frame's memories.
 */
typedef struct vs_plane_layout {
    /**
     * Index of the memory in which it lies; see `vs_frame_memory()`.
     */
    uint32_t memory;
    /**
     * Bytes from the start of that memory to the first row.
     */
    uint32_t offset;
    /**
     * Bytes from one row to the next; 0 for coded data.
     */
    uint32_t stride;
    /**
     * Bytes from the first row to the end of the last, padding included.
     */
    uint32_t size;
} vs_plane_layout;

/**
 * What all frames of a stream have in common until its format changes. Only the library makes one:
 * use pointers, for it may grow at its end.
 */
typedef struct vs_format {
    /**
     * V4L2's fourcc of the pixel format or codec: `VS_FOURCC_NV12`, `VS_FOURCC_H264`...
     */
    uint32_t fourcc;
    /**
     * Width in pixels.
     */
    uint32_t width;
    /**
     * Height in pixels.
     */
    uint32_t height;
    /**
     * Nominal frame rate: so many frames...
     */
    uint32_t rate_num;
    /**
     * ...in so many seconds. `rate_num` is 0 if it is unknown.
     */
    uint32_t rate_den;
    /**
     * Interlacing, as `enum v4l2_field`; 1 is progressive.
     */
    uint32_t field;
    /**
     * Degrees by which the picture is to be turned counter-clockwise to be upright.
     */
    uint32_t rotation;
    /**
     * How many of `planes` there are: 1 to `VS_MAX_PLANES`. A coded format has one, as large as the
     * largest access unit.
     */
    uint32_t plane_count;
    /**
     * Where the planes lie.
     */
    struct vs_plane_layout planes[VS_MAX_PLANES];
    /**
     * DRM format modifier; 0 is linear.
     */
    uint64_t modifier;
    /**
     * `enum v4l2_colorspace`.
     */
    uint32_t colorspace;
    /**
     * `enum v4l2_xfer_func`.
     */
    uint32_t transfer;
    /**
     * `enum v4l2_ycbcr_encoding`.
     */
    uint32_t encoding;
    /**
     * `enum v4l2_quantization`: 1 full range, 2 limited range.
     */
    uint32_t quantization;
    /**
     * Parameter sets of a coded stream (Annex B for H.264 and H.265); NULL if there are none.
     */
    const uint8_t *parameter_sets;
    /**
     * Bytes of `parameter_sets`.
     */
    size_t parameter_sets_size;
    /**
     * Whether a frame is an access unit rather than a picture.
     */
    bool coded;
} vs_format;

/**
 * What is known of a frame beside its bytes. The library's: use pointers, for it may grow at its end.
 */
typedef struct vs_frame_info {
    /**
     * Number of the frame in this life of the stream's host, from 1; frames that this client did not
     * get leave gaps. 0 for a frame of no stream.
     */
    uint64_t serial;
    /**
     * Number of the buffer in this process, never given twice: who imports buffers elsewhere keeps
     * what came of it under this number.
     */
    uint64_t buffer;
    /**
     * When the source had the picture, in ns of `CLOCK_MONOTONIC`.
     */
    uint64_t capture_ns;
    /**
     * When the host published it, in ns of `CLOCK_MONOTONIC`; 0 for a frame of no stream.
     */
    uint64_t publish_ns;
    /**
     * When this process received it, in ns of `CLOCK_MONOTONIC`; 0 for a frame of no stream.
     */
    uint64_t received_ns;
    /**
     * Presentation time in ns on the source's own timeline, or `VS_NO_TIME`.
     */
    int64_t pts;
    /**
     * Decoding time in ns on the source's own timeline; `VS_NO_TIME` if unknown, or equal to `pts`.
     */
    int64_t dts;
    /**
     * How long it is to be shown, in ns, or `VS_NO_TIME`.
     */
    int64_t duration;
    /**
     * Frames that this client did not get on this connection, until this one was sent.
     */
    uint64_t skipped;
    /**
     * The source's own count (V4L2's sequence).
     */
    uint32_t sequence;
    /**
     * `VS_FRAME_KEYFRAME`, `VS_FRAME_GAP`... Others may come.
     */
    uint32_t flags;
    /**
     * Bytes of payload in each memory, from the first plane in it.
     */
    uint32_t bytes_used[VS_MAX_PLANES];
} vs_frame_info;

/**
 * One plane of a frame, for the CPU to read. Never grows.
 */
typedef struct vs_plane {
    /**
     * The first byte of the first row.
     */
    const uint8_t *data;
    /**
     * Bytes from there to the end of the plane.
     */
    size_t size;
    /**
     * Bytes from one row to the next.
     */
    size_t stride;
    /**
     * Bytes of each row that carry pixels.
     */
    size_t row_bytes;
    /**
     * How many rows there are.
     */
    size_t rows;
} vs_plane;

/**
 * One memory of a frame. Never grows.
 */
typedef struct vs_memory {
    /**
     * Its descriptor, for reading. It is the frame's: good as long as the frame is held, not to be
     * closed; dup(2) it to keep it.
     */
    int fd;
    /**
     * `enum vs_memory_kind`.
     */
    int kind;
    /**
     * Its bytes.
     */
    uint64_t size;
} vs_memory;

/**
 * Something that happened. The client's: good until its next call, and so is everything in it. Use
 * pointers, for it may grow at its end.
 */
typedef struct vs_event {
    /**
     * `enum vs_event_type`, which says what else is set; the rest is 0, NULL or empty.
     */
    int kind;
    /**
     * `enum vs_stream_state`.
     */
    int state;
    /**
     * The frame; `vs_frame_ref()` keeps it.
     */
    struct vs_frame *frame;
    /**
     * The format.
     */
    const struct vs_format *format;
    /**
     * Why, in words; never NULL.
     */
    const char *text;
    /**
     * Serial of the frame.
     */
    uint64_t serial;
    /**
     * Number of the request.
     */
    uint64_t request;
    /**
     * The new deadline of the frame, in ns of `CLOCK_MONOTONIC`.
     */
    uint64_t deadline_ns;
    /**
     * When the next attempt comes, in ns from now.
     */
    uint64_t retry_in_ns;
    /**
     * `enum vs_revoke_reason`, or `enum vs_error`.
     */
    int reason;
    /**
     * The host has started anew since the last connection: serials begin again.
     */
    bool epoch_changed;
} vs_event;

/**
 * What host and client have agreed upon. The library's: use pointers, for it may grow at its end.
 */
typedef struct vs_session {
    /**
     * Name of the stream; never NULL.
     */
    const char *stream;
    /**
     * Number of this client at the host.
     */
    uint64_t client;
    /**
     * Changes whenever the host starts anew; serials belong to it.
     */
    uint64_t epoch;
    /**
     * Length of a lease in ns.
     */
    uint64_t lease_ns;
    /**
     * The longest this client may hold one frame in ns, renewals included.
     */
    uint64_t lease_max_ns;
    /**
     * How long a frame stays untouched without a lease, in ns.
     */
    uint64_t lifespan_ns;
    /**
     * Frames that this client may hold at once.
     */
    uint32_t credits;
    /**
     * `enum vs_mode`.
     */
    int mode;
} vs_session;

/**
 * What a client got and did not get since it was made, over all its connections. The library's: use
 * pointers, for it may grow at its end.
 */
typedef struct vs_counters {
    /**
     * Frames received.
     */
    uint64_t received;
    /**
     * Frames that the stream published between those received, and that did not come.
     */
    uint64_t lost;
    /**
     * Frames before which the source itself had lost something.
     */
    uint64_t source_gaps;
    /**
     * Frames that the host took back.
     */
    uint64_t revoked;
    /**
     * Connections made, the first included.
     */
    uint64_t connections;
    /**
     * Frames that the host did not send, for whatever reason.
     */
    uint64_t skipped_total;
    /**
     * The same by `enum vs_skip_reason`.
     */
    uint64_t skipped[VS_SKIP_REASONS];
} vs_counters;

/**
 * One plane of a buffer, for the CPU to write. Never grows.
 */
typedef struct vs_mutable_plane {
    /**
     * The first byte of the first row.
     */
    uint8_t *data;
    /**
     * Bytes from there to the end of the plane.
     */
    size_t size;
    /**
     * Bytes from one row to the next.
     */
    size_t stride;
    /**
     * Bytes of each row that carry pixels.
     */
    size_t row_bytes;
    /**
     * How many rows there are.
     */
    size_t rows;
} vs_mutable_plane;

/**
 * What a publisher has counted since it was started. Never grows.
 */
typedef struct vs_publisher_counters {
    /**
     * Frames published, delivered to anybody or not.
     */
    uint64_t published;
    /**
     * Frames delivered, to all clients together.
     */
    uint64_t delivered;
    /**
     * Frames that clients did not get, for whatever reason.
     */
    uint64_t skipped;
    /**
     * Leases taken back, for whatever reason.
     */
    uint64_t revoked;
    /**
     * Clients that are connected.
     */
    uint32_t clients;
    /**
     * Leases that all clients together hold.
     */
    uint32_t held;
} vs_publisher_counters;

/**
 * What kind of codec was opened. The codec's, and as long as it. Use pointers, for it may grow at its
 * end.
 */
typedef struct vs_codec_info {
    /**
     * Name and version of what encodes or decodes; never NULL.
     */
    const char *name;
    /**
     * "v4l2" or "software"; never NULL.
     */
    const char *backend;
    /**
     * Why it was this one; never NULL, may be empty.
     */
    const char *reason;
    /**
     * Frames that the caller may lend at once.
     */
    uint32_t inputs;
    /**
     * Frames that the daemon may lend at once.
     */
    uint32_t outputs;
    /**
     * Of an encoder: bits per second; 0 if the quality is constant instead.
     */
    uint64_t bitrate;
    /**
     * Of an encoder: longest time between keyframes in ns.
     */
    uint64_t keyframe_interval_ns;
} vs_codec_info;

/**
 * What came out of a codec. The codec's: good until the next call that receives, and so is everything in
 * it. Use pointers, for it may grow at its end.
 */
typedef struct vs_output {
    /**
     * `enum vs_output_type`, which says what else is set; the rest is 0, NULL or empty.
     */
    int kind;
    /**
     * `enum vs_loss_cause`.
     */
    int cause;
    /**
     * The tag of the frame that was submitted.
     */
    uint64_t tag;
    /**
     * The access unit or picture, with the times of that frame; `vs_frame_ref()` keeps it, and the codec has
     * room for another one when it is given up.
     */
    struct vs_frame *frame;
    /**
     * Why, in words; never NULL.
     */
    const char *text;
    /**
     * Bits per second; 0 if the quality is constant instead.
     */
    uint64_t bitrate;
    /**
     * Longest time between keyframes in ns.
     */
    uint64_t keyframe_interval_ns;
} vs_output;

/**
 * What became of a recording. Never grows.
 */
typedef struct vs_recording_result {
    /**
     * Frames in its files.
     */
    uint64_t frames;
    /**
     * Frames that the encoder or the file were too slow for.
     */
    uint64_t dropped;
    /**
     * Duration in ns.
     */
    uint64_t duration_ns;
    /**
     * Length of all files in bytes.
     */
    uint64_t bytes;
    /**
     * Whether all of them are ordinary MP4s, not fragmented ones.
     */
    bool progressive;
} vs_recording_result;

/**
 * A stream of the daemon. Its list's. Texts are never NULL. Use pointers, for it may grow at its end.
 */
typedef struct vs_stream_info {
    /**
     * Its name, and that of its socket.
     */
    const char *name;
    /**
     * "stopped", "idle", "waiting", "running" or "failed".
     */
    const char *state;
    /**
     * Why it is in that state.
     */
    const char *state_text;
    /**
     * What fills it: "pattern", "camera", "ipc", "coded", "converted" or "file".
     */
    const char *source;
    /**
     * Path of its socket; empty while it is stopped.
     */
    const char *socket;
    /**
     * Fourcc of its frames as text, such as "NV12"; empty before the first start.
     */
    const char *fourcc;
    /**
     * Width in pixels.
     */
    uint32_t width;
    /**
     * Height in pixels.
     */
    uint32_t height;
    /**
     * Nominal frame rate: so many frames...
     */
    uint32_t rate_num;
    /**
     * ...in so many seconds.
     */
    uint32_t rate_den;
    /**
     * Frames published since its start.
     */
    uint64_t published;
    /**
     * Clients that are connected.
     */
    uint32_t clients;
} vs_stream_info;

/**
 * A device of the daemon. Its list's. Texts are never NULL. Use pointers, for it may grow at its end.
 */
typedef struct vs_device_info {
    /**
     * The name by which streams and commands know it.
     */
    const char *name;
    /**
     * "camera", "encoder", "decoder" or "converter".
     */
    const char *kind;
    /**
     * Device node.
     */
    const char *node;
    /**
     * What the driver calls the hardware.
     */
    const char *card;
    /**
     * Name of the driver.
     */
    const char *driver;
    /**
     * Why it cannot be used, and what to do; empty if it can.
     */
    const char *problem;
    /**
     * Whether it is there.
     */
    bool present;
} vs_device_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Message of the last function that failed in this thread: what was tried, why it failed and, where
 * anybody knows, what to do. Never NULL; empty if nothing has failed yet. Functions that succeed
 * leave it as it is.
 *
 * The text is the library's, and good until the next function fails in this thread. Any thread may
 * call it.
 */
const char *vs_last_error(void);

/**
 * What a number stands for, in a few words; "unknown error" for one that this version does not
 * know. A constant, never NULL. Any thread may call it.
 */
const char *vs_error_text(int error);

/**
 * Version of the library that runs, such as "1.2.3"; the macros `VSCLIENT_VERSION_*` are that of the
 * header. A constant. Any thread may call it.
 */
const char *vs_version(void);

/**
 * The clock of all times but `pts`, `dts` and `duration`: ns of `CLOCK_MONOTONIC`. Any thread may
 * call it.
 */
uint64_t vs_monotonic_ns(void);

/**
 * Makes a format for frames of the program's own: rows without padding, planes back to back, in the
 * usual colours. The program may change its fields, and frees it with `vs_format_free()`.
 *
 * `rate_num` frames come in `rate_den` seconds; 0 in 1 if that is not known.
 *
 * Errors: `VS_ERROR_FORMAT` if the size is out of range or the layout of `fourcc` is not known. Any
 * thread may call it.
 */
int vs_format_new(uint32_t fourcc,
                  uint32_t width,
                  uint32_t height,
                  uint32_t rate_num,
                  uint32_t rate_den,
                  struct vs_format **format);

/**
 * Makes a format for access units of the program's own, of which none has more than `largest` bytes. Say the
 * parameter sets, if they are known, in its fields; they are copied when the format is used. Otherwise as
 * `vs_format_new()`.
 *
 * Errors: `VS_ERROR_FORMAT` if `fourcc` is not that of a codec, or the size is out of range.
 */
int vs_format_new_coded(uint32_t fourcc,
                        uint32_t width,
                        uint32_t height,
                        uint32_t rate_num,
                        uint32_t rate_den,
                        uint32_t largest,
                        struct vs_format **format);

/**
 * Says that rows of the first plane are `stride` bytes apart; the other planes follow, as V4L2's
 * drivers place them in one memory.
 *
 * Errors: `VS_ERROR_FORMAT` if that is too little, or the format's layout is not known. One thread at
 * a time may use a format that it changes.
 */
int vs_format_set_stride(struct vs_format *format, uint32_t stride);

/**
 * Frees a format that `vs_format_new()` or `vs_format_new_coded()` has made, and no other. NULL does nothing.
 */
void vs_format_free(struct vs_format *format);

/**
 * Holds a frame once more; returns it. NULL gives NULL. Any thread may call it.
 */
struct vs_frame *vs_frame_ref(struct vs_frame *frame);

/**
 * Gives a frame up. When it is held no more its memory goes back to be filled anew. Never blocks.
 * NULL does nothing. Any thread may call it, also after the client has been closed.
 */
void vs_frame_unref(struct vs_frame *frame);

/**
 * What is known of a frame beside its bytes. The frame's, as long as it is held. NULL for NULL. Any
 * thread may call it.
 */
const struct vs_frame_info *vs_frame_get_info(const struct vs_frame *frame);

/**
 * How its bytes are laid out. The frame's, as long as it is held; frames of one format usually give
 * the same pointer. NULL for NULL. Any thread may call it.
 */
const struct vs_format *vs_frame_get_format(const struct vs_frame *frame);

/**
 * Gives plane `index` to the CPU, mapping the frame and synchronising caches where that is needed.
 * Reading begins with the first call and ends with `vs_frame_finish()`; the pointer stays good as long
 * as the frame is held, its bytes only as long as the right to read them.
 *
 * Errors: `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED` if the right to read it has
 * ended, `VS_ERROR_NOT_FOUND` if there is no such plane. Any thread may call it.
 */
VS_CHECKED int vs_frame_plane(struct vs_frame *frame, uint32_t index, struct vs_plane *plane);

/**
 * Gives the payload of a coded frame to the CPU: an access unit. As `vs_frame_plane()`, to which it is
 * an alternative.
 */
VS_CHECKED int vs_frame_payload(struct vs_frame *frame, const uint8_t **data, size_t *size);

/**
 * Ends reading, and says whether everything that this thread has read of the frame belongs to it. Only
 * then use what came of it. Several threads that read one frame each call it.
 *
 * Errors: `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED`: what was read may be torn.
 * Any thread may call it.
 */
VS_CHECKED int vs_frame_finish(struct vs_frame *frame);

/**
 * Whether a frame may still be read, as far as this process knows without asking anybody. It does not
 * vouch for what was read: `vs_frame_finish()` does.
 *
 * Errors: `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED`. Any thread may call it.
 */
int vs_frame_check(const struct vs_frame *frame);

/**
 * Until when the bytes surely stay as they are, in ns of `CLOCK_MONOTONIC`; `UINT64_MAX` for a frame of
 * no stream, which stays as long as it is held, and 0 for NULL. A lock that is granted moves it. Any
 * thread may call it.
 */
uint64_t vs_frame_deadline(const struct vs_frame *frame);

/**
 * Asks for a lease on a frame, or for a longer one, without waiting: `lease_ns` counted from now, or as
 * much as the host gives by default if it is not positive. The answer is an event,
 * `VS_EVENT_TYPE_LOCKED` with the number that is put at `request`, which may be NULL. `vs_client_lock()` waits
 * for it instead.
 *
 * Errors: `VS_ERROR_BUSY` if the host takes no requests at present, `VS_ERROR_DISCONNECTED`,
 * `VS_ERROR_ARGUMENT` for a frame of no stream. Any thread may call it.
 */
int vs_frame_request_lock(struct vs_frame *frame,
                          int64_t lease_ns,
                          uint64_t *request);

/**
 * How many memories a frame has, 1 to `VS_MAX_PLANES`; a negative `enum vs_error` for NULL. Any thread
 * may call it.
 */
int vs_frame_memory_count(const struct vs_frame *frame);

/**
 * Memory `index` of a frame, to be imported into other interfaces (DRM, EGL, Vulkan, V4L2) without a
 * copy. Bytes that a device reads are as good as those that the CPU reads: until the frame is given up
 * or its time has passed.
 *
 * Errors: `VS_ERROR_NOT_FOUND` if there is no such memory, `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or
 * `VS_ERROR_DISCONNECTED`. Any thread may call it.
 */
int vs_frame_memory(const struct vs_frame *frame, uint32_t index, struct vs_memory *memory);

/**
 * The default options. Free them with `vs_client_options_free()`. Never NULL.
 */
struct vs_client_options *vs_client_options_new(void);

/**
 * Frees options. NULL does nothing.
 */
void vs_client_options_free(struct vs_client_options *options);

/**
 * How frames are delivered: one of `enum vs_mode`.
 *
 * Errors: `VS_ERROR_ARGUMENT` for anything else.
 */
int vs_client_options_set_mode(struct vs_client_options *options, int mode);

/**
 * How many frames the program wants to hold at once; the host may allow fewer. 0, the default, leaves
 * it to the host. With all of them in hand no frame comes until one is given up, and then the newest.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_client_options_set_credits(struct vs_client_options *options, uint16_t credits);

/**
 * How long the program wants to hold a frame, in ns; the host may allow less, and decides by default.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is negative.
 */
int vs_client_options_set_lease(struct vs_client_options *options, int64_t lease_ns);

/**
 * The name under which the host's statistics show this client; that of the program by default. It is
 * copied; 64 bytes at most, the rest is cut.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is NULL or not UTF-8.
 */
int vs_client_options_set_name(struct vs_client_options *options, const char *name);

/**
 * The directory of the sockets, which is copied; counts more than the environment variable
 * `VIDEOSTREAM_DIR`, which counts more than `/run/videostream`.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is NULL.
 */
int vs_client_options_set_socket_dir(struct vs_client_options *options, const char *dir);

/**
 * How long an attempt to connect may take, and how long the host may take to answer, in ns. 5 s by
 * default.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is negative.
 */
int vs_client_options_set_timeout(struct vs_client_options *options, int64_t timeout_ns);

/**
 * How a lost connection is made again: after `first_ns` at most, and after twice as long each time, up
 * to `max_ns`. 100 ms and 5 s by default; less than 20 ms counts as 20 ms. A negative `first_ns` makes a
 * lost connection an error, and the end of the client.
 *
 * Errors: `VS_ERROR_ARGUMENT` if only `max_ns` is negative.
 */
int vs_client_options_set_reconnect(struct vs_client_options *options, int64_t first_ns, int64_t max_ns);

/**
 * Whether the stream need not be there yet: `vs_client_open()` then succeeds at once, and the stream is
 * waited for as after a lost connection. `false` by default.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_client_options_set_wait(struct vs_client_options *options, bool wait);

/**
 * Connects to a stream: its name, or the path of its socket (anything with a `/`). `options` may be
 * NULL and are not kept. Close the client with `vs_client_close()`.
 *
 * Errors: `VS_ERROR_NOT_FOUND` if there is no such stream, `VS_ERROR_NOT_RUNNING` if nobody publishes it any
 * more, `VS_ERROR_DENIED`, `VS_ERROR_REFUSED`, `VS_ERROR_PROTOCOL`, `VS_ERROR_TIMEOUT`, `VS_ERROR_SYSTEM`. `*client`
 * is NULL then. Any thread may call it.
 */
VS_CHECKED
int vs_client_open(const char *stream,
                   const struct vs_client_options *options,
                   struct vs_client **client);

/**
 * Ends the connection and frees the client. Its frames can no longer be read; they are still to be
 * given up. NULL does nothing. No thread may be in the client, or enter it later.
 */
void vs_client_close(struct vs_client *client);

/**
 * Waits for the next frame, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for ever. Other
 * events are taken note of and not told. The frame is the caller's: give it up with `vs_frame_unref()`.
 *
 * Returns 1 with a frame, and 0 with NULL if the time has passed. While a lost connection is being made
 * again a call may take 100 ms more.
 *
 * Errors: those of `vs_client_open()` and `VS_ERROR_DISCONNECTED` if no more can come: the client has ended,
 * and every further call gives `VS_ERROR_ENDED`.
 */
VS_CHECKED int vs_client_next_frame(struct vs_client *client, int64_t timeout_ns, struct vs_frame **frame);

/**
 * The newest frame there is: those that wait are passed over, and if none waits, the next one is waited
 * for. Otherwise as `vs_client_next_frame()`.
 */
VS_CHECKED int vs_client_newest(struct vs_client *client, int64_t timeout_ns, struct vs_frame **frame);

/**
 * Waits for the next thing that happens, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for
 * ever. A client's first events are `VS_EVENT_TYPE_CONNECTED` and `VS_EVENT_TYPE_STATE`. The event, with the frame and all
 * else in it, is the client's and good until its next call.
 *
 * Returns 1 with an event, and 0 with NULL if the time has passed. Errors are those of
 * `vs_client_next_frame()`.
 */
VS_CHECKED
int vs_client_next_event(struct vs_client *client,
                         int64_t timeout_ns,
                         const struct vs_event **event);

/**
 * The descriptor for event loops, one for the client's whole life, whatever becomes of the connection:
 * when it is readable, call `vs_client_next_event()`, or `vs_client_next_frame()`, with a timeout of 0 until
 * it gives 0. It is the client's: not to be read or closed. It may be readable although there is
 * nothing, and stays readable when the client has ended.
 *
 * Errors: a negative `enum vs_error`: `VS_ERROR_SYSTEM` if there are no descriptors left.
 */
VS_CHECKED int vs_client_fd(struct vs_client *client);

/**
 * Locks a frame, or prolongs its lease, and waits for the answer, at most for `timeout_ns`, which must
 * not be negative. `lease_ns` counts from now; the usual lease is asked for if it is not positive.
 * Whatever else happens meanwhile is told afterwards, in order.
 *
 * Errors: `VS_ERROR_FULL` if the host has no frame to spare, `VS_ERROR_EXPIRED` if the frame is gone,
 * `VS_ERROR_TIMEOUT`, `VS_ERROR_BUSY`, `VS_ERROR_DISCONNECTED`, `VS_ERROR_ARGUMENT` for a frame of no stream; the frame
 * is as it was before.
 */
VS_CHECKED
int vs_client_lock(struct vs_client *client,
                   struct vs_frame *frame,
                   int64_t lease_ns,
                   int64_t timeout_ns);

/**
 * Whether there is a connection: 1 or 0, or a negative `enum vs_error`.
 */
int vs_client_is_connected(struct vs_client *client);

/**
 * What the stream is doing, as of the last call: `enum vs_stream_state`, or a negative `enum vs_error`.
 * Without a connection it is waiting. Why is put at `text`, which may be NULL; it is the client's, and
 * good until the next call of this function.
 */
int vs_client_state(struct vs_client *client, const char **text);

/**
 * The format of the frames, as of the last call; NULL before the first one, and for NULL. The client's:
 * good until the next call of this function.
 */
const struct vs_format *vs_client_format(struct vs_client *client);

/**
 * What was agreed upon with the host; NULL while there is no connection, and for NULL. The client's:
 * good until the next call of this function.
 */
const struct vs_session *vs_client_session(struct vs_client *client);

/**
 * What the client got and did not get. Never NULL, but for NULL, or if another thread is in the client.
 * The client's: good until the next call of this function, which writes to the same place.
 */
const struct vs_counters *vs_client_counters(struct vs_client *client);

/**
 * How long frames took from their publication to this process: the time in ns, put at `latency_ns`, that
 * a fraction `quantile` of them (0.5: half of them) did not exceed. It is at most an eighth too high.
 *
 * Returns 1, and 0 if there is none yet. Errors: `VS_ERROR_ARGUMENT`, `VS_ERROR_BUSY`.
 */
int vs_client_latency(struct vs_client *client, double quantile, uint64_t *latency_ns);

/**
 * Path of the stream's socket; NULL for NULL. The client's: good until the next call of
 * `vs_client_state()` or of this function.
 */
const char *vs_client_path(struct vs_client *client);

/**
 * Plane `index`, to be written to until the buffer is published, submitted, finished or given back.
 *
 * Errors: `VS_ERROR_NOT_FOUND` if there is no such plane, or the buffer is one of `vs_import_buffer()`, which the
 * program fills by itself.
 */
VS_CHECKED
int vs_buffer_plane(struct vs_buffer *buffer,
                    uint32_t index,
                    struct vs_mutable_plane *plane);

/**
 * The format of a buffer; NULL for NULL. The buffer's.
 */
const struct vs_format *vs_buffer_get_format(const struct vs_buffer *buffer);

/**
 * When the picture was taken, in ns of `CLOCK_MONOTONIC`; when the buffer was got unless it is said.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_buffer_set_capture_time(struct vs_buffer *buffer, uint64_t capture_ns);

/**
 * Presentation and decoding time, and duration, in ns; `VS_NO_TIME`, which is also what they are unless
 * it is said, for what is not known.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_buffer_set_times(struct vs_buffer *buffer, int64_t pts, int64_t dts, int64_t duration);

/**
 * The program's own count of its pictures; 0 unless it is said.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_buffer_set_sequence(struct vs_buffer *buffer, uint32_t sequence);

/**
 * What is special about the frame: `VS_FRAME_GAP`... Nothing unless it is said.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_buffer_set_flags(struct vs_buffer *buffer, uint32_t flags);

/**
 * How many bytes of memory `index` carry payload, from the first plane in it: those of an access unit. A whole
 * picture unless it is said.
 *
 * Errors: `VS_ERROR_ARGUMENT` if there cannot be such a memory; that it has fewer bytes shows when the buffer is
 * used.
 */
int vs_buffer_set_bytes_used(struct vs_buffer *buffer,
                             uint32_t index,
                             uint32_t bytes);

/**
 * Makes a frame of a buffer, to be published or submitted as often as wanted; the caller gives it up
 * with `vs_frame_unref()`. The buffer is used up, also by an error.
 *
 * Errors: `VS_ERROR_ARGUMENT`, `VS_ERROR_SYSTEM`.
 */
VS_CHECKED int vs_buffer_finish(struct vs_buffer *buffer, struct vs_frame **frame);

/**
 * Gives a buffer back unused. NULL does nothing.
 */
void vs_buffer_free(struct vs_buffer *buffer);

/**
 * Makes a buffer of memory that the program has: `count` descriptors, 1 to `VS_MAX_PLANES`, all of one
 * `enum vs_memory_kind`. They stay the caller's. Do this once for each buffer, not for each frame: clients get
 * the descriptors of a buffer once. Close it with `vs_import_close()`.
 *
 * A memfd is sealed now, against resizing and against writing through any mapping that does not exist yet:
 * map it for writing before, and create it with `MFD_ALLOW_SEALING`. A DmaBuf stays as it was exported: clients
 * can write to one that was not exported for reading only.
 *
 * Errors: `VS_ERROR_ARGUMENT` if a descriptor is something else, or cannot be sealed; `VS_ERROR_SYSTEM`. `*memory` is
 * NULL then. Any thread may call it.
 */
VS_CHECKED
int vs_import_open(const int *fds,
                   uint32_t count,
                   int kind,
                   struct vs_import **memory);

/**
 * Closes it. Frames of its memory stay good, and the memory must not be written to until their readers are
 * done. NULL does nothing. No thread may be in it, or enter it later.
 */
void vs_import_close(struct vs_import *memory);

/**
 * Memory that has been filled, as a buffer in which a frame of `format` lies: to be published or submitted as any
 * other. From now on the program must not write to the memory, until the descriptor of `vs_import_fd()` is
 * readable.
 *
 * Errors: `VS_ERROR_BUSY` if that is not yet so, `VS_ERROR_FORMAT` if the format does not fit, `VS_ERROR_ARGUMENT`.
 * `*buffer` is NULL then. Any thread may call it.
 */
VS_CHECKED
int vs_import_buffer(struct vs_import *memory,
                     const struct vs_format *format,
                     struct vs_buffer **buffer);

/**
 * A descriptor that is readable while the program may write to the memory: when no frame of it is on its
 * way or being read. Wait for it with poll(2). It is the import's: not to be read or closed. A negative
 * `enum vs_error` for NULL. Any thread may call it.
 */
int vs_import_fd(const struct vs_import *memory);

/**
 * The default options. Free them with `vs_publisher_options_free()`. Never NULL.
 */
struct vs_publisher_options *vs_publisher_options_new(void);

/**
 * Frees options. NULL does nothing.
 */
void vs_publisher_options_free(struct vs_publisher_options *options);

/**
 * How many buffers the publisher has: 12 unless it is said, and at least 3. Two of them stay with the
 * program, the others are what all clients together may hold.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_publisher_options_set_buffers(struct vs_publisher_options *options, uint32_t buffers);

/**
 * The directory of the socket if the stream is given as a name, which is copied; counts more than the
 * environment variable `VIDEOSTREAM_DIR`, which counts more than `/run/videostream`.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is NULL.
 */
int vs_publisher_options_set_socket_dir(struct vs_publisher_options *options, const char *dir);

/**
 * Permission bits of the socket: whoever may write to it may read the stream.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it has other bits than 0777.
 */
int vs_publisher_options_set_socket_mode(struct vs_publisher_options *options, uint32_t mode);

/**
 * Takes the buffers from a DMA heap, given by its device node (which is copied), so that clients' devices
 * can import them. The kernel cannot make those read-only: every client could write to them.
 * Unless it is said they are sealed memfds.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is NULL.
 */
int vs_publisher_options_set_dma_heap(struct vs_publisher_options *options, const char *heap);

/**
 * Publishes `stream` (its name, or the path of its socket: anything with a `/`) in state "waiting". Frames
 * make it "running". `format` is that of `vs_publisher_buffer()`; NULL if frames come from elsewhere.
 * `options` may be NULL. Neither is kept. Close the publisher with `vs_publisher_close()`.
 *
 * Errors: `VS_ERROR_ARGUMENT`, `VS_ERROR_FORMAT`, `VS_ERROR_BUSY` if somebody else publishes there,
 * `VS_ERROR_MEMORY`, `VS_ERROR_SYSTEM`. `*publisher` is NULL then. Any thread may call it.
 */
VS_CHECKED
int vs_publisher_open(const char *stream,
                      const struct vs_format *format,
                      const struct vs_publisher_options *options,
                      struct vs_publisher **publisher);

/**
 * Tells the clients that the stream is gone and why (`reason` may be NULL), removes the socket, and frees
 * the publisher. Waits for nobody. NULL does nothing. No thread may be in it, or enter it later.
 */
void vs_publisher_close(struct vs_publisher *publisher, const char *reason);

/**
 * A buffer to fill, for `vs_publisher_publish()`. Never waits for a client: all of them together cannot
 * hold so many that the program has none.
 *
 * Errors: `VS_ERROR_FORMAT` if the publisher was opened without a format, `VS_ERROR_FULL` if this program
 * itself holds too many, `VS_ERROR_MEMORY`.
 */
VS_CHECKED int vs_publisher_buffer(struct vs_publisher *publisher, struct vs_buffer **buffer);

/**
 * Sends a buffer's frame to every client that may have it. The buffer is used up, also by an error. Its
 * serial is put at `serial`, which may be NULL. Never waits for a client.
 *
 * Errors: `VS_ERROR_ENDED` if the publisher has ended, `VS_ERROR_ARGUMENT`.
 */
int vs_publisher_publish(struct vs_publisher *publisher, struct vs_buffer *buffer, uint64_t *serial);

/**
 * Sends a frame of any origin to every client that may have it, without a copy: of another stream, of a
 * codec, or of `vs_buffer_finish()`. The caller still holds it. A frame of another stream counts against
 * that client's credits until all readers are done with it, and its lease may end earlier.
 *
 * Errors: `VS_ERROR_ENDED`, `VS_ERROR_ARGUMENT`; `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED` if it
 * may not be read any more.
 */
int vs_publisher_publish_frame(struct vs_publisher *publisher,
                               struct vs_frame *frame,
                               uint64_t *serial);

/**
 * Tells the clients what the stream is doing, one of `enum vs_stream_state`, and why: `text` may be NULL.
 * Returns when that is done.
 *
 * Errors: `VS_ERROR_ENDED`, `VS_ERROR_ARGUMENT`.
 */
int vs_publisher_set_state(struct vs_publisher *publisher, int state, const char *text);

/**
 * Makes the buffers anew, for another format, which is not kept. Frames and buffers of the old one stay
 * good.
 *
 * Errors: `VS_ERROR_FORMAT`, `VS_ERROR_MEMORY`, `VS_ERROR_ARGUMENT`; the buffers are then as they were.
 */
VS_CHECKED int vs_publisher_set_format(struct vs_publisher *publisher, const struct vs_format *format);

/**
 * What it has counted, as of now.
 *
 * Errors: `VS_ERROR_ENDED`, `VS_ERROR_ARGUMENT`.
 */
int vs_publisher_get_counters(struct vs_publisher *publisher, struct vs_publisher_counters *counters);

/**
 * Path of the socket; NULL for NULL. The publisher's.
 */
const char *vs_publisher_path(const struct vs_publisher *publisher);

/**
 * The default options. Free them with `vs_encoder_options_free()`. Never NULL.
 */
struct vs_encoder_options *vs_encoder_options_new(void);

/**
 * Frees options. NULL does nothing.
 */
void vs_encoder_options_free(struct vs_encoder_options *options);

/**
 * The codec: `VS_FOURCC_H264`, which it is unless it is said, or `VS_FOURCC_HEVC`.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_encoder_options_set_codec(struct vs_encoder_options *options, uint32_t codec);

/**
 * So many bits per second on average.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_encoder_options_set_bitrate(struct vs_encoder_options *options, uint64_t bits);

/**
 * So many bits per second, as near as possible at each moment.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_encoder_options_set_constant_bitrate(struct vs_encoder_options *options, uint64_t bits);

/**
 * The same quality always, from 1 (smallest) to 100 (best).
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_encoder_options_set_quality(struct vs_encoder_options *options, uint32_t quality);

/**
 * How far keyframes are apart at most, in ns; 0 makes every picture one.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is negative.
 */
int vs_encoder_options_set_keyframe_interval(struct vs_encoder_options *options, int64_t interval_ns);

/**
 * The profile: "baseline", "main" or "high". The text is copied.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is NULL or not UTF-8; what it means is looked at by the daemon.
 */
int vs_encoder_options_set_profile(struct vs_encoder_options *options, const char *profile);

/**
 * The level, such as "4.1". The text is copied.
 *
 * Errors: as of `vs_encoder_options_set_profile()`.
 */
int vs_encoder_options_set_level(struct vs_encoder_options *options, const char *level);

/**
 * Who encodes: "auto", "v4l2" (hardware) or "software". The text is copied.
 *
 * Errors: as of `vs_encoder_options_set_profile()`.
 */
int vs_encoder_options_set_backend(struct vs_encoder_options *options, const char *backend);

/**
 * How many pictures may be submitted and not come back, and how many access units the program may have
 * in hand: 1 to 32 each, 8 unless it is said.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_encoder_options_set_frames(struct vs_encoder_options *options, uint32_t inputs, uint32_t outputs);

/**
 * The bus on which the daemon is: "system", "session" or an address; by default the one that the environment
 * variable `VIDEOSTREAM_BUS` names, or the system bus.
 *
 * Errors: `VS_ERROR_ARGUMENT` for anything else.
 */
int vs_encoder_options_set_bus(struct vs_encoder_options *options, const char *bus);

/**
 * How long `vs_encoder_submit()` and `vs_encoder_buffer()` wait for room, in ns, or `VS_FOREVER`. 10 s by default.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_encoder_options_set_timeout(struct vs_encoder_options *options,
                                   int64_t timeout_ns);

/**
 * Asks the daemon for an encoder for pictures of this format, and waits for it. `options` may be NULL.
 * Neither is kept. Close the encoder with `vs_encoder_close()`.
 *
 * Errors: `VS_ERROR_NOT_RUNNING` if there is no daemon, `VS_ERROR_BUSY` if there are as many sessions as may be,
 * `VS_ERROR_FORMAT` if there is no encoder for that, `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_SYSTEM`,
 * `VS_ERROR_TIMEOUT`. `*encoder` is NULL then. Any thread may call it.
 */
VS_CHECKED
int vs_encoder_open(const struct vs_format *format,
                    const struct vs_encoder_options *options,
                    struct vs_encoder **encoder);

/**
 * Closes the session at once and frees the encoder; what is still inside is lost: `vs_encoder_drain()` before.
 * Access units in hand stay good. NULL does nothing. No thread may be in it, or enter it later.
 */
void vs_encoder_close(struct vs_encoder *encoder);

/**
 * Which encoder it was when it was opened; NULL for NULL. The encoder's, and as long as it. Any thread may
 * call it.
 */
const struct vs_codec_info *vs_encoder_info(const struct vs_encoder *encoder);

/**
 * A buffer for a picture of the format that the encoder was opened for, waiting until one comes back if
 * all are in use. Make a frame of it with `vs_buffer_finish()`.
 *
 * Errors: `VS_ERROR_FULL` if none comes back in time, `VS_ERROR_MEMORY`, and those of `vs_encoder_receive()`.
 */
VS_CHECKED int vs_encoder_buffer(struct vs_encoder *encoder, struct vs_buffer **buffer);

/**
 * Submits a picture of any origin, without a copy; the caller may give it up at once. It comes out as one
 * access unit with this tag and the picture's times. Waits until the daemon can take it. A picture of
 * another size or pixel format than the one before makes the daemon open the encoder anew.
 *
 * A frame of a stream counts against that client's credits until the session has brought it back, which
 * submitting and receiving do. Its lease may end meanwhile: hold it, and ask `vs_frame_check()` when it has
 * come out.
 *
 * Errors: `VS_ERROR_FULL` if outputs must be received first, `VS_ERROR_TIMEOUT`, `VS_ERROR_FORMAT`, `VS_ERROR_REVOKED`,
 * `VS_ERROR_EXPIRED`, and those of `vs_encoder_receive()`; the picture was not submitted.
 */
VS_CHECKED
int vs_encoder_submit(struct vs_encoder *encoder,
                      struct vs_frame *frame,
                      uint64_t tag);

/**
 * As `vs_encoder_submit()`, without waiting: `VS_ERROR_FULL` if there is no credit at present.
 */
VS_CHECKED int vs_encoder_try_submit(struct vs_encoder *encoder, struct vs_frame *frame, uint64_t tag);

/**
 * Waits for what comes out next, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for ever. The
 * output, with the frame in it, is the encoder's and good until the next call of this function.
 *
 * Returns 1 with an output, and 0 with NULL if the time has passed.
 *
 * Errors: `VS_ERROR_REFUSED` or `VS_ERROR_DISCONNECTED` if the daemon has ended the session, `VS_ERROR_PROTOCOL`;
 * `VS_ERROR_ENDED` from then on.
 */
VS_CHECKED
int vs_encoder_receive(struct vs_encoder *encoder,
                       int64_t timeout_ns,
                       const struct vs_output **output);

/**
 * Asks for everything that is still inside; `VS_OUTPUT_TYPE_DRAINED` says that it was all. Further pictures may
 * be submitted at once.
 *
 * Errors: `VS_ERROR_FULL` if too many requests have no answer yet, and those of `vs_encoder_receive()`.
 */
int vs_encoder_drain(struct vs_encoder *encoder);

/**
 * Forgets everything that was submitted and has not been received, drains included.
 *
 * Errors: those of `vs_encoder_drain()`.
 */
int vs_encoder_flush(struct vs_encoder *encoder);

/**
 * Makes the next picture that is submitted a keyframe.
 *
 * Errors: those of `vs_encoder_drain()`.
 */
int vs_encoder_force_keyframe(struct vs_encoder *encoder);

/**
 * Changes the bit rate, in bit/s, from the next picture that is submitted on. `VS_OUTPUT_TYPE_ADJUSTED` says
 * what came of it.
 *
 * Errors: those of `vs_encoder_drain()`.
 */
int vs_encoder_set_bitrate(struct vs_encoder *encoder, uint64_t bits);

/**
 * Changes how far keyframes are apart at most, in ns, from the next picture that is submitted on.
 * `VS_OUTPUT_TYPE_ADJUSTED` says what came of it.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is negative, and those of `vs_encoder_drain()`.
 */
int vs_encoder_set_keyframe_interval(struct vs_encoder *encoder, int64_t interval_ns);

/**
 * Pictures that could be submitted now without waiting, or a negative `enum vs_error`.
 */
int vs_encoder_credit(struct vs_encoder *encoder);

/**
 * Pictures that were submitted and have not come out, or a negative `enum vs_error`.
 */
int vs_encoder_inside(struct vs_encoder *encoder);

/**
 * The descriptor for event loops: when it is readable, call `vs_encoder_receive()` with a timeout of 0 until it
 * gives 0; if `vs_encoder_wants_write()` gives 1, also when it is writable. It is the encoder's: not to be
 * read or closed. A negative `enum vs_error` for NULL.
 */
int vs_encoder_fd(struct vs_encoder *encoder);

/**
 * Whether an event loop is to wait until the descriptor is writable, too: 1 or 0, or a negative
 * `enum vs_error`.
 */
int vs_encoder_wants_write(struct vs_encoder *encoder);

/**
 * The default options. Free them with `vs_decoder_options_free()`. Never NULL.
 */
struct vs_decoder_options *vs_decoder_options_new(void);

/**
 * Frees options. NULL does nothing.
 */
void vs_decoder_options_free(struct vs_decoder_options *options);

/**
 * The codec: `VS_FOURCC_H264`, which it is unless it is said, or whatever the daemon decodes.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_decoder_options_set_codec(struct vs_decoder_options *options, uint32_t codec);

/**
 * The size of the pictures in pixels, if it is known; the access units have the last word.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_decoder_options_set_size(struct vs_decoder_options *options, uint32_t width, uint32_t height);

/**
 * `count` pixel formats from the most wanted to the least, which are copied. A decoder that has none of
 * them gives its own.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_decoder_options_set_formats(struct vs_decoder_options *options, const uint32_t *fourccs, size_t count);

/**
 * Who decodes: "auto", "v4l2" (hardware) or "software". The text is copied.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is NULL or not UTF-8; what it means is looked at by the daemon.
 */
int vs_decoder_options_set_backend(struct vs_decoder_options *options, const char *backend);

/**
 * How many access units may be submitted and not come back, and how many pictures the program may have
 * in hand: 1 to 32 each, 8 unless it is said.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_decoder_options_set_frames(struct vs_decoder_options *options, uint32_t inputs, uint32_t outputs);

/**
 * The bus on which the daemon is: "system", "session" or an address; by default the one that the environment
 * variable `VIDEOSTREAM_BUS` names, or the system bus.
 *
 * Errors: `VS_ERROR_ARGUMENT` for anything else.
 */
int vs_decoder_options_set_bus(struct vs_decoder_options *options, const char *bus);

/**
 * How long `vs_decoder_submit()` waits for room, in ns, or `VS_FOREVER`. 10 s by default.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_decoder_options_set_timeout(struct vs_decoder_options *options, int64_t timeout_ns);

/**
 * Asks the daemon for a decoder, and waits for it. `options` may be NULL, and are not kept. Close the decoder with `vs_decoder_close()`.
 *
 * Errors: `VS_ERROR_NOT_RUNNING` if there is no daemon, `VS_ERROR_BUSY` if there are as many sessions as may be,
 * `VS_ERROR_FORMAT` if there is no decoder for that, `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_SYSTEM`,
 * `VS_ERROR_TIMEOUT`. `*decoder` is NULL then. Any thread may call it.
 */
VS_CHECKED
int vs_decoder_open(const struct vs_decoder_options *options,
                    struct vs_decoder **decoder);

/**
 * Closes the session at once and frees the decoder; what is still inside is lost: `vs_decoder_drain()` before.
 * Pictures in hand stay good. NULL does nothing. No thread may be in it, or enter it later.
 */
void vs_decoder_close(struct vs_decoder *decoder);

/**
 * Which decoder it was when it was opened; NULL for NULL. The decoder's, and as long as it. Any thread may
 * call it.
 */
const struct vs_codec_info *vs_decoder_info(const struct vs_decoder *decoder);

/**
 * Submits an access unit that is a frame already, of a coded stream or an encoder, without a copy; the
 * caller may give it up at once. Units come in decoding order, with parameter sets in front of keyframes.
 * Each comes out as one picture with this tag and its times, or is lost; pictures come in the order in
 * which they are to be shown, each in its own format. Waits until the daemon can take it.
 *
 * A frame of a stream counts against that client's credits until the session has brought it back, which
 * submitting and receiving do. Its lease may end meanwhile: hold it, and ask `vs_frame_check()` when it has
 * come out.
 *
 * Errors: `VS_ERROR_FULL` if outputs must be received first, `VS_ERROR_TIMEOUT`, `VS_ERROR_FORMAT`, `VS_ERROR_REVOKED`,
 * `VS_ERROR_EXPIRED`, and those of `vs_decoder_receive()`; the access unit was not submitted.
 */
VS_CHECKED
int vs_decoder_submit(struct vs_decoder *decoder,
                      struct vs_frame *frame,
                      uint64_t tag);

/**
 * As `vs_decoder_submit()`, without waiting: `VS_ERROR_FULL` if there is no credit at present.
 */
VS_CHECKED int vs_decoder_try_submit(struct vs_decoder *decoder, struct vs_frame *frame, uint64_t tag);

/**
 * Submits an access unit of `size` bytes that lies in ordinary memory, by copying it. `pts` and `dts` are in
 * ns, or `VS_NO_TIME`; `flags` is `VS_FRAME_KEYFRAME` or 0. Otherwise as `vs_decoder_submit()`.
 *
 * Errors: `VS_ERROR_ARGUMENT` if it is too long, and those of `vs_decoder_submit()`.
 */
VS_CHECKED
int vs_decoder_submit_bytes(struct vs_decoder *decoder,
                            const uint8_t *data,
                            size_t size,
                            int64_t pts,
                            int64_t dts,
                            uint32_t flags,
                            uint64_t tag);

/**
 * Waits for what comes out next, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for ever. The
 * output, with the frame in it, is the decoder's and good until the next call of this function.
 *
 * Returns 1 with an output, and 0 with NULL if the time has passed.
 *
 * Errors: `VS_ERROR_REFUSED` or `VS_ERROR_DISCONNECTED` if the daemon has ended the session, `VS_ERROR_PROTOCOL`;
 * `VS_ERROR_ENDED` from then on.
 */
VS_CHECKED
int vs_decoder_receive(struct vs_decoder *decoder,
                       int64_t timeout_ns,
                       const struct vs_output **output);

/**
 * Asks for everything that is still inside; `VS_OUTPUT_TYPE_DRAINED` says that it was all. Further access units
 * may be submitted at once, beginning with a keyframe.
 *
 * Errors: `VS_ERROR_FULL` if too many requests have no answer yet, and those of `vs_decoder_receive()`.
 */
int vs_decoder_drain(struct vs_decoder *decoder);

/**
 * Forgets everything that was submitted and has not been received, drains included: a seek. What comes
 * next must begin with a keyframe.
 *
 * Errors: those of `vs_decoder_drain()`.
 */
int vs_decoder_flush(struct vs_decoder *decoder);

/**
 * Access units that could be submitted now without waiting, or a negative `enum vs_error`.
 */
int vs_decoder_credit(struct vs_decoder *decoder);

/**
 * Access units that were submitted and have not come out, or a negative `enum vs_error`.
 */
int vs_decoder_inside(struct vs_decoder *decoder);

/**
 * The descriptor for event loops: when it is readable, call `vs_decoder_receive()` with a timeout of 0 until it
 * gives 0; if `vs_decoder_wants_write()` gives 1, also when it is writable. It is the decoder's: not to be
 * read or closed. A negative `enum vs_error` for NULL.
 */
int vs_decoder_fd(struct vs_decoder *decoder);

/**
 * Whether an event loop is to wait until the descriptor is writable, too: 1 or 0, or a negative
 * `enum vs_error`.
 */
int vs_decoder_wants_write(struct vs_decoder *decoder);

/**
 * Connects to the daemon: on "system", "session" or the bus at an address; NULL takes the one that the
 * environment variable `VIDEOSTREAM_BUS` names, or the system bus. Close it with `vs_control_close()`.
 *
 * Errors: `VS_ERROR_NOT_RUNNING` if there is no daemon, `VS_ERROR_SYSTEM` if there is no bus, `VS_ERROR_ARGUMENT`.
 * `*control` is NULL then. Any thread may call it.
 */
VS_CHECKED
int vs_control_open(const char *bus,
                    struct vs_control **control);

/**
 * Ends the connection, and with it the recordings that were begun over it, unless they are detached. NULL
 * does nothing. No thread may be in it, or enter it later.
 */
void vs_control_close(struct vs_control *control);

/**
 * No options. Free them with `vs_control_options_free()`. Never NULL.
 */
struct vs_control_options *vs_control_options_new(void);

/**
 * Frees options. NULL does nothing.
 */
void vs_control_options_free(struct vs_control_options *options);

/**
 * Sets an option whose value is a text: `format`, `from`, `codec`, `rate-control`, `profile`, `level`, `backend`,
 * `title`. The text is copied; what it means is looked at by the daemon.
 *
 * Errors: `VS_ERROR_ARGUMENT` if there is no such option.
 */
int vs_control_options_set_text(struct vs_control_options *options,
                                const char *option,
                                const char *value);

/**
 * Sets an option whose value is a number: `bitrate` (bit/s), `quality` (1 to 100), `frames`, and in ns
 * `keyframe-interval`, `duration`, `pre`, `segment-duration`, `fragment`, `sync`, `timeout`; `segment-bytes` in bytes;
 * `detach` 0 or 1.
 *
 * Errors: `VS_ERROR_ARGUMENT` if there is no such option, or it cannot be as large.
 */
int vs_control_options_set_number(struct vs_control_options *options,
                                  const char *option,
                                  uint64_t value);

/**
 * Sets the size in pixels, of a stream or, as a frame to fit into, of a snapshot.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_control_options_set_size(struct vs_control_options *options, uint32_t width, uint32_t height);

/**
 * Sets the frame rate of a stream: `num` frames in `den` seconds.
 *
 * Errors: `VS_ERROR_ARGUMENT`.
 */
int vs_control_options_set_rate(struct vs_control_options *options, uint32_t num, uint32_t den);

/**
 * Starts a stream, which then runs until it is stopped, used or not. `options` may be NULL; those of
 * recordings do not count. Returns when the first frame can come.
 *
 * Errors: `VS_ERROR_NOT_FOUND`, `VS_ERROR_FORMAT` if the source does not have that format, `VS_ERROR_BUSY`,
 * `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_FAILED`; `VS_ERROR_DISCONNECTED` if the daemon went away.
 */
int vs_control_start_stream(struct vs_control *control,
                            const char *name,
                            const struct vs_control_options *options);

/**
 * Stops a stream: nobody can use it before it is started again. Returns when its recordings are finished
 * and its clients told.
 *
 * Errors: `VS_ERROR_NOT_FOUND`, `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_FAILED`, `VS_ERROR_DISCONNECTED`.
 */
int vs_control_stop_stream(struct vs_control *control,
                           const char *name);

/**
 * Records a stream into a file that is open for reading and writing, and returns when recording has begun.
 * The descriptor stays the caller's and may be closed at once. Its number is put at `recording`. `options`
 * may be NULL. The recording ends with the control unless it is detached.
 *
 * Errors: `VS_ERROR_NOT_FOUND`, `VS_ERROR_NOT_RUNNING`, `VS_ERROR_ARGUMENT` if the file cannot be recorded to,
 * `VS_ERROR_FORMAT`, `VS_ERROR_DENIED`, `VS_ERROR_FAILED`, `VS_ERROR_DISCONNECTED`.
 */
int vs_control_record(struct vs_control *control,
                      const char *stream,
                      int fd,
                      const struct vs_control_options *options,
                      uint64_t *recording);

/**
 * Ends a recording by its number, and returns when its file is complete. What became of it is put at
 * `result`, which may be NULL.
 *
 * Errors: `VS_ERROR_NOT_FOUND` if it ended long ago, `VS_ERROR_FAILED` if it failed, `VS_ERROR_DENIED`,
 * `VS_ERROR_DISCONNECTED`.
 */
int vs_control_stop_recording(struct vs_control *control,
                              uint64_t recording,
                              struct vs_recording_result *result);

/**
 * Waits until a recording has ended by itself, for whatever reason. As `vs_control_stop_recording()`.
 */
int vs_control_wait_recording(struct vs_control *control,
                              uint64_t recording,
                              struct vs_recording_result *result);

/**
 * Takes a picture of a stream into a regular file or a pipe that is open for writing, and returns when it is
 * written: a JPEG, or what the option `format` says ("png", "raw", a fourcc). The descriptor stays the caller's.
 * `options` may be NULL.
 *
 * Errors: those of `vs_control_record()`.
 */
int vs_control_snapshot(struct vs_control *control,
                        const char *stream,
                        int fd,
                        const struct vs_control_options *options);

/**
 * Lists the streams of the daemon. Free the list with `vs_stream_list_free()`.
 *
 * Errors: `VS_ERROR_DISCONNECTED`, `VS_ERROR_FAILED`, `VS_ERROR_ARGUMENT`. `*list` is NULL then.
 */
VS_CHECKED int vs_control_streams(struct vs_control *control, struct vs_stream_list **list);

/**
 * How many streams there are; 0 for NULL.
 */
size_t vs_stream_list_count(const struct vs_stream_list *list);

/**
 * Stream `index`, in the order of their names; NULL if there is none. The list's.
 */
const struct vs_stream_info *vs_stream_list_get(const struct vs_stream_list *list, size_t index);

/**
 * Frees a list. NULL does nothing.
 */
void vs_stream_list_free(struct vs_stream_list *list);

/**
 * Lists the devices of the daemon. Free the list with `vs_device_list_free()`.
 *
 * Errors: `VS_ERROR_DISCONNECTED`, `VS_ERROR_FAILED`, `VS_ERROR_ARGUMENT`. `*list` is NULL then.
 */
VS_CHECKED int vs_control_devices(struct vs_control *control, struct vs_device_list **list);

/**
 * How many devices there are; 0 for NULL.
 */
size_t vs_device_list_count(const struct vs_device_list *list);

/**
 * Device `index`, in the order of their names; NULL if there is none. The list's.
 */
const struct vs_device_info *vs_device_list_get(const struct vs_device_list *list, size_t index);

/**
 * Frees a list. NULL does nothing.
 */
void vs_device_list_free(struct vs_device_list *list);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VSCLIENT_H */
