// SPDX-License-Identifier: Apache-2.0
//! The daemon itself: streams, devices, recordings. Each call blocks until the daemon has answered.

use std::ffi::{CString, c_char, c_int};
use std::os::fd::BorrowedFd;

use tokio::runtime::Runtime;
use vsclient::dbus::{
    self, Bus, CallError, CodingOptions, Daemon, DeviceInfo, Objects, RecordOptions, SnapshotOptions, StartOptions,
    StopOptions, StreamInfo, Summary,
};

use crate::argument::{object, object_mut, optional_text, place, put, room, text};
use crate::error::{Failure, Outcome, VS_OK, call, call_or};
use crate::event::c_text;

/// The way to a daemon, over D-Bus. Any threads may use it at once.
pub struct vs_control {
    daemon: Daemon,
    runtime: Runtime,
}

const fn any_thread<T: Send + Sync>() {}
const _: () = any_thread::<vs_control>();

/// Options for streams, recordings and snapshots, by the names that `docs/dbus.md` gives them. They belong to
/// the program, and one thread at a time may use them.
#[derive(Default)]
pub struct vs_control_options {
    start: StartOptions,
    record: RecordOptions,
    snapshot: SnapshotOptions,
    coding: CodingOptions,
}

/// A stream of the daemon. Its list's. Texts are never NULL. Use pointers, for it may grow at its end.
#[repr(C)]
pub struct vs_stream_info {
    /// Its name, and that of its socket.
    pub name: *const c_char,
    /// "stopped", "idle", "waiting", "running" or "failed".
    pub state: *const c_char,
    /// Why it is in that state.
    pub state_text: *const c_char,
    /// What fills it: "pattern", "camera", "ipc", "coded", "converted" or "file".
    pub source: *const c_char,
    /// Path of its socket; empty while it is stopped.
    pub socket: *const c_char,
    /// Fourcc of its frames as text, such as "NV12"; empty before the first start.
    pub fourcc: *const c_char,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Nominal frame rate: so many frames...
    pub rate_num: u32,
    /// ...in so many seconds.
    pub rate_den: u32,
    /// Frames published since its start.
    pub published: u64,
    /// Clients that are connected.
    pub clients: u32,
}

/// A device of the daemon. Its list's. Texts are never NULL. Use pointers, for it may grow at its end.
#[repr(C)]
pub struct vs_device_info {
    /// The name by which streams and commands know it.
    pub name: *const c_char,
    /// "camera", "encoder", "decoder" or "converter".
    pub kind: *const c_char,
    /// Device node.
    pub node: *const c_char,
    /// What the driver calls the hardware.
    pub card: *const c_char,
    /// Name of the driver.
    pub driver: *const c_char,
    /// Why it cannot be used, and what to do; empty if it can.
    pub problem: *const c_char,
    /// Whether it is there.
    pub present: bool,
}

/// What became of a recording. Never grows.
#[repr(C)]
pub struct vs_recording_result {
    /// Frames in its files.
    pub frames: u64,
    /// Frames that the encoder or the file were too slow for.
    pub dropped: u64,
    /// Duration in ns.
    pub duration_ns: u64,
    /// Length of all files in bytes.
    pub bytes: u64,
    /// Whether all of them are ordinary MP4s, not fragmented ones.
    pub progressive: bool,
}

