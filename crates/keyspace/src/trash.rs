//! What was removed and is not given back yet.
//!
//! To free ten million elements takes a second. So whatever is large is put aside when it is removed, and
//! freed bit by bit, between entries. It is no part of the state: nobody sees it, it is in no image, and it
//! counts as no memory.

use std::collections::VecDeque;

use crate::value::Value;

/// Values of fewer elements are freed at once.
const SMALL: usize = 256;
/// So many elements are freed in one go, which takes about a millisecond.
pub(crate) const FREED_TOGETHER: usize = 8192;

/// Values that wait to be freed.
#[derive(Debug, Default)]
pub(crate) struct Trash {
    values: VecDeque<Value>,
}

impl Trash {
    /// Frees a value now or later.
    pub(crate) fn put(&mut self, value: Value) {
        if value.content().len() > SMALL {
            self.values.push_back(value);
        }
    }

    /// Frees up to `count` elements; how many.
    pub(crate) fn free(&mut self, count: usize) -> usize {
        let mut freed = 0;
        while freed < count
            && let Some(value) = self.values.front_mut()
        {
            let left = count - freed;
            let shed = value.shed(left);
            freed += shed;
            // Less than it was asked for is all that it had.
            if shed < left {
                self.values.pop_front();
            }
        }
        freed
    }

    /// How many values wait.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
