//! What is said on the control socket: one request, a JSON object in one line, and answers, each a JSON object in a line.
//!
//! `{"version": 1, "status": {}}` is answered with `{"version": 1, "answer": "status", ...}`. A request that is not understood is refused as a
//! whole: `{"version": 1, "answer": "refused", "reason": "..."}`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The version of what is said. Another one is refused.
pub const VERSION: u64 = 1;

/// Octets of the longest request, its line end included.
pub const LONGEST_REQUEST: usize = 4096;

/// What is asked of a running vpnd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// How does the tunnel stand?
    Status,
    /// Hand everything over to this process; the connection is spoken otherwise from here on.
    Handover {
        /// Its own number.
        process: u32,
        /// The format that it reads.
        format: u64,
        /// The inode of its network namespace.
        namespace: u64,
    },
    /// Read the configuration again and go over to it.
    Reload(Reload),
}

/// How to go over to the configuration as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reload {
    /// Only tell what would happen.
    pub dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A later release may say more.
#[derive(Deserialize)]
struct HandoverTo {
    process: u32,
    format: u64,
    namespace: u64,
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// Too many are connected already.
    Busy,
    /// Nothing came in time.
    Late,
    /// The line has no end.
    Unfinished,
    /// It is longer than [`LONGEST_REQUEST`].
    TooLong,
    /// Something stands behind the line.
    NotAlone,
    /// It is no JSON object.
    NoObject,
    /// It is of another version.
    Version,
    /// It is none or more than one of those that there are.
    Unknown,
    /// What it asks with is not what belongs to it.
    Arguments(&'static str),
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => write!(f, "too many others ask at the same time; try again"),
            Self::Late => write!(f, "the request did not come in time"),
            Self::Unfinished => write!(f, "the request has no line end"),
            Self::TooLong => write!(f, "the request is longer than {LONGEST_REQUEST} octets"),
            Self::NotAlone => write!(f, "something follows the request's line before it was answered"),
            Self::NoObject => write!(f, "the request is no JSON object"),
            Self::Version => {
                write!(f, "this vpnd speaks version {VERSION} of the control protocol: `\"version\": {VERSION}`")
            }
            Self::Unknown => write!(f, "the request is none that this vpnd knows: `status`, `reload` or `handover`"),
            Self::Arguments(request) => write!(f, "`{request}` does not go with these values"),
        }
    }
}

impl std::error::Error for BadRequest {}

impl Request {
    /// Reads a request, its line end included.
    ///
    /// # Errors
    /// [`BadRequest`]. It repeats nothing of what was read.
    pub fn read(octets: &[u8]) -> Result<Self, BadRequest> {
        if octets.len() > LONGEST_REQUEST {
            return Err(BadRequest::TooLong);
        }
        let (end, line) = octets.split_last().ok_or(BadRequest::Unfinished)?;
        if line.contains(&b'\n') {
            return Err(BadRequest::NotAlone);
        }
        if *end != b'\n' {
            return Err(BadRequest::Unfinished);
        }
        let mut object: Map<String, Value> = serde_json::from_slice(line).map_err(|_| BadRequest::NoObject)?;
        if object.remove("version") != Some(VERSION.into()) {
            return Err(BadRequest::Version);
        }
        let mut entries = object.into_iter();
        let (Some((name, arguments)), None) = (entries.next(), entries.next()) else {
            return Err(BadRequest::Unknown);
        };
        match &*name {
            "status" => arguments_of("status", arguments).map(|Nothing {}| Self::Status),
            "handover" => arguments_of("handover", arguments)
                .map(|HandoverTo { process, format, namespace }| Self::Handover { process, format, namespace }),
            "reload" => arguments_of("reload", arguments).map(Self::Reload),
            _ => Err(BadRequest::Unknown),
        }
    }

    /// The request as it is sent, its line end included.
    pub fn to_line(&self) -> Vec<u8> {
        line(&match self {
            Self::Status => json!({ "version": VERSION, "status": {} }),
            Self::Handover { process, format, namespace } => json!({
                "version": VERSION,
                "handover": { "process": process, "format": format, "namespace": namespace },
            }),
            Self::Reload(reload) => json!({ "version": VERSION, "reload": reload }),
        })
    }
}

fn arguments_of<T: for<'a> Deserialize<'a>>(name: &'static str, arguments: Value) -> Result<T, BadRequest> {
    if !arguments.is_object() {
        return Err(BadRequest::Arguments(name));
    }
    serde_json::from_value(arguments).map_err(|_| BadRequest::Arguments(name))
}

/// An answer called `what`, with these fields beside.
pub fn answer(what: &str, fields: Value) -> Value {
    let mut answer = Map::new();
    answer.insert("version".into(), VERSION.into());
    answer.insert("answer".into(), what.into());
    if let Value::Object(fields) = fields {
        answer.extend(fields);
    }
    Value::Object(answer)
}

/// The answer to what is not done.
pub fn refusal(reason: &str) -> Value {
    answer("refused", json!({ "reason": reason }))
}

/// A value in one line: JSON escapes line ends.
pub(super) fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}
