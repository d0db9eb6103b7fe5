//! Which of the groups of a node a data plane has, where several share them.

use onecopy_core::GroupId;

/// One of the data planes of a node. Groups are numbered in a row, and belong to the planes in turn: so they
/// are spread evenly, and everybody knows where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    plane: usize,
    planes: usize,
}

impl Share {
    /// Of a data plane that has all groups of its node.
    pub const WHOLE: Self = Self { plane: 0, planes: 1 };

    /// Of the plane with this number, from 0 on, of so many.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn new(plane: usize, planes: usize) -> Self {
        assert!(plane < planes, "of {planes} data planes, none has the number {plane}");
        Self { plane, planes }
    }

    /// The number of the plane.
    #[must_use]
    pub fn plane(self) -> usize {
        self.plane
    }

    /// How many there are.
    #[must_use]
    pub fn planes(self) -> usize {
        self.planes
    }

    /// Whether a group belongs to this plane.
    #[must_use]
    pub fn has(self, group: GroupId) -> bool {
        Self::holder(group, self.planes) == self.plane
    }

    /// The number of the plane that a group belongs to, of so many.
    #[must_use]
    pub fn holder(group: GroupId, planes: usize) -> usize {
        group.0 as usize % planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_belongs_to_one_plane() {
        for planes in 1..10 {
            for group in (0..100).map(GroupId) {
                let holders = (0..planes).filter(|plane| Share::new(*plane, planes).has(group));
                assert_eq!(holders.collect::<Vec<_>>(), [Share::holder(group, planes)]);
            }
        }
        assert!(Share::WHOLE.has(GroupId(17)));
    }
}
