//! Who a data directory belongs to, and which life of it this is.
//!
//! The file `identity` is text, so that an operator can read it:
//!
//! ```text
//! onecopy-identity = 1
//! cluster = orders
//! node = 3
//! incarnation = 0123456789abcdef0123456789abcdef
//! view-member = fedcba9876543210fedcba9876543210
//! boot = 17
//! machine-boot = 6c1f…
//! memory = false
//! discard = false
//! discard-views = false
//! over = false
//! log = true
//! checksum = 89abcdef
//! ```
//!
//! The last line is the CRC-32C of all lines before it. The file is replaced as a whole at every start.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use onecopy_core::{BootNumber, Incarnation, NodeId};

use crate::fs::{self, File, FileSystem};

/// The name of the file within the data directory.
pub const FILE: &str = "identity";

const VERSION: u32 = 1;
/// No identity is larger; bounds what is read of a file that is not one.
const SIZE_MAX: usize = 64 << 10;

/// The identity of a data directory could not be established.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The data directory is that of another node.
    #[error(
        "the data directory {} belongs to node {found}, but this node is configured as node {configured}: \
         correct the configuration, or give this node a data directory of its own",
        directory.display()
    )]
    WrongNode {
        /// The data directory.
        directory: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Who wants it.
        configured: NodeId,
    },
    /// The data directory is that of another cluster.
    #[error(
        "the data directory {} belongs to the cluster \"{found}\", but this node is configured for the cluster \
         \"{configured}\": correct the configuration, or give this node a data directory of its own",
        directory.display()
    )]
    WrongCluster {
        /// The data directory.
        directory: PathBuf,
        /// Whose it is.
        found: String,
        /// Who wants it.
        configured: String,
    },
    /// There is data, but nothing says whose. A new identity would let an old copy pass for an empty one.
    #[error(
        "{} is missing, although the data directory is not empty ({evidence} is there). Put the file back if it \
         was moved; if it is lost, move the whole data directory away and start the node again: it returns as \
         a new copy and is rebuilt from the other members of its groups",
        file.display()
    )]
    Missing {
        /// The file that should be there.
        file: PathBuf,
        /// What is there.
        evidence: String,
    },
    /// The file is not what was written.
    #[error(
        "{} is damaged: {reason}. Restore the file from a backup made since the node was last started; if there \
         is none, move the whole data directory away and start the node again: it returns as a new copy and \
         is rebuilt from the other members of its groups",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by a newer version of Onecopy.
    #[error(
        "{} has format version {found}, this program understands {VERSION}: start the version of Onecopy that \
         wrote it, or a newer one",
        file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// The data directory is an old image.
    #[error(
        "the data directory {} is an old image: the node was started again since it was made, or had another one in its place. It has \
         forgotten what it has acknowledged since. Keep it, and start the node with an empty directory: it returns as a new copy and is \
         rebuilt from the other members of its groups. Once `onecopy status` says that every group has all its copies, this one \
         is of no use any more. If it is the only copy that is left, have what is here begin a new life with `onecopy node \
         new-life --data {}`, start the node with it, and see `onecopy group recover --help`",
        directory.display(), directory.display()
    )]
    OldImage {
        /// The data directory.
        directory: PathBuf,
    },
    /// There is no identity to begin a new life from.
    #[error("{} is no data directory of a node: nothing to begin a new life from", directory.display())]
    NoIdentity {
        /// The directory.
        directory: PathBuf,
    },
    /// A name cannot be written into the file.
    #[error(
        "the {what} {name:?} must have between 1 and 255 bytes and no control characters or surrounding spaces"
    )]
    InvalidName {
        /// What the name is of.
        what: &'static str,
        /// The name.
        name: String,
    },
}

impl IdentityError {
    fn io(action: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, file: file.to_owned(), source }
    }
}

/// What the caller says about itself.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The node, as configured.
    pub node: NodeId,
    /// The cluster, as configured.
    pub cluster: String,
    /// Whether acknowledged writes may be lost when the machine loses power (`durability = "memory"`).
    pub durability_is_memory: bool,
    /// What tells one run of the machine from the next (Linux: `/proc/sys/kernel/random/boot_id`).
    pub machine_boot: String,
    /// Fresh random numbers, in case that new lives begin.
    pub random: [u128; 2],
}

