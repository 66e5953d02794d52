// SPDX-License-Identifier: Apache-2.0
//! An encoder behind a converter, for pictures that it does not take as they are.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use vs_frame::Frame;
use vs_frame::clock::monotonic_ns;
use vs_v4l2::Errno;

use crate::config::Changes;
use crate::converter::Converter;
use crate::encoder::{AccessUnit, Effective, Encoder, ReconfigureError};
use crate::poll::Poll;
use crate::session::{BackendError, FrameTag, Loss, Output, Picture, Session, SubmitError};

/// See the [module](self).
pub(crate) struct Bridge {
    // Before the encoder, which reads its pictures: closed first, it waits for nobody.
    converter: Box<dyn Converter>,
    encoder: Box<dyn Encoder>,
    poll: Poll,
    /// Converted, and the encoder had no room yet.
    waiting: Option<Picture>,
    /// What the converter, or the way between, has lost.
    lost: VecDeque<(FrameTag, Loss)>,
    /// What has not reached the encoder, and whether it is to be a keyframe.
    inside: VecDeque<(FrameTag, bool)>,
    /// The next picture is to be a keyframe.
    keyframe: bool,
    draining: bool,
    failure: Option<BackendError>,
    /// It has failed, and the encoder has nothing more.
    ended: bool,
}

impl Bridge {
    pub(crate) fn new(converter: Box<dyn Converter>, encoder: Box<dyn Encoder>) -> Result<Self, Errno> {
        let poll = Poll::new()?;
        for fd in [converter.as_poll_fd(), encoder.as_poll_fd()].into_iter().flatten() {
            poll.watch(fd)?;
        }
        Ok(Self {
            converter,
            encoder,
            poll,
            waiting: None,
            lost: VecDeque::new(),
            inside: VecDeque::new(),
            keyframe: false,
            draining: false,
            failure: None,
            ended: false,
        })
    }

    /// Does what can be done. Returns whether there was anything to do. If the converter fails,
    /// what the encoder has still comes out.
    fn advance(&mut self) -> bool {
        if self.failure.is_some() {
            return false;
        }
        self.pass_on().unwrap_or_else(|error| {
            self.failure = Some(error);
            // If it has failed too, it says so when it is received from.
            let _ = self.encoder.drain();
            true
        })
    }

    fn check(&self) -> Result<(), BackendError> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Passes on what has been converted, as long as the encoder takes it. Returns whether there
    /// was anything to do.
    fn pass_on(&mut self) -> Result<bool, BackendError> {
        let mut any = false;
        loop {
            let picture = match self.waiting.take() {
                Some(picture) => picture,
                None => match self.converter.receive()? {
                    Output::Done(picture) => picture,
                    Output::Lost(tag, loss) => {
                        self.lose(tag, loss);
                        any = true;
                        continue;
                    }
                    Output::Pending => return Ok(any),
                    Output::Drained => {
                        self.encoder.drain()?;
                        return Ok(true);
                    }
                },
            };
            if !self.encode(picture)? {
                return Ok(any);
            }
            any = true;
        }
    }

    /// Whether the encoder took it; else it waits.
    fn encode(&mut self, picture: Picture) -> Result<bool, BackendError> {
        if self.inside.iter().any(|(tag, keyframe)| *keyframe && *tag == picture.tag) {
            self.encoder.force_keyframe();
        }
        match self.encoder.submit(&picture.frame, picture.tag) {
            Ok(()) => {
                self.leaves(picture.tag);
            }
            Err(SubmitError::Full | SubmitError::Draining) => {
                self.waiting = Some(picture);
                return Ok(false);
            }
            Err(SubmitError::Backend(error)) => return Err(error),
            Err(other) => self.lose(picture.tag, Loss::Refused(other.to_string())),
        }
        Ok(true)
    }

    fn lose(&mut self, tag: FrameTag, loss: Loss) {
        let was_keyframe = self.leaves(tag);
        // Then the next one is.
        match self.inside.front_mut() {
            Some((_, keyframe)) => *keyframe |= was_keyframe,
            None => self.keyframe |= was_keyframe,
        }
        self.lost.push_back((tag, loss));
    }

    /// Whether it was to be a keyframe.
    fn leaves(&mut self, tag: FrameTag) -> bool {
        let at = self.inside.iter().position(|(inside, _)| *inside == tag);
        at.and_then(|at| self.inside.remove(at)).is_some_and(|(_, keyframe)| keyframe)
    }

    /// The end of a session that has failed: what did not reach the encoder, then the error.
    fn end(&mut self, error: BackendError) -> Result<Output<AccessUnit>, BackendError> {
        self.ended = true;
        match self.inside.pop_front() {
            Some((tag, _)) => Ok(Output::Lost(tag, Loss::Refused(error.reason))),
            None => Err(error),
        }
    }
}

impl Session for Bridge {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.poll.as_fd())
    }

    fn deadline(&self) -> Option<u64> {
        let lost = (!self.lost.is_empty()).then(monotonic_ns);
        [self.converter.deadline(), self.encoder.deadline(), lost].into_iter().flatten().min()
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        self.check()?;
        if !self.draining {
            self.converter.drain()?;
            self.draining = true;
            self.advance();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.check()?;
        self.waiting = None;
        self.lost.clear();
        self.inside.clear();
        (self.keyframe, self.draining) = (false, false);
        self.converter.flush()?;
        self.encoder.flush()
    }
}

impl Encoder for Bridge {
    fn effective(&self) -> &Effective {
        self.encoder.effective()
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        self.check()?;
        if self.draining {
            return Err(SubmitError::Draining);
        }
        self.converter.submit(frame, tag)?;
        self.inside.push_back((tag, std::mem::take(&mut self.keyframe)));
        self.advance();
        Ok(())
    }

    fn receive(&mut self) -> Result<Output<AccessUnit>, BackendError> {
        loop {
            self.advance();
            if let Some((tag, loss)) = self.lost.pop_front() {
                return Ok(Output::Lost(tag, loss));
            }
            if let (true, Some(error)) = (self.ended, self.failure.clone()) {
                return self.end(error);
            }
            match (self.encoder.receive(), self.failure.clone()) {
                (Err(error), known) => {
                    let error = self.failure.insert(known.unwrap_or(error)).clone();
                    return self.end(error);
                }
                (Ok(Output::Drained), Some(error)) => return self.end(error),
                // It may have room again.
                (Ok(Output::Pending), None) if self.waiting.is_some() && self.advance() => {}
                (Ok(Output::Drained), None) => {
                    self.draining = false;
                    return Ok(Output::Drained);
                }
                (Ok(output), _) => return Ok(output),
            }
        }
    }

    fn force_keyframe(&mut self) {
        self.keyframe = true;
    }

    fn reconfigure(&mut self, changes: &Changes) -> Result<(), ReconfigureError> {
        self.encoder.reconfigure(changes)
    }
}

#[cfg(test)]
mod tests;