/// The streams of the daemon at one moment. It does not change: any threads may use it at once.
pub struct vs_stream_list(Vec<vs_stream_info>, #[allow(dead_code, reason = "what the entries point to")] Texts);

/// The devices of the daemon at one moment. It does not change: any threads may use it at once.
pub struct vs_device_list(Vec<vs_device_info>, #[allow(dead_code, reason = "what the entries point to")] Texts);

/// Texts for C, which stay where they are.
#[derive(Default)]
struct Texts(Vec<CString>);

impl Texts {
    fn add(&mut self, text: &str) -> *const c_char {
        let text = c_text(text);
        // The bytes of a text stay where they are when it moves.
        let pointer = text.as_ptr();
        self.0.push(text);
        pointer
    }
}

impl vs_control {
    fn ask<T>(&self, question: impl Future<Output = Result<T, CallError>>) -> Outcome<T> {
        Ok(self.runtime.block_on(question)?)
    }

    fn objects(&self) -> Outcome<Objects> {
        self.ask(self.daemon.objects())
    }
}

/// Connects to the daemon: on "system", "session" or the bus at an address; NULL takes the one that the
/// environment variable `VIDEOSTREAM_BUS` names, or the system bus. Close it with `vs_control_close()`.
///
/// Errors: `VS_ERROR_NOT_RUNNING` if there is no daemon, `VS_ERROR_SYSTEM` if there is no bus, `VS_ERROR_ARGUMENT`.
/// `*control` is NULL then. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_open(bus: *const c_char, control: *mut *mut vs_control) -> c_int {
    call(|| {
        // SAFETY: the header wants NULL or a text, and room for a pointer.
        let (place, bus) = unsafe { (place(control, "control")?, optional_text(bus, "bus")?) };
        let bus = match bus {
            Some(bus) => bus.parse()?,
            None => Bus::from_env()?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let daemon = runtime.block_on(dbus::connect(&bus))?;
        *place = Box::into_raw(Box::new(vs_control { daemon, runtime }));
        Ok(VS_OK)
    })
}

/// Ends the connection, and with it the recordings that were begun over it, unless they are detached. NULL
/// does nothing. No thread may be in it, or enter it later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_close(control: *mut vs_control) {
    call(|| {
        if !control.is_null() {
            // SAFETY: it is a box that `vs_control_open` gave away.
            drop(unsafe { Box::from_raw(control) });
        }
        Ok(VS_OK)
    });
}

/// No options. Free them with `vs_control_options_free()`. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vs_control_options_new() -> *mut vs_control_options {
    Box::into_raw(Box::default())
}

/// Frees options. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_options_free(options: *mut vs_control_options) {
    if !options.is_null() {
        // SAFETY: it is a box that `vs_control_options_new` gave away.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// Sets an option whose value is a text: `format`, `from`, `codec`, `rate-control`, `profile`, `level`, `backend`,
/// `title`. The text is copied; what it means is looked at by the daemon.
///
/// Errors: `VS_ERROR_ARGUMENT` if there is no such option.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_options_set_text(
    options: *mut vs_control_options,
    option: *const c_char,
    value: *const c_char,
) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses, and texts.
        let (options, name) = unsafe { (object_mut(options, "options")?, text(option, "option")?) };
        // SAFETY: as above.
        let value = Some(unsafe { text(value, "value") }?.to_owned());
        match name {
            "format" => (options.start.format, options.snapshot.format) = (value.clone(), value),
            "from" => options.start.from = value,
            "codec" => options.coding.codec = value,
            "rate-control" => options.coding.rate_control = value,
            "profile" => options.coding.profile = value,
            "level" => options.coding.level = value,
            "backend" => options.coding.backend = value,
            "title" => options.record.title = value,
            _ => return Err(Failure::argument(format!("there is no text option '{name}'"))),
        }
        Ok(VS_OK)
    })
}

/// Sets an option whose value is a number: `bitrate` (bit/s), `quality` (1 to 100), `frames`, and in ns
/// `keyframe-interval`, `duration`, `pre`, `segment-duration`, `fragment`, `sync`, `timeout`; `segment-bytes` in bytes;
/// `detach` 0 or 1.
///
/// Errors: `VS_ERROR_ARGUMENT` if there is no such option, or it cannot be as large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_options_set_number(
    options: *mut vs_control_options,
    option: *const c_char,
    value: u64,
) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses, and a text.
        let (options, name) = unsafe { (object_mut(options, "options")?, text(option, "option")?) };
        let number = Some(value);
        match name {
            "bitrate" => options.coding.bitrate = number,
            "quality" => {
                let small = u32::try_from(value).map_err(|_| Failure::argument(format!("{value} is no quality")))?;
                (options.coding.quality, options.snapshot.quality) = (Some(small), Some(small));
            }
            "keyframe-interval" => options.coding.keyframe_interval = number,
            "duration" => options.record.duration = number,
            "frames" => options.record.frames = number,
            "pre" => (options.start.pre, options.record.pre) = (number, number),
            "segment-duration" => options.record.segment_duration = number,
            "segment-bytes" => options.record.segment_bytes = number,
            "fragment" => options.record.fragment = number,
            "sync" => options.record.sync = number,
            "timeout" => options.snapshot.timeout = number,
            "detach" => options.record.detach = Some(value != 0),
            _ => return Err(Failure::argument(format!("there is no number option '{name}'"))),
        }
        Ok(VS_OK)
    })
}

