//! What is wrong with a configuration file, shown to people: line, column, a caret, and what to write instead.
//! The file's text is not trusted: control characters are escaped, long lines are cut, and secrets in it are never shown.

use std::fmt::Write;
use std::ops::Range;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used, and the person should know.
    Warning,
}

impl Severity {
    /// The word that stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing to tell about a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The octets of the file that it is about; `None` for the file as a whole.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to do, shown behind the caret.
    pub help: Option<String>,
}

/// Where a finding is, as people and editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// Everything to tell about one configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    hidden: Vec<Range<usize>>,
}

/// Findings beyond this many are counted only.
const MOST_SHOWN: usize = 50;
/// Columns of a source line that are shown.
const MOST_COLUMNS: usize = 120;
/// Columns before the caret that are shown of a line that is cut.
const COLUMNS_BEFORE: usize = 40;

impl Report {
    pub(super) fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let message = message.into();
        self.findings.push(Finding { severity: Severity::Error, span: Some(span), message, help });
    }

    pub(super) fn warning(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let message = message.into();
        self.findings.push(Finding { severity: Severity::Warning, span: Some(span), message, help });
    }

    pub(super) fn error_in_file(&mut self, message: impl Into<String>, help: Option<String>) {
        self.findings.push(Finding { severity: Severity::Error, span: None, message: message.into(), help });
    }

    /// Octets of the file that are never shown.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    pub(super) fn sort(&mut self) {
        self.findings.sort_by_key(|finding| finding.span.as_ref().map_or(usize::MAX, |span| span.start));
    }

    /// Whether the configuration cannot be used.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All findings, in the order of the file; those about the whole file come last.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Shows every finding with its place in the file. `name` is the file's, `text` what was read from it.
    pub fn render(&self, name: &str, text: &str) -> String {
        let mut out = String::new();
        let name = escaped(name);
        for finding in self.findings.iter().take(MOST_SHOWN) {
            let severity = finding.severity.name();
            let message = escaped(&finding.message);
            match &finding.span {
                Some(span) => {
                    let Position { line, column } = position(text, span.start);
                    let _ = writeln!(out, "{name}:{line}:{column}: {severity}: {message}");
                    self.render_line(&mut out, text, span, line, finding.help.as_deref());
                }
                None => {
                    let _ = writeln!(out, "{name}: {severity}: {message}");
                    if let Some(help) = &finding.help {
                        let _ = writeln!(out, "   = {}", escaped(help));
                    }
                }
            }
        }
        if let Some(more) = self.findings.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(out, "{name}: and {more} more");
        }
        out
    }

    fn render_line(&self, out: &mut String, text: &str, span: &Range<usize>, line: usize, help: Option<&str>) {
        let start = floor(text, span.start);
        let line_start = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at.saturating_add(1));
        let rest = text.get(line_start..).unwrap_or_default();
        let source = rest.split(['\n', '\r']).next().unwrap_or_default();
        let cells = self.cells(source, line_start);
        let caret = caret(&cells, span);
        let first = if columns(&cells) > MOST_COLUMNS { caret.start.saturating_sub(COLUMNS_BEFORE) } else { 0 };
        let last = first.saturating_add(MOST_COLUMNS);
        let mut shown = String::new();
        if first > 0 {
            shown.push_str("...");
        }
        let shift = shown.len();
        for cell in cells.iter().filter(|cell| cell.column >= first && cell.column < last) {
            shown.push_str(&cell.shown);
        }
        if columns(&cells) > last {
            shown.push_str("...");
        }
        let gutter = " ".repeat(line.to_string().len());
        let indent = " ".repeat(caret.start.saturating_sub(first).saturating_add(shift));
        let width = caret.end.min(last).saturating_sub(caret.start).max(1);
        let _ = writeln!(out, "  {line} | {}", shown.trim_end());
        let _ = write!(out, "  {gutter} | {indent}{}", "^".repeat(width));
        let _ = match help {
            Some(help) => writeln!(out, " {}", escaped(help)),
            None => writeln!(out),
        };
    }

    fn cells(&self, source: &str, line_start: usize) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        let mut column = 0_usize;
        let mut in_hidden = None;
        for (offset, letter) in source.char_indices() {
            let octet = line_start.saturating_add(offset);
            let hidden = self.hidden.iter().position(|span| span.contains(&octet));
            let shown = match hidden {
                Some(_) if hidden == in_hidden => String::new(),
                Some(_) => "***".to_owned(),
                None if letter == '\t' => "    ".to_owned(),
                None => escaped_letter(letter),
            };
            in_hidden = hidden;
            let width = if hidden.is_some() || shown.len() > letter.len_utf8() || letter.is_ascii() {
                shown.chars().count()
            } else {
                letter_width(letter)
            };
            cells.push(Cell { octet, column, shown });
            column = column.saturating_add(width);
        }
        cells.push(Cell { octet: line_start.saturating_add(source.len()), column, shown: String::new() });
        cells
    }
}

impl Finding {
    /// Line and column of the first character.
    pub fn position(&self, text: &str) -> Option<Position> {
        self.span.as_ref().map(|span| position(text, span.start))
    }
}

pub(super) fn did_you_mean(word: Option<&str>) -> Option<String> {
    word.map(|word| format!("did you mean `{word}`?"))
}

/// Text from outside, safe to be shown on a terminal: control characters and invisible ones are escaped.
pub fn escaped(text: &str) -> String {
    text.chars().map(escaped_letter).collect()
}

struct Cell {
    octet: usize,
    column: usize,
    shown: String,
}

fn columns(cells: &[Cell]) -> usize {
    cells.last().map_or(0, |cell| cell.column)
}

fn caret(cells: &[Cell], span: &Range<usize>) -> Range<usize> {
    let column_of =
        |octet: usize| cells.iter().find(|cell| cell.octet >= octet).map_or(columns(cells), |cell| cell.column);
    let start = column_of(span.start);
    start..column_of(span.end).max(start.saturating_add(1))
}

fn position(text: &str, octet: usize) -> Position {
    let before = text.get(..floor(text, octet)).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    Position { line, column }
}

fn floor(text: &str, octet: usize) -> usize {
    let mut octet = octet.min(text.len());
    while !text.is_char_boundary(octet) {
        octet = octet.saturating_sub(1);
    }
    octet
}

fn escaped_letter(letter: char) -> String {
    match letter {
        '"' | '\'' | '\\' => letter.to_string(),
        _ => letter.escape_debug().to_string(),
    }
}

/// Columns of a character on a terminal, near enough for a caret.
const fn letter_width(letter: char) -> usize {
    match letter as u32 {
        0x0300..=0x036F | 0x20D0..=0x20FF | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F => 2,
        0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}
