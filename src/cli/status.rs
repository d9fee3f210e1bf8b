//! `vpnd status`: how a running tunnel stands.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::ask::{Where, Whom, ask};
use super::printed;
use crate::config::report::escaped;
use crate::daemon::control::Request;
use crate::tunnel::diagnosis::ExitKind;

/// Answers come at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `vpnd status`.
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    place: Where,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Exit codes:
  0  the tunnel is up
  1  it is not, or no vpnd answers
  2  wrong usage or configuration
  3  this user may not ask";

pub(super) fn run(arguments: &Arguments) -> ExitKind {
    let socket = match arguments.whom.socket(&arguments.place) {
        Ok(socket) => socket,
        Err(unusable) => return unusable.into(),
    };
    let mut is_up = false;
    let asked = ask(&socket, &Request::Status, PATIENCE, &mut |answer| {
        is_up = answer.get("state").is_some_and(|state| state == "up");
        if arguments.json {
            printed(writeln!(std::io::stdout(), "{answer}"));
        } else {
            printed(std::io::stdout().write_all(as_text(&answer).as_bytes()));
        }
    });
    match asked {
        Err(exit) => exit,
        Ok(()) if is_up => ExitKind::Success,
        Ok(()) => ExitKind::Other,
    }
}

fn as_text(answer: &Value) -> String {
    if let Some(reason) = answer["reason"].as_str() {
        return format!("vpnd refuses: {}\n", escaped(reason));
    }
    let mut text = format!("{} is {}\n", word(&answer["device"]), word(&answer["state"]));
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:<10} {value}\n"));
    let session = &answer["session"];
    if session.is_object() {
        line("gateway", format!("{}, from {}", word(&session["gateway"]), word(&session["local"])));
        let spis = format!("SPIs {} and {}", word(&session["our_spi"]), word(&session["gateway_spi"]));
        line("ike", format!("{}, {}, {spis}", word(&session["suite"]), word(&session["state"])));
    }
    for child in answer["children"].as_array().into_iter().flatten() {
        let spis = format!("SPIs {} in, {} out", word(&child["inbound_spi"]), word(&child["outbound_spi"]));
        line("child", format!("{} for {}, {spis}", word(&child["suite"]), words(&child["remote"])));
        line("addresses", words(&child["addresses"]));
    }
    text
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".into(), escaped)
}

fn words(list: &Value) -> String {
    let words: Vec<String> = list.as_array().into_iter().flatten().map(word).collect();
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tunnel_that_is_up_is_told_in_a_few_lines() {
        let answer = json!({
            "device": "vpnd0", "state": "up",
            "session": { "state": "established", "gateway": "192.0.2.1:4500", "local": "192.0.2.9:4500", "suite": "aes",
                "our_spi": "01", "gateway_spi": "02" },
            "children": [{ "suite": "gcm", "remote": ["10.0.0.0/8"], "inbound_spi": "03", "outbound_spi": "04", "addresses": [] }],
        });
        let text = as_text(&answer);
        assert_eq!(
            text,
            "vpnd0 is up\n  gateway    192.0.2.1:4500, from 192.0.2.9:4500\n  ike        aes, established, SPIs 01 and 02\n  \
             child      gcm for 10.0.0.0/8, SPIs 03 in, 04 out\n  addresses  none\n"
        );
    }

    #[test]
    fn an_answer_that_lacks_everything_is_told_all_the_same() {
        assert_eq!(as_text(&json!({})), "- is -\n");
        assert_eq!(as_text(&json!({ "reason": "too\nmany" })), "vpnd refuses: too\\nmany\n");
    }
}
