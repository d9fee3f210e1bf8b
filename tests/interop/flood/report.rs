//! What came of a flood, as the table of `docs/reliability.md`.

use std::fmt::Write as _;

use serde_json::Value;

use super::stream::Outcome;

/// What came of one flood.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) sent: u64,
    pub(super) seconds: f64,
    pub(super) kinds: usize,
    /// Resident octets before, after half of it, at the most, and after it.
    pub(super) memory: [u64; 4],
    pub(super) stream: Outcome,
    /// What was lost in the socket of vpnd, of the program that counts, and on the gateway's side.
    pub(super) full: [u64; 3],
    pub(super) answered: Vec<String>,
    /// As `vpnd status` has them.
    pub(super) counters: Value,
    /// Seconds, by the thread's name.
    pub(super) processor: Vec<(String, f64)>,
}

impl Report {
    fn a_second(&self) -> u64 {
        (self.sent as f64 / self.seconds) as u64
    }

    fn memory(&self) -> String {
        let sizes = self.memory.map(|octets| format!("{:.1}", octets as f64 / f64::from(1 << 20)));
        format!("{} MiB", sizes.join(", "))
    }

    fn kept(&self) -> String {
        let Outcome { sent, back } = self.stream;
        format!("{} of {} ({:.1} %)", grouped(back), grouped(sent), self.stream.kept() * 100.0)
    }

    /// Of the inbound, the control and the outbound thread.
    fn processor(&self) -> String {
        let share = |thread| {
            // The control thread has the program's name.
            let time = self.processor.iter().find(|(name, _)| *name == thread).map_or(0.0, |(_, time)| *time);
            time / self.seconds * 100.0
        };
        let [inbound, control, outbound] = ["vpnd-inbound", "vpnd", "vpnd-outbound"].map(share);
        format!("{inbound:.0}, {control:.0} and {outbound:.0} % of a core")
    }
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// What one row of the table says of a run.
type Cell = fn(&Report) -> String;

/// A column for each.
pub(super) fn table(reports: &[(&str, &Report)]) -> String {
    let rows: [(&str, Cell); 8] = [
        ("Datagrams", |report| format!("{} of {} kinds", grouped(report.sent), report.kinds)),
        ("Datagrams a second", |report| grouped(report.a_second())),
        ("Memory (RSS) before, after half of them, at most, after", Report::memory),
        ("Packets of the live tunnel that came back", Report::kept),
        ("Lost for want of room in the socket of vpnd, of the program that counts, on the gateway's side", |report| {
            report.full.map(grouped).join(", ")
        }),
        ("Answers to strangers, seen on the link", |report| report.answered.len().to_string()),
        ("Kept out by the kernel, for this tunnel's filter or want of room", |report| {
            grouped(report.counters["unreceived"].as_u64().expect("a number"))
        }),
        ("Processor time of the inbound, the control and the outbound thread", Report::processor),
    ];
    let names: Vec<&str> = reports.iter().map(|(name, _)| *name).collect();
    let mut table = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for (head, cell) in rows {
        let cells: Vec<String> = reports.iter().map(|(_, report)| cell(report)).collect();
        writeln!(table, "| {head} | {} |", cells.join(" | ")).expect("a String takes everything");
    }
    table
}
