// SPDX-License-Identifier: Apache-2.0
//! Pictures as readers see them, wherever their bytes lie.

use std::ops::Deref;

use vs_frame::{Format, FrameView, PlaneView};

/// Something whose planes can be read.
pub trait Picture {
    /// Plane `index`; `None` if there is no such plane, or its bytes are not all there.
    fn plane(&self, index: usize) -> Option<PlaneView<'_>>;
}

impl Picture for FrameView<'_> {
    fn plane(&self, index: usize) -> Option<PlaneView<'_>> {
        FrameView::plane(self, index)
    }
}

impl Picture for [PlaneView<'_>] {
    fn plane(&self, index: usize) -> Option<PlaneView<'_>> {
        self.get(index).copied()
    }
}

/// Plain memories that hold a picture of a format: a decoder's output, a file's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memories<'a, M> {
    format: &'a Format,
    memories: &'a [M],
}

impl<'a, M: Deref<Target = [u8]>> Memories<'a, M> {
    /// A picture of `format` in `memories`, one for each that the format's planes name.
    #[must_use]
    pub fn new(format: &'a Format, memories: &'a [M]) -> Self {
        Self { format, memories }
    }
}

impl<M: Deref<Target = [u8]>> Picture for Memories<'_, M> {
    fn plane(&self, index: usize) -> Option<PlaneView<'_>> {
        let layout = self.format.planes.get(index)?;
        let start = layout.offset as usize;
        let data = self.memories.get(usize::from(layout.memory))?.get(start..start + layout.size as usize)?;
        Some(PlaneView {
            data,
            stride: layout.stride as usize,
            row_bytes: self.format.plane_row_bytes(index) as usize,
            rows: self.format.plane_rows(index) as usize,
        })
    }
}
