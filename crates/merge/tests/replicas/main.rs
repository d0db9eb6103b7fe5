//! Replicas that do not hear of each other in time: every order in small settings, random histories in large
//! ones, and the bugs of others.

mod bounds;
mod deeds;
mod exhaustive;
mod hostile;
mod known_bugs;
mod memory;
mod oracle;
mod repairs;
mod sabotage;
mod support;
mod walk;
mod walks;
