//! Values that lie beside the records of their keys: collections, and long strings.

use super::blocks::Blocks;
use crate::value::Value;

#[derive(Debug)]
enum Cell {
    Used(Value),
    /// And the next unused one.
    Unused(Option<u32>),
}

/// The values, by numbers that nobody else sees.
#[derive(Debug, Default)]
pub(crate) struct Values {
    cells: Blocks<Cell>,
    unused: Option<u32>,
}

impl Values {
    /// Adds a value; its number.
    pub(crate) fn put(&mut self, value: Value) -> u32 {
        if let Some(number) = self.unused
            && let Some(cell) = self.cells.get_mut(number as usize)
        {
            if let Cell::Unused(next) = cell {
                self.unused = *next;
            }
            *cell = Cell::Used(value);
            return number;
        }
        let number = u32::try_from(self.cells.len()).expect("fewer than 2^32 values");
        self.cells.push(Cell::Used(value));
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Value> {
        match self.cells.get(number as usize)? {
            Cell::Used(value) => Some(value),
            Cell::Unused(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Value> {
        match self.cells.get_mut(number as usize)? {
            Cell::Used(value) => Some(value),
            Cell::Unused(_) => None,
        }
    }

    /// Removes a value.
    pub(crate) fn take(&mut self, number: u32) -> Option<Value> {
        let cell = self.cells.get_mut(number as usize)?;
        match std::mem::replace(cell, Cell::Unused(self.unused)) {
            Cell::Used(value) => {
                self.unused = Some(number);
                Some(value)
            }
            unused @ Cell::Unused(_) => {
                *cell = unused;
                None
            }
        }
    }

    /// Removes any value; `None` in the second place if that was an unused cell.
    pub(crate) fn shed(&mut self) -> Option<Option<Value>> {
        self.unused = None;
        match self.cells.pop()? {
            Cell::Used(value) => Some(Some(value)),
            Cell::Unused(_) => Some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_used_again() {
        let mut values = Values::default();
        let numbers: Vec<u32> = (0..100).map(|number| values.put(Value::Integer(number))).collect();
        for number in &numbers[20..70] {
            assert!(matches!(values.take(*number), Some(Value::Integer(was)) if was == i64::from(*number)));
            assert!(values.take(*number).is_none() && values.get(*number).is_none());
        }
        let again: std::collections::BTreeSet<u32> =
            (0..50).map(|_| values.put(Value::Integer(-1))).collect();
        assert!(again.iter().eq(&numbers[20..70]));
        assert_eq!(values.put(Value::Integer(-1)), 100);
        assert!(matches!(values.get(19), Some(Value::Integer(19))));
        assert_eq!(std::iter::from_fn(|| values.shed()).flatten().count(), 101);
    }
}
