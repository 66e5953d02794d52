// SPDX-License-Identifier: Apache-2.0
//! The controls of one device.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use v4l2r::bindings;
use v4l2r::ioctl::EventType;

use super::control::{Control, ControlFlags, ControlKind, ControlValue, MenuItem};
use super::error::ControlError;
use super::name::unique;
use super::order::Rank;
use super::plan::{Wish, find, plan};
use crate::event::Event;
use crate::node::{self, NodeError};
use crate::sys::{self, Attempt, MenuKind, RawControl, RawValue, Refusal};

/// More than any device has: what lists its controls in a circle must come to an end.
const MAX_CONTROLS: usize = 4096;

/// The longest menu: the kernel's own have at most 64 choices, for it keeps a bit for each.
const MAX_MENU: i64 = 256;

/// A device open for its controls. It can be open elsewhere, and stream, at the same time.
///
/// Its descriptor says by priority (`POLLPRI`) that a control has changed, once
/// [`watch`](Self::watch) has been called.
#[derive(Debug)]
pub struct Controls {
    fd: OwnedFd,
    devnode: PathBuf,
}

/// A control with its value at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The control.
    pub control: Control,
    /// Its value; `None` if it has none that can be read.
    pub value: Option<ControlValue>,
}

/// A control that stayed as it was, and why.
type Skipped = (String, ControlError);

impl Controls {
    /// Opens a device.
    ///
    /// # Errors
    /// [`NodeError`]
    pub fn open(devnode: &Path) -> Result<Self, NodeError> {
        let (fd, _) = node::open(devnode)?;
        Ok(Self { fd, devnode: devnode.to_owned() })
    }

