// SPDX-License-Identifier: Apache-2.0
//! `VIDIOC_QUERY_EXT_CTRL`, `VIDIOC_QUERYMENU`, `VIDIOC_G_EXT_CTRLS`, `VIDIOC_S_EXT_CTRLS` and
//! `VIDIOC_TRY_EXT_CTRLS`.
//!
//! v4l2r knows controls by types of its own; here the caller only has their numbers.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use v4l2r::bindings;

use super::{Result, retry, text};

nix::ioctl_readwrite!(vidioc_querymenu, b'V', 37, bindings::v4l2_querymenu);
nix::ioctl_readwrite!(vidioc_g_ext_ctrls, b'V', 71, bindings::v4l2_ext_controls);
nix::ioctl_readwrite!(vidioc_s_ext_ctrls, b'V', 72, bindings::v4l2_ext_controls);
nix::ioctl_readwrite!(vidioc_try_ext_ctrls, b'V', 73, bindings::v4l2_ext_controls);
nix::ioctl_readwrite!(vidioc_query_ext_ctrl, b'V', 103, bindings::v4l2_query_ext_ctrl);

/// What a driver says of one control.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RawControl {
    pub(crate) id: u32,
    pub(crate) kind: u32,
    pub(crate) title: String,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) step: u64,
    pub(crate) default: i64,
    pub(crate) flags: u32,
    /// Elements in each dimension; empty if it is a single value.
    pub(crate) dims: Vec<u32>,
}

/// A value on its way from or to the driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RawValue {
    /// Of up to 32 bits.
    Small(i32),
    /// Of 64 bits.
    Large(i64),
    /// A text of at most so many bytes and a NUL.
    Text(String, usize),
}

/// A call for several controls that was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) errno: Errno,
    /// At which of them; `None` if the call was refused as a whole, before anything was set.
    pub(crate) at: Option<usize>,
}

/// Whether to set values, or only to ask whether they could be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Attempt {
    Try,
    Set,
}

