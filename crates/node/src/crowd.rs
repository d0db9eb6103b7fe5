//! Connections of strangers, of which there are only so many at once: one more ends the oldest one. So nobody
//! who opens many, and says nothing, keeps others out: whoever means it is through in a moment.

use std::collections::VecDeque;

use tokio::task::AbortHandle;

/// Tasks of the current thread's local set.
#[derive(Debug)]
pub(crate) struct Crowd {
    max: usize,
    /// The oldest first.
    tasks: VecDeque<AbortHandle>,
}

impl Crowd {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, tasks: VecDeque::new() }
    }

    /// Runs a task; if there are too many, the oldest one ends.
    pub(crate) fn admit(&mut self, task: impl Future<Output = ()> + 'static) {
        self.tasks.retain(|task| !task.is_finished());
        if self.tasks.len() >= self.max
            && let Some(oldest) = self.tasks.pop_front()
        {
            oldest.abort();
        }
        self.tasks.push_back(tokio::task::spawn_local(task).abort_handle());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[tokio::test(flavor = "local")]
    async fn one_more_ends_the_oldest() {
        let (mut crowd, ended) = (Crowd::new(3), Rc::new(Cell::new(0)));
        struct Ends(Rc<Cell<u32>>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        for _ in 0..10 {
            let guard = Ends(ended.clone());
            crowd.admit(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(ended.get(), 7);
        assert_eq!(crowd.tasks.len(), 3);
    }
}
