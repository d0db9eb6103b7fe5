//! Who may do what: users, their passwords and their rights, in the language of `ACL SETUSER`.
//!
//! A [`User`] has flags, passwords and *selectors*. A selector says which commands may be called, on which
//! keys and channels; a command is allowed if one selector allows all of it. The first selector, the *root*,
//! is what rules outside of parentheses are about.
//!
//! Rules are kept as a text ([`User::describe`]) that makes the same user again. A node of an older version
//! skips what it does not know in such a text ([`User::restore`]): a command that it has not cannot be called
//! there. What a script may do travels as such a text with the request, so that every copy decides alike.

mod check;
mod rules;
mod selector;
mod user;

pub use check::{Denial, Request};
pub use rules::{RuleError, merge_selectors};
pub use selector::{Pattern, Selector};
pub use user::{CATEGORIES, PASSWORD_HASH_CHARS, User, hash};
