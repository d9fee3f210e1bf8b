//! `vpnd reload`: has a running tunnel go over to its configuration as it is now.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::ask::{Where, Whom, ask};
use super::{exit, printed};
use crate::config::report::escaped;
use crate::daemon::control::Request;
use crate::daemon::control::protocol::Reload;
use crate::tunnel::diagnosis::ExitKind;

/// Arguments of `vpnd reload`.
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    place: Where,
    /// Only tell what would happen; nothing is changed
    #[arg(long)]
    dry_run: bool,
    /// Do not wait longer than this for a new session; vpnd goes on with it all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Print one JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
The running vpnd reads its own configuration file again, with all secrets. A file with errors changes nothing. What needs a new session (gateway,
identities, keys, proposals, subnets) gets one beside the old: that one ends when the new one carries the traffic.
SIGHUP does the same without an answer.

Exit codes:
  0  done: what changed is in force
  1  another failure, no vpnd answers, or no new session within the time given
  2  wrong usage or configuration: nothing is changed
  3  this user may not ask
  4  the gateway cannot be reached           \\
  5  authentication failed                    | the new session failed:
  6  no proposal in common                    | the tunnel goes on with the old one
  7  subnets or addresses not agreed on      /
  8  done, but for what needs a restart of vpnd";

pub(super) fn run(arguments: &Arguments) -> ExitKind {
    let socket = match arguments.whom.socket(&arguments.place) {
        Ok(socket) => socket,
        Err(unusable) => return unusable.into(),
    };
    let request = Request::Reload(Reload { dry_run: arguments.dry_run });
    let mut outcome = None;
    let asked = ask(&socket, &request, Duration::from_secs(arguments.timeout), &mut |answer| {
        if let Some(name) = answer.get("outcome").and_then(Value::as_str) {
            outcome = ExitKind::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        }
        if arguments.json {
            printed(writeln!(io::stdout(), "{}", with_exit_code(answer, outcome)));
        } else {
            show(&answer);
        }
    });
    match asked {
        Err(exit) => exit,
        Ok(()) => outcome.unwrap_or(ExitKind::Other),
    }
}

fn with_exit_code(mut answer: Value, outcome: Option<ExitKind>) -> Value {
    if let (Some(fields), Some(outcome)) = (answer.as_object_mut(), outcome) {
        fields.insert("exit_code".into(), exit::number(outcome).into());
    }
    answer
}

fn show(answer: &Value) {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("answer") {
        "differences" => {
            printed(io::stderr().write_all(lines(text("warnings")).as_bytes()));
            printed(io::stdout().write_all(differences(answer).as_bytes()));
        }
        "progress" => printed(writeln!(io::stdout(), "  {}", escaped(text("text")))),
        "done" => printed(writeln!(io::stdout(), "{}", escaped(text("text")))),
        _ => {
            printed(io::stderr().write_all(lines(text("report")).as_bytes()));
            printed(io::stderr().write_all(format!("vpnd: {}", lines(text("reason"))).as_bytes()));
        }
    }
}

fn differences(answer: &Value) -> String {
    let list = |key: &str| answer.get(key).and_then(Value::as_array).into_iter().flatten();
    let device = answer.get("device").and_then(Value::as_str).map(escaped).unwrap_or_default();
    let mut shown = format!("{device}:");
    for difference in list("differences") {
        let text = difference.get("text").and_then(Value::as_str).unwrap_or_default();
        shown.push_str(&format!("\n  {}", escaped(text)));
    }
    if list("differences").next().is_none() {
        shown.push_str(" the configuration is the one that is in force");
    }
    for note in list("notes").filter_map(Value::as_str) {
        shown.push_str(&format!("\n  note: {}", escaped(note)));
    }
    shown.push('\n');
    shown
}

/// Text of several lines, each of them escaped.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", escaped(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_told_a_line_each() {
        let answer = json!({ "device": "vpnd0", "differences": [{ "text": "[ike] dpd: 30s -> 10s, in place" }], "notes": ["a note"] });
        assert_eq!(differences(&answer), "vpnd0:\n  [ike] dpd: 30s -> 10s, in place\n  note: a note\n");
        let none = json!({ "device": "vpnd0", "differences": [] });
        assert_eq!(differences(&none), "vpnd0: the configuration is the one that is in force\n");
    }

    #[test]
    fn what_is_answered_cannot_disturb_a_terminal() {
        assert_eq!(lines("a\x1b[2J\nb"), "a\\u{1b}[2J\nb\n");
    }
}
