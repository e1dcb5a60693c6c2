//! How far a command is: one line that replaces itself on a terminal, a line now and then in a log file. On
//! stderr, so that what a command finds can be piped.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use base::Clock;

/// Between two lines of a terminal. Shorter: a thousand small files cost more to tell of than to copy.
const ON_A_TERMINAL: Duration = Duration::from_millis(100);
/// Between two lines of a log.
const IN_A_LOG: Duration = Duration::from_secs(10);

pub struct Line {
    clock: Clock,
    terminal: bool,
    told: Option<Instant>,
    /// What was left out since, so that the end is seen.
    last: String,
}

impl Line {
    pub fn new(clock: &Clock) -> Self {
        let terminal = std::io::stderr().is_terminal();
        // A log begins with the first interval, so that short commands stay silent.
        let told = (!terminal).then(|| clock.monotonic());
        Line { clock: clock.clone(), terminal, told, last: String::new() }
    }

    pub fn show(&mut self, progress: impl Display) {
        let now = self.clock.monotonic();
        let every = if self.terminal { ON_A_TERMINAL } else { IN_A_LOG };
        if self.told.is_some_and(|at| now.duration_since(at) < every) {
            if self.terminal {
                self.last = progress.to_string();
            }
            return;
        }
        self.told = Some(now);
        self.last.clear();
        self.write(&progress.to_string());
    }

    /// Leaves the line; nothing where none was shown.
    pub fn end(self) {
        if !self.terminal || self.told.is_none() {
            return;
        }
        if !self.last.is_empty() {
            self.write(&self.last);
        }
        eprintln!();
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        // The work goes on where nobody reads of it any more.
        let _ = match self.terminal {
            // Back to the first column; what is left of a longer line is erased.
            true => write!(out, "\r{text}\x1b[K"),
            false => writeln!(out, "{text}"),
        };
        let _ = out.flush();
    }
}
