//! Walks a TOML table with positions. Every mistake is reported, and the walk goes on.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::hide_values;
use super::report::{Report, did_you_mean};
use crate::sa::nearest::nearest;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
    /// Where the name of its key stands.
    pub(super) key: Range<usize>,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), span: self.span, key: self.key }
    }

    /// Octets within the value of a string, shifted to where they stand in the file. Right for strings without escapes; the
    /// whole value for others.
    pub(super) fn part(&self, text: &str, part: &Range<usize>) -> Range<usize> {
        let quotes = self.span.len().saturating_sub(text.len());
        if quotes != 2 {
            return self.span.clone();
        }
        let start = self.span.start.saturating_add(1);
        start.saturating_add(part.start)..start.saturating_add(part.end)
    }
}

/// A value that is no list and no table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// One table of the file, while its keys are taken out of it.
pub(super) struct Section<'t, 'r> {
    pub(super) name: &'static str,
    pub(super) span: Range<usize>,
    entries: Vec<(Spanned<String>, Option<Spanned<DeValue<'t>>>)>,
    asked: Vec<&'static str>,
    pub(super) report: &'r mut Report,
}

impl<'t, 'r> Section<'t, 'r> {
    pub(super) fn new(name: &'static str, span: Range<usize>, table: DeTable<'t>, report: &'r mut Report) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| (Spanned::new(key.span(), key.into_inner().into_owned()), Some(value)))
            .collect();
        Self { name, span, entries, asked: Vec::new(), report }
    }

    /// The key's value is never shown, whatever it is.
    pub(super) fn hide(&mut self, key: &str) {
        for (name, value) in &self.entries {
            if let Some(value) = value.as_ref().filter(|_| name.get_ref() == key) {
                self.report.hide(value.span());
            }
        }
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<At<DeValue<'t>>> {
        self.asked.push(key);
        let (name, value) = self.entries.iter_mut().find(|(name, _)| name.get_ref() == key)?;
        let value = value.take()?;
        Some(At { key: name.span(), span: value.span(), value: value.into_inner() })
    }

    pub(super) fn scalar(&mut self, key: &'static str, expected: &str) -> Option<At<Scalar>> {
        let found = self.take(key)?;
        let span = found.span.clone();
        match found.value {
            DeValue::String(text) => Some(At { value: Scalar::Text(text.into_owned()), span, key: found.key }),
            DeValue::Boolean(flag) => Some(At { value: Scalar::Flag(flag), span, key: found.key }),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Some(At { value: Scalar::Number(number), span, key: found.key }),
                Err(_) => {
                    self.report.error(span, format!("`{key}` is too large a number"), None);
                    None
                }
            },
            other => {
                self.wrong_type(span, key, expected, other.type_str());
                None
            }
        }
    }

    pub(super) fn text(&mut self, key: &'static str, expected: &str) -> Option<At<String>> {
        let found = self.scalar(key, expected)?;
        match found.value {
            Scalar::Text(text) => Some(At { value: text, span: found.span, key: found.key }),
            other => {
                self.wrong_type(found.span, key, expected, other.type_name());
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<At<bool>> {
        let found = self.scalar(key, "true or false")?;
        match found.value {
            Scalar::Flag(flag) => Some(At { value: flag, span: found.span, key: found.key }),
            other => {
                self.wrong_type(found.span, key, "true or false, without quotes", other.type_name());
                None
            }
        }
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&mut self, key: &'static str, expected: &str) -> Option<At<Vec<At<String>>>> {
        let found = self.take(key)?;
        let key_span = found.key.clone();
        let texts = match found.value {
            DeValue::String(text) => {
                vec![At { value: text.into_owned(), span: found.span.clone(), key: key_span.clone() }]
            }
            DeValue::Array(items) => items
                .into_iter()
                .filter_map(|item| {
                    let span = item.span();
                    match item.into_inner() {
                        DeValue::String(text) => Some(At { value: text.into_owned(), span, key: key_span.clone() }),
                        other => {
                            self.wrong_type(span, key, expected, other.type_str());
                            None
                        }
                    }
                })
                .collect(),
            other => {
                self.wrong_type(found.span, key, expected, other.type_str());
                return None;
            }
        };
        Some(At { value: texts, span: found.span, key: key_span })
    }

    pub(super) fn wrong_type(&mut self, span: Range<usize>, key: &str, expected: &str, found: &str) {
        self.report.error(span, format!("`{key}` is {expected}, not {}", with_article(found)), None);
    }

    /// Reports the keys that nobody asked for. `elsewhere` says in which other section a key is known.
    pub(super) fn finish(self, elsewhere: impl Fn(&str) -> Vec<&'static str>) {
        for (key, value) in self.entries {
            let Some(value) = value else { continue };
            hide_values(&value, self.report);
            let name = key.get_ref();
            let places = elsewhere(name);
            let help = match nearest(name, self.asked.iter().copied()) {
                _ if !places.is_empty() => Some(format!("it belongs in {}", places.join(" or "))),
                Some(meant) => did_you_mean(Some(meant)),
                None => Some(format!("known here: {}", self.asked.join(", "))),
            };
            self.report.error(key.span(), format!("unknown key `{name}` in [{}]", self.name), help);
        }
    }
}

impl Scalar {
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Number(_) => "integer",
            Self::Flag(_) => "boolean",
        }
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {kind}")
}