    /// Those of a device that is open already; the descriptor is duplicated.
    pub(crate) fn of(fd: BorrowedFd<'_>, devnode: &Path) -> Result<Self, NodeError> {
        let failed = |errno| NodeError::new("duplicate the descriptor of", devnode, errno);
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 0).map_err(failed)?;
        Ok(Self { fd, devnode: devnode.to_owned() })
    }

    /// All controls, in the driver's order. A device without any has an empty list.
    ///
    /// # Errors
    /// [`NodeError`] if the device does not answer.
    pub fn list(&self) -> Result<Vec<Control>, NodeError> {
        let failed = |errno| NodeError::new("list the controls of", &self.devnode, errno);
        const NEXT: u32 = bindings::V4L2_CTRL_FLAG_NEXT_CTRL | bindings::V4L2_CTRL_FLAG_NEXT_COMPOUND;
        let (mut controls, mut names, mut class, mut last) = (Vec::new(), BTreeSet::new(), String::new(), 0);
        while let Some(raw) = sys::query_control(self.as_fd(), last | NEXT).map_err(failed)? {
            if raw.id <= last || controls.len() >= MAX_CONTROLS {
                break;
            }
            last = raw.id;
            if raw.kind == bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_CTRL_CLASS {
                class.clone_from(&raw.title);
                continue;
            }
            let name = unique(&raw.title, &mut names);
            let menu = self.menu(&raw).map_err(failed)?;
            controls.extend(Control::new(&raw, name, class.clone(), menu));
        }
        Ok(controls)
    }

    fn menu(&self, raw: &RawControl) -> Result<Vec<MenuItem>, Errno> {
        let kind = match raw.kind {
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU => MenuKind::Names,
            bindings::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU => MenuKind::Numbers,
            _ => return Ok(Vec::new()),
        };
        let end = raw.max.min(raw.min.saturating_add(MAX_MENU));
        let mut menu = Vec::new();
        for index in raw.min..=end {
            let Ok(number) = u32::try_from(index) else { continue };
            let label = sys::query_menu(self.as_fd(), raw.id, number, kind)?;
            menu.extend(label.map(|label| MenuItem { index, label }));
        }
        Ok(menu)
    }

    /// All controls with their values. A value that the driver cannot tell now is `None`.
    ///
    /// # Errors
    /// [`NodeError`] if the device does not answer.
    pub fn read(&self) -> Result<Vec<Reading>, NodeError> {
        let controls = self.list()?;
        controls.into_iter().map(|control| Ok(Reading { value: self.get(&control)?, control })).collect()
    }

    /// The value of one control; `None` if it has none that can be read now.
    ///
    /// # Errors
    /// [`NodeError`] if the device is gone.
    pub fn get(&self, control: &Control) -> Result<Option<ControlValue>, NodeError> {
        if !control.is_readable() {
            return Ok(None);
        }
        match sys::get_control(self.as_fd(), control.id, &control.blank()) {
            Ok(raw) => Ok(Some(control.value(raw))),
            Err(gone @ (Errno::NODEV | Errno::NXIO)) => Err(NodeError::new("read a control of", &self.devnode, gone)),
            // A cable is not plugged in, or a device on a bus did not answer in time.
            Err(_) => Ok(None),
        }
    }

    /// Sets several controls, all or nothing, and automatics before what they rule. Returns
    /// all controls as they are then: a driver may round a value, and change other controls.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was changed then, unless it says so.
    pub fn set(&self, wishes: &[(String, Wish)]) -> Result<Vec<Reading>, ControlError> {
        let all = self.list()?;
        let steps = plan(&all, wishes)?;
        self.perform(&steps)?;
        Ok(self.read()?)
    }

    /// Gives several controls their defaults again, or all. What a driver refuses stays as it
    /// is and is returned. Without names, what is inactive or cannot be set is passed over.
    ///
    /// # Errors
    /// [`ControlError`] if one of the names is unknown or cannot be set; nothing was changed.
    pub fn reset(&self, names: &[String]) -> Result<Vec<Skipped>, ControlError> {
        let all = self.list()?;
        let mut chosen = match names {
            [] => all.iter().filter(|control| control.is_settable()).collect(),
            names => names.iter().map(|name| find(&all, name)).collect::<Result<Vec<_>, _>>()?,
        };
        if let Some(fixed) = chosen.iter().find(|control| !control.is_settable()) {
            return Err(ControlError::ReadOnly { name: fixed.name.clone() });
        }
        // Values first: once their automatic is on again, they can't be set any more.
        chosen.sort_by_key(|control| (std::cmp::Reverse(Rank::of(control)), control.id));
        chosen.dedup_by_key(|control| control.id);
        let mut skipped = Vec::new();
        for control in chosen {
            let Some(default) = control.default_value() else { continue };
            let idle = control.flags.intersects(ControlFlags::INACTIVE | ControlFlags::GRABBED);
            if self.get(control)?.as_ref() == Some(&default) || (idle && names.is_empty()) {
                continue;
            }
            let wish = [(control.name.clone(), Wish::Value(default))];
            if let Err(error) = plan(&all, &wish).and_then(|steps| self.perform(&steps)) {
                skipped.push((control.name.clone(), error));
            }
        }
        Ok(skipped)
    }

    /// Gives controls the values that they once had, as far as that is possible, and returns
    /// those that stay as they are. Those that have theirs already are left alone.
    ///
    /// # Errors
    /// [`NodeError`] if the device does not answer.
    pub fn restore(&self, wishes: &[(String, Wish)]) -> Result<Vec<Skipped>, NodeError> {
        let mut skipped = Vec::new();
        for rank in Rank::ALL {
            // Each rank changes what the next one can do.
            let all = self.list()?;
            let mut steps = Vec::new();
            for wish @ (name, _) in wishes {
                match find(&all, name).map(Rank::of) {
                    Ok(other) if other != rank => continue,
                    Err(_) if rank != Rank::Value => continue,
                    _ => {}
                }
                match plan(&all, std::slice::from_ref(wish)) {
                    Ok(step) => steps.extend(step),
                    Err(error) => skipped.push((name.clone(), error)),
                }
            }
            let mut changed = Vec::new();
            for (control, value) in steps {
                if self.get(control)?.as_ref() != Some(&value) {
                    changed.push((control, value));
                }
            }
            if self.perform(&changed).is_ok() {
                continue;
            }
            // One that is refused must not keep the others from theirs.
            for step in changed {
                let name = step.0.name.clone();
                if let Err(error) = self.perform(&[step]) {
                    skipped.push((name, error));
                }
            }
        }
        Ok(skipped)
    }

    /// Tells the driver. What it does by halves is set back.
    fn perform(&self, steps: &[(&Control, ControlValue)]) -> Result<(), ControlError> {
        if steps.is_empty() {
            return Ok(());
        }
        let values: Vec<_> = steps.iter().map(|(control, value)| (control.id, control.raw(value))).collect();
        let names = |at: Option<usize>| match at.and_then(|at| steps.get(at)) {
            Some((control, _)) => vec![control.name.clone()],
            None => steps.iter().map(|(control, _)| control.name.clone()).collect(),
        };
        let failed = |Refusal { errno, at }| match errno {
            Errno::NODEV | Errno::NXIO => NodeError::new("set controls of", &self.devnode, errno).into(),
            source => ControlError::Refused { names: names(at), source },
        };
        sys::set_controls(self.as_fd(), Attempt::Try, &values).map_err(failed)?;
        let before = self.values_of(steps)?;
        let Err(refusal) = sys::set_controls(self.as_fd(), Attempt::Set, &values) else { return Ok(()) };
        match failed(refusal) {
            // Those before it may have been set.
            ControlError::Refused { names, source } if steps.len() > 1 && refusal.at.is_some() => {
                Err(ControlError::Partly { names, source, left: self.set_back(steps, &before) })
            }
            error => Err(error),
        }
    }

    fn values_of(&self, steps: &[(&Control, ControlValue)]) -> Result<Vec<Option<ControlValue>>, NodeError> {
        steps.iter().map(|(control, _)| self.get(control)).collect()
    }

    /// Gives controls their values of before, one by one; returns the names of those that do
    /// not have them then.
    fn set_back(&self, steps: &[(&Control, ControlValue)], before: &[Option<ControlValue>]) -> Vec<String> {
        let mut left = Vec::new();
        // Values before automatics: the other way round an automatic would have frozen them.
        for ((control, _), before) in steps.iter().zip(before).rev() {
            let Some(before) = before else {
                if control.kind != ControlKind::Button {
                    left.push(control.name.clone());
                }
                continue;
            };
            let is_back = || self.get(control).is_ok_and(|now| now.as_ref() == Some(before));
            let raw: [(u32, RawValue); 1] = [(control.id, control.raw(before))];
            if !is_back() && (sys::set_controls(self.as_fd(), Attempt::Set, &raw).is_err() || !is_back()) {
                left.push(control.name.clone());
            }
        }
        left
    }

    /// Asks to be told of changes that others make, from now on.
    ///
    /// # Errors
    /// [`NodeError`] if the device is gone. Controls that cannot tell are passed over.
    pub fn watch(&self) -> Result<(), NodeError> {
        for control in self.list()? {
            // Buttons and structures have nothing to tell; old drivers tell nothing.
            if let Err(gone @ (Errno::NODEV | Errno::NXIO)) =
                sys::subscribe(self.as_fd(), || EventType::Ctrl(control.id))
            {
                return Err(NodeError::new("watch the controls of", &self.devnode, gone));
            }
        }
        Ok(())
    }

    /// Whether any control has changed since the last call. Never blocks.
    ///
    /// # Errors
    /// [`NodeError`] if the device is gone.
    pub fn changed(&self) -> Result<bool, NodeError> {
        let mut changed = false;
        // The kernel keeps one event for each control.
        for _ in 0..MAX_CONTROLS {
            match sys::next_event(self.as_fd()) {
                Ok(Some(event)) => changed |= matches!(event, Event::Control { .. }),
                Ok(None) | Err(Errno::NOTTY) => break,
                Err(errno) => return Err(NodeError::new("learn the events of", &self.devnode, errno)),
            }
        }
        Ok(changed)
    }
}

impl AsFd for Controls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
