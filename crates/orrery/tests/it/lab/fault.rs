//! Impostors: programs on a host that answer as no peer should. `faults.py` says what each of them does.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Stdio},
};

use super::{Host, python, script};

/// A program that listens where a peer should be; killed when dropped.
pub struct Impostor {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Impostor {
    /// `words` are the kind, the port, and what the kind needs. Returns when it listens.
    pub fn start<S: AsRef<str>>(host: &Host, words: &[S]) -> Self {
        let mut child = host
            .command(python().unwrap())
            .arg(script("faults.py"))
            .args(words.iter().map(AsRef::as_ref))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut this = Impostor { child, output };
        assert_eq!(this.line(), "ready");
        this
    }

    /// From now on a `drip` gives a byte a second.
    pub fn drip(&mut self) {
        writeln!(self.child.stdin.as_mut().unwrap(), "drip").unwrap();
        assert_eq!(self.line(), "drips");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