/// Sets the size in pixels, of a stream or, as a frame to fit into, of a snapshot.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_options_set_size(
    options: *mut vs_control_options,
    width: u32,
    height: u32,
) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses.
        let options = unsafe { object_mut(options, "options") }?;
        (options.start.size, options.snapshot.size) = (Some((width, height)), Some((width, height)));
        Ok(VS_OK)
    })
}

/// Sets the frame rate of a stream: `num` frames in `den` seconds.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_options_set_rate(options: *mut vs_control_options, num: u32, den: u32) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses.
        unsafe { object_mut(options, "options") }?.start.rate = Some((num, den));
        Ok(VS_OK)
    })
}

/// Starts a stream, which then runs until it is stopped, used or not. `options` may be NULL; those of
/// recordings do not count. Returns when the first frame can come.
///
/// Errors: `VS_ERROR_NOT_FOUND`, `VS_ERROR_FORMAT` if the source does not have that format, `VS_ERROR_BUSY`,
/// `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_FAILED`; `VS_ERROR_DISCONNECTED` if the daemon went away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_start_stream(
    control: *mut vs_control,
    name: *const c_char,
    options: *const vs_control_options,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a control, a text, and NULL or options.
        let (control, name) = unsafe { (object(control, "control")?, text(name, "name")?) };
        // SAFETY: as above.
        let wanted = unsafe { options.as_ref() }.map_or_else(StartOptions::default, |options| StartOptions {
            coding: options.coding.clone(),
            ..options.start.clone()
        });
        control.ask(async { Ok(control.daemon.manager().await?.start_stream(name, &wanted).await?) })?;
        Ok(VS_OK)
    })
}

/// Stops a stream: nobody can use it before it is started again. Returns when its recordings are finished
/// and its clients told.
///
/// Errors: `VS_ERROR_NOT_FOUND`, `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_FAILED`, `VS_ERROR_DISCONNECTED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_stop_stream(control: *mut vs_control, name: *const c_char) -> c_int {
    call(|| {
        // SAFETY: the header wants a control and a text.
        let (control, name) = unsafe { (object(control, "control")?, text(name, "name")?) };
        let wanted = StopOptions::default();
        control.ask(async { Ok(control.daemon.manager().await?.stop_stream(name, &wanted).await?) })?;
        Ok(VS_OK)
    })
}

/// Records a stream into a file that is open for reading and writing, and returns when recording has begun.
/// The descriptor stays the caller's and may be closed at once. Its number is put at `recording`. `options`
/// may be NULL. The recording ends with the control unless it is detached.
///
/// Errors: `VS_ERROR_NOT_FOUND`, `VS_ERROR_NOT_RUNNING`, `VS_ERROR_ARGUMENT` if the file cannot be recorded to,
/// `VS_ERROR_FORMAT`, `VS_ERROR_DENIED`, `VS_ERROR_FAILED`, `VS_ERROR_DISCONNECTED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_record(
    control: *mut vs_control,
    stream: *const c_char,
    fd: c_int,
    options: *const vs_control_options,
    recording: *mut u64,
) -> c_int {
    call(|| {
        room(recording, "recording")?;
        // SAFETY: the header wants a control, a text, and NULL or options.
        let (control, stream) = unsafe { (object(control, "control")?, text(stream, "stream")?) };
        // SAFETY: as above.
        let wanted = unsafe { options.as_ref() }.map_or_else(RecordOptions::default, |options| RecordOptions {
            coding: options.coding.clone(),
            ..options.record.clone()
        });
        // SAFETY: the header wants an open descriptor.
        let file = unsafe { descriptor(fd) }?;
        let path =
            control.ask(async { Ok(control.daemon.manager().await?.record(stream, file.into(), &wanted).await?) })?;
        let number = dbus::recording_number(&path);
        let number =
            number.ok_or_else(|| Failure::new(crate::error::vs_error::Protocol, format!("{path} is no recording")))?;
        // SAFETY: there is room for a number.
        unsafe { put(recording, number) };
        Ok(VS_OK)
    })
}

