//! Asking the nodes all the time what they are doing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::credentials::Credentials;
use crate::status::ask::{self, Answer};

const INTERVAL: Duration = Duration::from_millis(200);

/// The latest answers of the nodes.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Watch {
    /// Begins to ask these nodes. The threads that ask end with the process.
    pub(super) fn start(nodes: impl Iterator<Item = (u32, String)>) -> Self {
        let unknown = |(node, http): (u32, String)| Answer {
            http,
            expected: Some(node),
            status: Err("not asked yet".to_owned()),
        };
        let answers: Vec<Answer> = nodes.map(unknown).collect();
        let addresses: Vec<String> = answers.iter().map(|answer| answer.http.clone()).collect();
        let answers = Arc::new(Mutex::new(answers));
        // Whoever gives the nodes a password says it here too.
        let authorization = Credentials::default().header().ok().flatten();
        for (position, http) in addresses.into_iter().enumerate() {
            let (answers, authorization) = (answers.clone(), authorization.clone());
            std::thread::spawn(move || {
                loop {
                    let status = ask::node(&http, authorization.as_deref());
                    answers.lock().expect("nobody panics with this lock")[position].status = status;
                    std::thread::sleep(INTERVAL);
                }
            });
        }
        Self { answers }
    }

    /// The latest answers, in the order of the nodes.
    pub(super) fn answers(&self) -> Vec<Answer> {
        self.answers.lock().expect("nobody panics with this lock").clone()
    }
}