/// Who a data directory belongs to, and which life of it this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// The cluster.
    pub cluster: String,
    /// The life of the copies of data (rule P9).
    pub incarnation: Incarnation,
    /// The life of the state of the view service, which is always synced and outlives power failures.
    pub view_member: Incarnation,
    /// Counts the starts of the process (rule P11).
    pub boot: BootNumber,
    /// The run of the machine at this start.
    pub machine_boot: String,
    /// Whether this start runs with `durability = "memory"`.
    pub durability_is_memory: bool,
    /// The copies of data belong to a life that has ended, and must be discarded before anything else happens
    /// (rule P9: `durability = "memory"`, and the machine was restarted). Stays set over further starts until
    /// [`Identity::discarded`].
    pub discard_data: bool,
    /// The state of the view service belongs to a life that has ended, and must be discarded in the same way.
    pub discard_views: bool,
    /// The cluster knows of later starts, or of a later life: this is an old image of a disk, and nothing may
    /// be started from it but a new life.
    pub is_over: bool,
    /// There has been a log: a later start that finds none has lost it.
    pub log_begun: bool,
}

impl Identity {
    /// Reads the identity of a data directory, or gives it one at its first start. On return it is durable
    /// that the process has been started once more. The caller holds the lock of the directory, and has not
    /// opened its log yet.
    ///
    /// # Errors
    /// [`IdentityError`]: the directory is someone else's, or cannot be trusted.
    pub fn open_or_create<F: FileSystem>(
        fs: &F,
        data_directory: &Path,
        owner: Owner,
    ) -> Result<Self, IdentityError> {
        check_name("name of the cluster", &owner.cluster)?;
        check_name("boot id of the machine", &owner.machine_boot)?;
        fs.create_directory(data_directory).map_err(IdentityError::io("create", data_directory))?;
        fs::settle(fs, data_directory).map_err(IdentityError::io("clean up", data_directory))?;
        let mut identity = match Self::load(fs, data_directory)? {
            Some(identity) => identity.check(data_directory, &owner)?,
            None => Self::first(fs, data_directory, &owner)?,
        };
        if identity.durability_is_memory && identity.machine_boot != owner.machine_boot {
            // P9: what was acknowledged may be gone, so nobody may take this for the copy that it was. What
            // counts is how the process before this one ran: the setting may have been changed since.
            identity.incarnation = Incarnation(owner.random[0]);
            identity.discard_data = true;
        }
        identity.machine_boot = owner.machine_boot;
        identity.durability_is_memory = owner.durability_is_memory;
        identity.boot = identity.boot.next();
        identity.store(fs, data_directory)?;
        Ok(identity)
    }