/// Ends a recording by its number, and returns when its file is complete. What became of it is put at
/// `result`, which may be NULL.
///
/// Errors: `VS_ERROR_NOT_FOUND` if it ended long ago, `VS_ERROR_FAILED` if it failed, `VS_ERROR_DENIED`,
/// `VS_ERROR_DISCONNECTED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_stop_recording(
    control: *mut vs_control,
    recording: u64,
    result: *mut vs_recording_result,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a control.
        let control = unsafe { object(control, "control") }?;
        let end = control.ask(async { Ok(control.daemon.recording(recording).await?.stop().await?) })?;
        // SAFETY: the header wants NULL or room for a result.
        unsafe { ended(end, result) }
    })
}

/// Waits until a recording has ended by itself, for whatever reason. As `vs_control_stop_recording()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_wait_recording(
    control: *mut vs_control,
    recording: u64,
    result: *mut vs_recording_result,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a control.
        let control = unsafe { object(control, "control") }?;
        let end = control.ask(async { Ok(control.daemon.recording(recording).await?.wait().await?) })?;
        // SAFETY: the header wants NULL or room for a result.
        unsafe { ended(end, result) }
    })
}

/// Says what became of a recording.
///
/// # Safety
/// `result` is NULL or room for one.
unsafe fn ended(end: Summary, result: *mut vs_recording_result) -> Outcome {
    let Summary { frames, dropped, duration, bytes, progressive, .. } = end;
    // SAFETY: as the caller says.
    unsafe { put(result, vs_recording_result { frames, dropped, duration_ns: duration, bytes, progressive }) };
    if end.error.is_empty() { Ok(VS_OK) } else { Err(Failure::new(crate::error::vs_error::Failed, end.error)) }
}

/// Takes a picture of a stream into a regular file or a pipe that is open for writing, and returns when it is
/// written: a JPEG, or what the option `format` says ("png", "raw", a fourcc). The descriptor stays the caller's.
/// `options` may be NULL.
///
/// Errors: those of `vs_control_record()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_snapshot(
    control: *mut vs_control,
    stream: *const c_char,
    fd: c_int,
    options: *const vs_control_options,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a control, a text, and NULL or options.
        let (control, stream) = unsafe { (object(control, "control")?, text(stream, "stream")?) };
        // SAFETY: as above.
        let wanted = unsafe { options.as_ref() }.map_or_else(Default::default, |options| options.snapshot.clone());
        // SAFETY: the header wants an open descriptor.
        let file = unsafe { descriptor(fd) }?;
        control.ask(async { Ok(control.daemon.manager().await?.snapshot(stream, file.into(), &wanted).await?) })?;
        Ok(VS_OK)
    })
}

/// A descriptor of the caller's.
///
/// # Safety
/// It is negative or open, and stays so.
unsafe fn descriptor<'a>(fd: c_int) -> Outcome<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(Failure::argument(format!("{fd} is no descriptor")));
    }
    // SAFETY: as the caller says.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Lists the streams of the daemon. Free the list with `vs_stream_list_free()`.
