//! Random commands that make sense, or nearly so.

#![allow(dead_code)]

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::stream_templates::{STREAM_CHOICES, STREAM_TEMPLATES};
use super::templates::{CHOICES, TEMPLATES};

/// Makes commands from templates: each word that names a choice is replaced.
pub struct Maker {
    rng: ChaCha8Rng,
    choices: BTreeMap<&'static str, Vec<&'static str>>,
    /// The last id that was made for an entry of a stream.
    id: (u64, u64),
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        let split = |(name, list): (&'static str, &'static str)| (name, list.split(' ').collect());
        let choices = CHOICES.iter().chain(STREAM_CHOICES).copied().map(split).collect();
        Self { rng: ChaCha8Rng::seed_from_u64(seed), choices, id: (1, 0) }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound as u64) as usize
    }

    /// A random command.
    pub fn any(&mut self) -> String {
        loop {
            let at = self.below(TEMPLATES.len() + STREAM_TEMPLATES.len());
            let template = match TEMPLATES.get(at) {
                Some((template, _)) => template,
                None => STREAM_TEMPLATES[at - TEMPLATES.len()].trim_start_matches('*'),
            };
            // Whole databases are emptied or swapped rarely, or there would never be much in them.
            if !template.starts_with("FLUSH") || self.below(20) == 0 {
                return self.fill(template);
            }
        }
    }

    /// A random command, now and then under a token, that may have been used.
    pub fn any_or_once(&mut self) -> String {
        let line = self.any();
        match self.below(3) {
            0 => format!("ONCE token-{} {line}", self.below(300)),
            1 if self.below(2) == 0 => format!("ONCE token-{} INCR n1", self.below(20)),
            _ => line,
        }
    }

    /// A longitude and a latitude, often near to others, now and then none.
    pub fn place(&mut self) -> String {
        let mut between = |max: f64| (self.rng.next_u64() as f64 / 2f64.powi(63) - 1.0) * max;
        let (longitude, latitude) = (between(180.0), between(85.05));
        let (east, north) = (between(1.0), between(1.0));
        let near = |(longitude, latitude): (f64, f64), width: f64| {
            format!("{} {}", longitude + east * width, latitude + north * width)
        };
        const CITIES: [(f64, f64); 4] = [(13.4, 52.5), (-122.4, 37.8), (179.0, -17.7), (25.0, 81.0)];
        let city = CITIES[self.below(4)];
        match self.below(40) {
            0 => ["181 0", "0 86", "x 1", "1 ''", "-180.0001 5", "inf 1"][self.below(6)].to_string(),
            1 => {
                ["180 85.05112878", "-180 -85.05112878", "0 0", "180 0", "-180 1"][self.below(5)].to_string()
            }
            2..=9 => near((longitude, latitude), 0.0),
            10..=19 => near(city, 0.001),
            20..=29 => near(city, 0.1),
            _ => near(city, 1.0),
        }
    }

    /// An id for an entry, mostly later than those before.
    pub fn new_id(&mut self) -> String {
        let (ms, seq) = self.id;
        self.id = match self.below(3) {
            0 => (ms, seq + 1),
            _ => (ms + 1 + self.below(3) as u64, 0),
        };
        let (ms, seq) = self.id;
        match self.below(20) {
            0 => format!("{ms}-*"),
            1 => ms.to_string(),
            2 => self.known_id(),
            _ => format!("{ms}-{seq}"),
        }
    }

    /// An id that an entry may have.
    pub fn known_id(&mut self) -> String {
        let back = [3, 30, 300][self.below(3)];
        let ms = self.id.0.saturating_sub(self.below(back) as u64);
        match self.below(8) {
            0 => ms.to_string(),
            1 | 2 => format!("{ms}-{}", self.below(4)),
            _ => format!("{ms}-0"),
        }
    }

    /// A command from a template.
    pub fn fill(&mut self, template: &str) -> String {
        let words = template.split(' ').map(|word| match self.choices.get(word).cloned() {
            Some(list) => list[self.below(list.len())].to_string(),
            // Any of many numbers.
            None if word == "N" => self.below(1_000_000).to_string(),
            None if word == "PLACE" => self.place(),
            None if word == "NEWID" => self.new_id(),
            None if word == "ID" => self.known_id(),
            None if word == "(ID" => format!("({}", self.known_id()),
            None => match word.strip_prefix('?') {
                // An option that may be left out.
                Some(_) if self.below(3) > 0 => String::new(),
                Some(option) => option.replace('_', " "),
                None => word.to_string(),
            },
        });
        let line = words.collect::<Vec<_>>().join(" ");
        // What an option brought in may be a choice again.
        let is_open = |word: &str| ["PLACE", "NEWID", "ID", "(ID"].contains(&word);
        match line.split(' ').any(|word| is_open(word) || self.choices.contains_key(word)) {
            true => self.fill(&line),
            false => line,
        }
    }
}
