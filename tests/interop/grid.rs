//! A table of things to try, each cell by whichever client is free. It knows nothing of what is tried.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::lab::Client;

pub(crate) struct Grid {
    rows: Vec<&'static str>,
    columns: Vec<&'static str>,
}

/// Row, column, and what the panic said.
type Failure = (usize, usize, String);

impl Grid {
    pub(crate) fn new(rows: &[&'static str], columns: &[&'static str]) -> Self {
        Self { rows: rows.to_vec(), columns: columns.to_vec() }
    }

    /// Tries every cell, one at a time a client, and panics at the end if one of them panicked.
    /// The table is left in `file` of the target's temporary directory.
    pub(crate) fn prove(&self, file: &str, clients: &[Client<'_>], prove: impl Fn(&Client<'_>, usize, usize) + Sync) {
        let started = Instant::now();
        let failures = self.failures(clients, prove);
        let table = self.table(&failures, started.elapsed());
        println!("{table}");
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(file), &table).expect("the table's file");
        for (row, column, message) in &failures {
            eprintln!("{} with {}: {message}\n", self.rows[*row], self.columns[*column]);
        }
        assert!(failures.is_empty(), "{} cells failed", failures.len());
    }

    fn failures(&self, clients: &[Client<'_>], prove: impl Fn(&Client<'_>, usize, usize) + Sync) -> Vec<Failure> {
        let next = AtomicUsize::new(0);
        let failures = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for client in clients {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let (row, column) = (number / self.columns.len(), number % self.columns.len());
                        if row >= self.rows.len() {
                            return;
                        }
                        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| prove(client, row, column))) {
                            let mut failures = failures.lock().expect("no thread panics while it holds this");
                            failures.push((row, column, message(&*panic)));
                        }
                    }
                });
            }
        });
        failures.into_inner().expect("no thread panics while it holds this")
    }

    fn table(&self, failures: &[Failure], elapsed: Duration) -> String {
        let mut table = format!("{:<18}", "");
        for column in &self.columns {
            write!(table, "{column:>11}").expect("a String takes everything");
        }
        for (row, name) in self.rows.iter().enumerate() {
            write!(table, "\n{name:<18}").expect("a String takes everything");
            for column in 0..self.columns.len() {
                let failed = failures.iter().any(|failure| (failure.0, failure.1) == (row, column));
                write!(table, "{:>11}", if failed { "FAILED" } else { "ok" }).expect("a String takes everything");
            }
        }
        let cells = self.rows.len() * self.columns.len();
        let (good, seconds) = (cells - failures.len(), elapsed.as_secs_f32());
        write!(table, "\n{good} of {cells} cells: up, ping, down, in {seconds:.1} s\n")
            .expect("a String takes everything");
        table
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