///
/// Errors: `VS_ERROR_DISCONNECTED`, `VS_ERROR_FAILED`, `VS_ERROR_ARGUMENT`. `*list` is NULL then.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_streams(control: *mut vs_control, list: *mut *mut vs_stream_list) -> c_int {
    call(|| {
        // SAFETY: the header wants a control, and room for a pointer.
        let (place, control) = unsafe { (place(list, "list")?, object(control, "control")?) };
        let mut texts = Texts::default();
        let streams = control.objects()?.streams.iter().map(|stream| describe_stream(stream, &mut texts)).collect();
        *place = Box::into_raw(Box::new(vs_stream_list(streams, texts)));
        Ok(VS_OK)
    })
}

fn describe_stream(stream: &StreamInfo, texts: &mut Texts) -> vs_stream_info {
    let (rate_num, rate_den) = stream.format.rate;
    vs_stream_info {
        name: texts.add(&stream.name),
        state: texts.add(&stream.state),
        state_text: texts.add(&stream.state_text),
        source: texts.add(&stream.source_kind),
        socket: texts.add(&stream.socket),
        fourcc: texts.add(&stream.format.fourcc),
        width: stream.format.width,
        height: stream.format.height,
        rate_num,
        rate_den,
        published: stream.counters.published,
        clients: u32::try_from(stream.clients.len()).unwrap_or(u32::MAX),
    }
}

/// How many streams there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_stream_list_count(list: *const vs_stream_list) -> usize {
    // SAFETY: the header wants NULL or a list.
    call_or(0, || Ok(unsafe { object(list, "list") }?.0.len()))
}

/// Stream `index`, in the order of their names; NULL if there is none. The list's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_stream_list_get(list: *const vs_stream_list, index: usize) -> *const vs_stream_info {
    call_or(std::ptr::null(), || {
        // SAFETY: the header wants NULL or a list.
        let list = unsafe { object(list, "list") }?;
        Ok(list.0.get(index).map_or(std::ptr::null(), |info| info))
    })
}

/// Frees a list. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_stream_list_free(list: *mut vs_stream_list) {
    if !list.is_null() {
        // SAFETY: it is a box that `vs_control_streams` gave away.
        drop(unsafe { Box::from_raw(list) });
    }
}

/// Lists the devices of the daemon. Free the list with `vs_device_list_free()`.
///
/// Errors: `VS_ERROR_DISCONNECTED`, `VS_ERROR_FAILED`, `VS_ERROR_ARGUMENT`. `*list` is NULL then.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_control_devices(control: *mut vs_control, list: *mut *mut vs_device_list) -> c_int {
    call(|| {
        // SAFETY: the header wants a control, and room for a pointer.
        let (place, control) = unsafe { (place(list, "list")?, object(control, "control")?) };
        let mut texts = Texts::default();
        let devices = control.objects()?.devices.iter().map(|device| describe_device(device, &mut texts)).collect();
        *place = Box::into_raw(Box::new(vs_device_list(devices, texts)));
        Ok(VS_OK)
    })
}

fn describe_device(device: &DeviceInfo, texts: &mut Texts) -> vs_device_info {
    vs_device_info {
        name: texts.add(&device.name),
        kind: texts.add(&device.kind),
        node: texts.add(&device.node),
        card: texts.add(&device.card),
        driver: texts.add(&device.driver),
        problem: texts.add(&device.problem),
        present: device.present,
    }
}

/// How many devices there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_device_list_count(list: *const vs_device_list) -> usize {
    // SAFETY: the header wants NULL or a list.
    call_or(0, || Ok(unsafe { object(list, "list") }?.0.len()))
}

/// Device `index`, in the order of their names; NULL if there is none. The list's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_device_list_get(list: *const vs_device_list, index: usize) -> *const vs_device_info {
    call_or(std::ptr::null(), || {
        // SAFETY: the header wants NULL or a list.
        let list = unsafe { object(list, "list") }?;
        Ok(list.0.get(index).map_or(std::ptr::null(), |info| info))
    })
}

/// Frees a list. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_device_list_free(list: *mut vs_device_list) {
    if !list.is_null() {
        // SAFETY: it is a box that `vs_control_devices` gave away.
        drop(unsafe { Box::from_raw(list) });
    }
}
