// SPDX-License-Identifier: Apache-2.0
//! From the order of decoding to that of showing (H.264, C.4: the "bumping" process).

/// What is still to be shown, by its place.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    held: Vec<(i64, T)>,
    /// Place of the last one that came out since the last IDR picture.
    shown: Option<i64>,
    /// How far places of neighbours are apart at least: two (a place for each field) until an odd
    /// one has been seen.
    step: i64,
}

/// How long pictures wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    /// At most so many wait for one that is shown before them.
    pub pictures: usize,
    /// Whether the stream says so itself. If not, a picture that can have no predecessor any more
    /// comes out at once.
    pub said: bool,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { held: Vec::new(), shown: None, step: 2 }
    }
}

impl<T> Reorder<T> {
    /// Takes the next picture in decoding order; gives those whose turn has come.
    pub(super) fn push(&mut self, order: i64, idr: bool, picture: T, depth: Depth) -> Vec<T> {
        let mut ready = if idr { self.flush() } else { Vec::new() };
        let first = idr.then_some(order);
        if order % 2 != 0 {
            self.step = 1;
        }
        let at = self.held.partition_point(|(other, _)| *other <= order);
        self.held.insert(at, (order, picture));
        while let Some((order, _)) = self.held.first() {
            let next = first == Some(*order) || self.shown.is_some_and(|shown| order - shown <= self.step);
            if self.held.len() <= depth.pictures && (depth.said || !next) {
                break;
            }
            let (order, picture) = self.held.remove(0);
            self.shown = Some(order);
            ready.push(picture);
        }
        ready
    }

    /// Everything that is held, as it is to be shown.
    pub(super) fn flush(&mut self) -> Vec<T> {
        self.shown = None;
        self.step = 2;
        self.held.drain(..).map(|(_, picture)| picture).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(orders: &[i64], depth: Depth) -> Vec<(usize, i64)> {
        let mut reorder = Reorder::default();
        let mut out = Vec::new();
        for (at, order) in orders.iter().enumerate() {
            let ready = reorder.push(*order, *order == 0, *order, depth);
            out.extend(ready.into_iter().map(|order| (at, order)));
        }
        out.extend(reorder.flush().into_iter().map(|order| (orders.len(), order)));
        out
    }

    #[test]
    fn pyramids_come_out_in_order() {
        let orders = [0, 8, 4, 2, 6, 16, 12, 10, 14, 0, 2];
        let shown = |depth| run(&orders, depth).into_iter().map(|(_, order)| order).collect::<Vec<_>>();
        let expected = [0, 2, 4, 6, 8, 10, 12, 14, 16, 0, 2];
        assert_eq!(shown(Depth { pictures: 2, said: true }), expected);
        assert_eq!(shown(Depth { pictures: 16, said: false }), expected);
    }

    #[test]
    fn nothing_waits_where_nothing_is_reordered() {
        for depth in [Depth { pictures: 0, said: true }, Depth { pictures: 4, said: false }] {
            assert_eq!(run(&[0, 2, 4, 6], depth), [(0, 0), (1, 2), (2, 4), (3, 6)]);
        }
    }
}
