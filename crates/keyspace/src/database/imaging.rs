//! Point-in-time images of a database.
//!
//! While an image is being made, the database knows which blocks of its slots the image already has. Every
//! change is announced ([`Database::before_change`]) and lets the image have the block first, as it is. What
//! was serialized that way waits in [`Imaging::saved`] until its turn comes. Large values come in parts
//! behind their block: one that is about to change before that is copied.

use std::collections::{BTreeMap, VecDeque};

use super::Database;
use crate::image::large::Cursor;
use crate::image::{Part, encode};
use crate::slot::SlotView;
use crate::slot::blocks::BLOCK;
use crate::slots::SLOTS;
use crate::value::Value;

/// Nothing in a slot has changed since an image was begun.
const UNTOUCHED: u32 = u32::MAX;

/// What an image in the making has of a database.
#[derive(Debug)]
pub(super) struct Imaging {
    /// The number that the database had when the image was begun.
    number: u8,
    /// How many keys a slot had then, if it has changed since.
    lengths: Vec<u32>,
    /// The image has all blocks before this one of this slot.
    next: (usize, usize),
    /// Blocks that were serialized because they were about to change.
    saved: BTreeMap<(usize, usize), Saved>,
    /// The large values of the block before `next` that it does not have yet, and how much it has of the
    /// first.
    large: VecDeque<Large>,
    cursor: Cursor,
}

/// A block that was serialized before its turn.
#[derive(Debug)]
struct Saved {
    part: Part,
    large: VecDeque<Large>,
}

/// A large value that an image has yet to get.
#[derive(Debug)]
struct Large {
    slot: usize,
    position: usize,
    /// As it was; it has changed since.
    copy: Option<Box<Value>>,
}

impl Imaging {
    /// The large value at a position, if the image has yet to get it as it is.
    fn pending(&mut self, slot: usize, position: usize) -> Option<&mut Large> {
        let saved = self.saved.get_mut(&(slot, position / BLOCK)).map(|saved| &mut saved.large);
        let mut all = saved.into_iter().chain(std::iter::once(&mut self.large)).flatten();
        all.find(|large| (large.slot, large.position) == (slot, position) && large.copy.is_none())
    }
}

impl Database {
    /// Begins to give its slots to an image, as they are now.
    pub(crate) fn begin_imaging(&mut self, number: u8) {
        let lengths = vec![UNTOUCHED; SLOTS];
        let (saved, large, cursor) = (BTreeMap::new(), VecDeque::new(), Cursor::default());
        self.imaging = Some(Box::new(Imaging { number, lengths, next: (0, 0), saved, large, cursor }));
    }

    /// Whether an image still needs something from it.
    pub(crate) fn is_imaging(&self) -> bool {
        self.imaging.is_some()
    }

    /// The image is given up.
    pub(crate) fn stop_imaging(&mut self) {
        self.imaging = None;
    }

    /// Appends the next part of the first large value that the image has yet to get; whether there was one.
    fn image_large(&self, imaging: &mut Imaging, out: &mut Part) -> bool {
        let Imaging { number, large, cursor, .. } = imaging;
        let Some(Large { slot, position, copy }) = large.front() else { return false };
        let live = || self.slot(*slot)?.at(*position).map(|object| object.value);
        let content = copy.as_ref().map(|copy| copy.content()).or_else(live);
        let content = content.expect("a large value that goes is copied first");
        if cursor.write(*number, (*slot, *position), content, out) {
            large.pop_front();
            *cursor = Cursor::default();
        }
        true
    }

    /// Appends the next part of the image to `out`; whether there was one. The blocks come in order.
    pub(crate) fn image_next(&mut self, out: &mut Part) -> bool {
        let Some(mut imaging) = self.imaging.take() else { return false };
        if self.image_large(&mut imaging, out) {
            self.imaging = Some(imaging);
            return true;
        }
        while imaging.next.0 < SLOTS {
            let (slot, block) = imaging.next;
            let keys = match imaging.lengths[slot] {
                UNTOUCHED => self.slot(slot).map_or(0, SlotView::len),
                keys => keys as usize,
            };
            if block * BLOCK >= keys {
                imaging.next = (slot + 1, 0);
                continue;
            }
            imaging.large = match imaging.saved.remove(&imaging.next) {
                Some(mut saved) => {
                    out.take(&mut saved.part);
                    saved.large
                }
                None => self.serialize(&imaging, imaging.next, out),
            };
            imaging.next = (slot, block + 1);
            self.imaging = Some(imaging);
            return true;
        }
        false
    }

    /// What is at a position of a slot is about to change. An image in the making gets it as it is first.
    pub(super) fn before_change(&mut self, slot: usize, position: usize) {
        let Some(mut imaging) = self.imaging.take() else { return };
        if slot >= imaging.next.0 {
            let keys = self.slot(slot).map_or(0, SlotView::len);
            if imaging.lengths[slot] == UNTOUCHED {
                imaging.lengths[slot] = u32::try_from(keys).expect("a slot of fewer than 2^32 keys");
            }
            let block = position / BLOCK;
            let needed = position < imaging.lengths[slot] as usize && (slot, block) >= imaging.next;
            if needed && !imaging.saved.contains_key(&(slot, block)) {
                let mut part = Part::default();
                let large = self.serialize(&imaging, (slot, block), &mut part);
                imaging.saved.insert((slot, block), Saved { part, large });
            }
            if let Some(pending) = imaging.pending(slot, position)
                && let Some(object) = self.slot(slot).and_then(|view| view.at(position))
            {
                pending.copy = Some(Box::new(object.value.copy_to_read()));
            }
        }
        self.imaging = Some(imaging);
    }

    /// Appends the keys of a block that were there when the image was begun. The large values among them must
    /// follow.
    fn serialize(&self, imaging: &Imaging, (slot, block): (usize, usize), out: &mut Part) -> VecDeque<Large> {
        let Some(view) = self.slot(slot) else { return VecDeque::new() };
        let end = view.len().min(imaging.lengths[slot] as usize).min((block + 1) * BLOCK);
        let objects = (block * BLOCK..end).filter_map(|position| view.at(position));
        let large = encode::block(imaging.number, (slot, block), end - block * BLOCK, objects, out);
        let large = large.into_iter().map(|number| block * BLOCK + number);
        large.map(|position| Large { slot, position, copy: None }).collect()
    }
}
