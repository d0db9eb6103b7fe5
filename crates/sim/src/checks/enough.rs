//! An acknowledged write was committed by a primary with at least `min_copies` members in its view (rule
//! `EnoughCopies`). That each of them had it is for [`super::copies`] to check.

use std::collections::BTreeMap;

use onecopy_core::Index;

use crate::client::OpId;
use crate::trace::violated;

/// How many members the views had in which entries were committed.
#[derive(Debug, Default)]
pub struct Enough {
    members: BTreeMap<Index, usize>,
}

impl Enough {
    /// A primary has committed an entry in a view with so many members. It may have been committed by another
    /// one before.
    pub fn committed(&mut self, index: Index, members: usize) {
        let most = self.members.entry(index).or_default();
        *most = members.max(*most);
    }

    /// A client has heard that its write was executed; the answer was made of this entry.
    pub fn acknowledged(&self, op: OpId, index: Index, min_copies: u32) {
        let members = self.members.get(&index).copied().unwrap_or_default();
        if members < min_copies as usize {
            violated(
                "enough",
                format!(
                    "operation {op} is acknowledged as of {index}, with {members} of at least {min_copies} copies"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_write_with_too_few_copies_is_caught() {
        let mut enough = Enough::default();
        enough.committed(Index(1), 1);
        assert_eq!(caught(|| enough.acknowledged(0, Index(1), 1)), None);
        assert_eq!(caught(|| enough.acknowledged(0, Index(1), 2)), Some("enough"));
        enough.committed(Index(1), 2);
        assert_eq!(caught(|| enough.acknowledged(0, Index(1), 2)), None);
        assert_eq!(caught(|| enough.acknowledged(0, Index(2), 1)), Some("enough"), "nobody has committed it");
    }
}