/// The control with this number, or with `V4L2_CTRL_FLAG_NEXT_*` in it the next one; `None`
/// if there is none (more), or the driver has no controls.
pub(crate) fn query_control(fd: BorrowedFd<'_>, id: u32) -> Result<Option<RawControl>> {
    let asked = retry(|| {
        let mut raw = bindings::v4l2_query_ext_ctrl { id, ..Default::default() };
        // SAFETY: `raw` is the structure that this request fills, alive for the call.
        unsafe { vidioc_query_ext_ctrl(fd.as_raw_fd(), &raw mut raw) }.map_err(system)?;
        Ok(raw)
    });
    match asked {
        Ok(raw) => Ok(Some(RawControl {
            id: raw.id,
            kind: raw.type_,
            title: text(&raw.name.map(|c| c as u8)),
            min: raw.minimum,
            max: raw.maximum,
            step: raw.step,
            default: raw.default_value,
            flags: raw.flags,
            dims: raw.dims.iter().take(raw.nr_of_dims as usize).copied().collect(),
        })),
        Err(Errno::INVAL | Errno::NOTTY) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An entry of a menu as the driver states it: a name, or for integer menus a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MenuKind {
    Names,
    Numbers,
}

/// The words of one entry of a menu; `None` where the menu has a hole.
pub(crate) fn query_menu(fd: BorrowedFd<'_>, id: u32, index: u32, kind: MenuKind) -> Result<Option<String>> {
    let asked = retry(|| {
        let mut raw = bindings::v4l2_querymenu { id, index, ..Default::default() };
        // SAFETY: `raw` is the structure that this request fills, alive for the call.
        unsafe { vidioc_querymenu(fd.as_raw_fd(), &raw mut raw) }.map_err(system)?;
        Ok(raw)
    });
    let entry = match asked {
        // The structure is packed: what is read of it is copied out.
        Ok(raw) => raw.__bindgen_anon_1,
        Err(Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error),
    };
    // SAFETY: both are plain bytes, which were zero before the kernel filled one of them.
    let (number, name) = unsafe { (entry.value, entry.name) };
    Ok(Some(match kind {
        MenuKind::Numbers => number.to_string(),
        MenuKind::Names => text(&name),
    }))
}

/// The value of one control. `like` says of which type it is; its contents do not matter.
pub(crate) fn get_control(fd: BorrowedFd<'_>, id: u32, like: &RawValue) -> Result<RawValue> {
    retry(|| {
        let mut bytes = buffer(like);
        let mut control = ext_control(id, like, &mut bytes);
        let mut call = ext_controls(std::slice::from_mut(&mut control));
        // SAFETY: `call` points to one control, and that, for a text, to `bytes`; all are
        // alive for the call and as long as they say.
        unsafe { vidioc_g_ext_ctrls(fd.as_raw_fd(), &raw mut call) }.map_err(system)?;
        // SAFETY: both are plain numbers, which were zero (or a pointer) before the kernel
        // filled one of them.
        let (small, large) = unsafe { (control.__bindgen_anon_1.value, control.__bindgen_anon_1.value64) };
        Ok(match like {
            RawValue::Small(_) => RawValue::Small(small),
            RawValue::Large(_) => RawValue::Large(large),
            RawValue::Text(_, max) => RawValue::Text(text(&bytes), *max),
        })
    })
}

/// Gives several controls their values in one call, in this order.
pub(crate) fn set_controls(
    fd: BorrowedFd<'_>,
    attempt: Attempt,
    values: &[(u32, RawValue)],
) -> std::result::Result<(), Refusal> {
    let mut at = None;
    let done = retry(|| {
        let mut bytes: Vec<Vec<u8>> = values.iter().map(|(_, value)| buffer(value)).collect();
        let mut controls: Vec<_> =
            values.iter().zip(&mut bytes).map(|((id, value), bytes)| ext_control(*id, value, bytes)).collect();
        let mut call = ext_controls(&mut controls);
        let fd = fd.as_raw_fd();
        // SAFETY: `call` points to `controls`, and these, where they are texts, into `bytes`;
        // all are alive for the call and as long as they say.
        let done = unsafe {
            match attempt {
                Attempt::Try => vidioc_try_ext_ctrls(fd, &raw mut call),
                Attempt::Set => vidioc_s_ext_ctrls(fd, &raw mut call),
            }
        };
        // Beyond the last one: refused as a whole (kernel doc, "VIDIOC_S_EXT_CTRLS", `error_idx`).
        at = usize::try_from(call.error_idx).ok().filter(|index| *index < values.len());
        done.map(drop).map_err(system)
    });
    done.map_err(|errno| Refusal { errno, at })
}

fn system(error: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(error as i32)
}

/// The bytes of a text with room for the longest one; empty for numbers.
fn buffer(value: &RawValue) -> Vec<u8> {
    let RawValue::Text(text, max) = value else { return Vec::new() };
    let mut bytes = text.as_bytes().to_vec();
    bytes.truncate(*max);
    bytes.resize(max + 1, 0);
    bytes
}

/// `bytes` are those of a text, and must outlive the result.
fn ext_control(id: u32, value: &RawValue, bytes: &mut [u8]) -> bindings::v4l2_ext_control {
    let mut control = bindings::v4l2_ext_control { id, ..Default::default() };
    match value {
        RawValue::Small(value) => control.__bindgen_anon_1.value = *value,
        RawValue::Large(value) => control.__bindgen_anon_1.value64 = *value,
        RawValue::Text(..) => {
            control.size = u32::try_from(bytes.len()).unwrap_or(0);
            control.__bindgen_anon_1.string = bytes.as_mut_ptr().cast();
        }
    }
    control
}

/// `controls` must outlive the result.
fn ext_controls(controls: &mut [bindings::v4l2_ext_control]) -> bindings::v4l2_ext_controls {
    let which = bindings::v4l2_ext_controls__bindgen_ty_1 { which: bindings::V4L2_CTRL_WHICH_CUR_VAL };
    bindings::v4l2_ext_controls {
        __bindgen_anon_1: which,
        // A device has a few hundred at most.
        count: controls.len() as u32,
        controls: controls.as_mut_ptr(),
        ..Default::default()
    }
}
