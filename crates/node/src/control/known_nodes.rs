//! The file in the data directory with the other nodes: who they were, and where ([`KnownNodes`] says what is
//! in it).

use std::io::Write;
use std::path::Path;

use onecopy_host::known_nodes::KnownNodes;

/// The name of the file.
const FILE: &str = "known-nodes";

/// What is remembered in a data directory. A file that cannot be read is no worse than none.
pub(crate) fn read(directory: &Path) -> KnownNodes {
    KnownNodes::read(&std::fs::read_to_string(directory.join(FILE)).unwrap_or_default())
}

/// Remembers them, durably.
pub(crate) fn write(directory: &Path, known: &KnownNodes) -> std::io::Result<()> {
    let (path, partial) = (directory.join(FILE), directory.join(format!("{FILE}.partial")));
    let mut file = std::fs::File::create(&partial)?;
    file.write_all(known.to_string().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_is_read_at_the_next_start() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(read(directory.path()).is_empty());
        for text in ["version 3\n2 10.0.0.2:7379 view\n", "version 4\n3 10.0.0.3:7379\n"] {
            let known = KnownNodes::read(text);
            write(directory.path(), &known).expect("it can be written");
            assert_eq!(read(directory.path()), known);
        }
    }
}
