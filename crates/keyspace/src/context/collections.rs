//! How commands change collections in their place.

use super::Context;
use crate::database::Spot;
use crate::error::CommandError;
use crate::slot::New;
use crate::value::{Content, Edit, Typed, Undo, Value};

impl Context<'_> {
    /// Lets `change` have a key's value, which must be of a type, if the key exists. A collection that has no
    /// elements afterwards is removed.
    pub(crate) fn update<T: Typed, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<Option<R>, CommandError> {
        let spot = self.locate(key);
        let updated = self.update_at(spot, key, change)?;
        if updated.is_some() {
            self.touch(key);
        }
        Ok(updated)
    }

    /// The same, but it is a change of the key only if there are more or fewer elements afterwards.
    pub(crate) fn resize<T: Typed, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<Option<R>, CommandError> {
        let spot = self.locate(key);
        let before = self.watched_length(key);
        let updated = self.update_at(spot, key, change)?;
        self.touch_resized(key, before);
        Ok(updated)
    }

    /// How many elements a key has, if somebody may want to know.
    fn watched_length(&self, key: &[u8]) -> Option<usize> {
        let length = || match self.view().object(key).map(|object| object.value) {
            // Its groups are no part of what is watched.
            Some(Content::Stream(stream)) => stream.log().len(),
            value => value.map_or(0, Content::len),
        };
        let keyspace = &self.keyspace;
        let is_watched = !keyspace.watches.is_empty() || !keyspace.tracking.is_empty();
        let is_asked = is_watched || !keyspace.waiters.is_empty() || keyspace.notifies();
        is_asked.then(length)
    }

    fn touch_resized(&mut self, key: &[u8], before: Option<usize>) {
        if before.is_some() && self.watched_length(key) != before {
            self.touch(key);
        }
    }

    fn update_at<T: Typed, R>(
        &mut self,
        spot: Spot,
        key: &[u8],
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<Option<R>, CommandError> {
        match self.at(spot) {
            None => return Ok(None),
            Some(object) if T::of(object.value).is_none() => return Err(CommandError::WrongType),
            Some(_) => {}
        }
        let edit = |value: &mut Value, noted: Option<&mut Undo>| {
            T::of_mut(value).map(|value| change(&mut Edit::new(value, noted.and_then(T::undo_of))))
        };
        Ok(self.change(spot, key, edit).flatten())
    }

    /// [`update`](Self::update), but an absent key is created first.
    pub(crate) fn upsert<T: Typed, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<R, CommandError> {
        let result = self.upsert_untouched(key, change)?;
        self.touch(key);
        Ok(result)
    }

    /// [`resize`](Self::resize), but an absent key is created first.
    pub(crate) fn resize_or_create<T: Typed, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<R, CommandError> {
        let before = self.watched_length(key);
        let result = self.upsert_untouched(key, change)?;
        self.touch_resized(key, before);
        Ok(result)
    }

    fn upsert_untouched<T: Typed, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Edit<'_, T>) -> R,
    ) -> Result<R, CommandError> {
        let spot = self.locate(key);
        // The closure must run once, in either branch.
        let mut change = Some(change);
        let updated = self.update_at(spot, key, |value| change.take().map(|change| change(value)));
        if let Some(Some(result)) = updated? {
            return Ok(result);
        }
        let mut value = T::empty();
        match change.take().map(|change| change(&mut Edit::new(&mut value, None))) {
            Some(result) => {
                self.put(spot, key, New::Value(value.into_value()), None);
                Ok(result)
            }
            // Cannot be: the closure is there unless `update_at` ran it.
            None => Err(CommandError::NoSuchKey),
        }
    }
}