    /// Reads the identity of a data directory without changing anything; `None` if it has none.
    ///
    /// # Errors
    /// [`IdentityError`]: the file cannot be read or understood.
    pub fn load<F: FileSystem>(fs: &F, data_directory: &Path) -> Result<Option<Self>, IdentityError> {
        let path = data_directory.join(FILE);
        let file = match fs.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IdentityError::io("open", &path)(error)),
        };
        let mut bytes = vec![0; SIZE_MAX];
        let count = file.read_at(&mut bytes, 0).map_err(IdentityError::io("read", &path))?;
        Self::parse(&bytes[..count], &path).map(Some)
    }

    /// The copies of data of the earlier life are gone: later starts need not discard them again.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn discarded<F: FileSystem>(&mut self, fs: &F, data_directory: &Path) -> Result<(), IdentityError> {
        (self.discard_data, self.discard_views) = (false, false);
        self.store(fs, data_directory)
    }

    /// The cluster says that this is an old image: no later start takes it for what it was.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn disown<F: FileSystem>(fs: &F, data_directory: &Path) -> Result<(), IdentityError> {
        match Self::load(fs, data_directory)? {
            Some(identity) => Self { is_over: true, ..identity }.store(fs, data_directory),
            None => Err(IdentityError::NoIdentity { directory: data_directory.to_owned() }),
        }
    }

    /// What the directory holds begins a new life, for operators who have nothing else left: a copy that
    /// nobody takes for any that was there before. The state of the view service is not kept: votes that were
    /// forgotten must not be cast again. The caller holds the lock of the directory.
    pub(crate) fn begin_new_life<F: FileSystem>(
        fs: &F,
        data_directory: &Path,
        random: [u128; 2],
    ) -> Result<Self, IdentityError> {
        let no_identity = || IdentityError::NoIdentity { directory: data_directory.to_owned() };
        let mut identity = Self::load(fs, data_directory)?.ok_or_else(no_identity)?;
        identity.incarnation = Incarnation(random[0]);
        identity.view_member = Incarnation(random[1]);
        (identity.discard_views, identity.is_over) = (true, false);
        identity.store(fs, data_directory)?;
        Ok(identity)
    }

    /// The directory has a log from now on.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn log_begun<F: FileSystem>(&mut self, fs: &F, data_directory: &Path) -> Result<(), IdentityError> {
        self.log_begun = true;
        self.store(fs, data_directory)
    }

    fn first<F: FileSystem>(fs: &F, directory: &Path, owner: &Owner) -> Result<Self, IdentityError> {
        for part in [crate::log::DIRECTORY, crate::snapshot::DIRECTORY] {
            // The directories may be there: a first start may have been interrupted. Content may not.
            let names = fs.list(&directory.join(part)).unwrap_or_default();
            let content = names.iter().find(|name| !name.ends_with(fs::PARTIAL));
            if let Some(name) = content {
                let evidence = format!("{part}/{name}");
                return Err(IdentityError::Missing { file: directory.join(FILE), evidence });
            }
        }
        Ok(Self {
            node: owner.node,
            cluster: owner.cluster.clone(),
            incarnation: Incarnation(owner.random[0]),
            view_member: Incarnation(owner.random[1]),
            boot: BootNumber(0),
            machine_boot: owner.machine_boot.clone(),
            durability_is_memory: owner.durability_is_memory,
            discard_data: false,
            discard_views: false,
            is_over: false,
            log_begun: false,
        })
    }

    fn check(self, directory: &Path, owner: &Owner) -> Result<Self, IdentityError> {
        let directory = directory.to_owned();
        if self.cluster != owner.cluster {
            let (found, configured) = (self.cluster, owner.cluster.clone());
            return Err(IdentityError::WrongCluster { directory, found, configured });
        }
        if self.node != owner.node {
            return Err(IdentityError::WrongNode { directory, found: self.node, configured: owner.node });
        }
        if self.is_over {
            return Err(IdentityError::OldImage { directory });
        }
        Ok(self)
    }

    fn store<F: FileSystem>(&self, fs: &F, directory: &Path) -> Result<(), IdentityError> {
        let path = directory.join(FILE);
        fs::replace(fs, &path, self.format().as_bytes()).map_err(IdentityError::io("write", &path))
    }

    fn format(&self) -> String {
        let mut text = format!(
            "onecopy-identity = {VERSION}\ncluster = {}\nnode = {}\nincarnation = {}\nview-member = {}\nboot = {}\n\
             machine-boot = {}\nmemory = {}\ndiscard = {}\ndiscard-views = {}\nover = {}\nlog = {}\n",
            self.cluster,
            self.node.0,
            self.incarnation,
            self.view_member,
            self.boot.0,
            self.machine_boot,
            self.durability_is_memory,
            self.discard_data,
            self.discard_views,
            self.is_over,
            self.log_begun
        );
        let checksum = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "checksum = {checksum:08x}"); // Writing to a string cannot fail.
        text
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, IdentityError> {
        let damaged =
            |reason: &str| IdentityError::Damaged { file: path.to_owned(), reason: reason.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let start = text.rfind("checksum = ").ok_or_else(|| damaged("it has no checksum"))?;
        let (body, checksum) = text.split_at(start);
        if checksum != format!("checksum = {:08x}\n", crc32c::crc32c(body.as_bytes())) {
            return Err(damaged("its checksum is wrong (it must not be edited by hand)"));
        }
        let lines = body.lines().filter_map(|line| line.split_once(" = "));
        let fields: BTreeMap<&str, &str> = lines.collect();
        let field =
            |name: &str| fields.get(name).copied().ok_or_else(|| damaged(&format!("it has no {name}")));
        let wrong = |name: &str| damaged(&format!("its {name} makes no sense"));
        let number = |name: &str| field(name)?.parse::<u64>().map_err(|_| wrong(name));
        let random = |name: &str| u128::from_str_radix(field(name)?, 16).map_err(|_| wrong(name));

        let found = field("onecopy-identity")?.parse().map_err(|_| wrong("onecopy-identity"))?;
        if found != VERSION {
            return Err(IdentityError::NewerFormat { file: path.to_owned(), found });
        }
        let flag = |name: &str| field(name)?.parse::<bool>().map_err(|_| wrong(name));
        // Directories of before there were these have neither.
        let later_flag = |name: &str| if fields.contains_key(name) { flag(name) } else { Ok(false) };
        Ok(Self {
            node: NodeId(u32::try_from(number("node")?).map_err(|_| wrong("node"))?),
            cluster: field("cluster")?.to_owned(),
            incarnation: Incarnation(random("incarnation")?),
            view_member: Incarnation(random("view-member")?),
            boot: BootNumber(number("boot")?),
            machine_boot: field("machine-boot")?.to_owned(),
            durability_is_memory: flag("memory")?,
            discard_data: flag("discard")?,
            discard_views: later_flag("discard-views")?,
            is_over: later_flag("over")?,
            log_begun: flag("log")?,
        })
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), IdentityError> {
    let length = (1..=255).contains(&name.len());
    match length && name.trim() == name && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(IdentityError::InvalidName { what, name: name.to_owned() }),
    }
}
