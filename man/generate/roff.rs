//! Text in the language of manual pages (`man(7)`).

use super::header::is_identifier;
use std::collections::HashSet;

/// Lines are no longer than this.
const WIDTH: usize = 76;

/// The names that are set like variables. Other code is set in bold.
pub type Variables<'a> = HashSet<&'a str>;

/// A paragraph. Code is in backquotes.
pub fn paragraph(text: &str, variables: &Variables) -> String {
    wrap(&fonts(text, variables))
}

/// A paragraph in the font that there is.
pub fn plain(text: &str) -> String {
    wrap(&escape(text))
}

/// What a page is called and about, in the form that `apropos` reads.
pub fn name(name: &str, summary: &str) -> String {
    wrap(&format!("{name} \\- {}", escape(summary)))
}

/// Lines, with a new one for each sentence.
fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let sentence_ends = out.ends_with(['.', ':', '?', '!']);
        if length > 0 && (sentence_ends || length + word.len() >= WIDTH) {
            out.push('\n');
            length = 0;
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        // A request is no word.
        if length == 0 && word.starts_with(['.', '\'']) {
            out += "\\&";
        }
        out += word;
        length += word.len();
    }
    out.push('\n');
    out
}

/// Text without line breaks.
fn fonts(text: &str, variables: &Variables) -> String {
    let segments = text.split('`').enumerate();
    segments.map(|(i, segment)| if i % 2 == 1 { code_in_text(segment, variables) } else { words(segment) }).collect()
}

fn code_in_text(code: &str, variables: &Variables) -> String {
    match code.split_once('(') {
        _ if variables.contains(code) => format!("\\fI{}\\fR", code_line(code)),
        Some((name, rest)) if is_identifier(name) => format!("\\fB{name}\\fR({}", code_line(rest)),
        _ => format!("\\fB{}\\fR", code_line(code)),
    }
}

/// Words, among which functions and manual pages are seen by their parentheses.
fn words(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let start = word.find(|c: char| c.is_ascii_alphanumeric() || c == '_').unwrap_or(0);
        let (before, rest) = word.split_at(start);
        // A minus, not a hyphen.
        out += &escape(before).replace('-', "\\-");
        match rest.split_once('(') {
            Some((name, after)) if is_identifier(name) && is_call_or_manual(after) => {
                out += &format!("\\fB{name}\\fR({}", escape(after));
            }
            _ => out += &escape(rest),
        }
    }
    out
}

/// Whether `after` goes on like `name()` or `name(2)`.
fn is_call_or_manual(after: &str) -> bool {
    after.split_once(')').is_some_and(|(section, _)| section.chars().all(|c| c.is_ascii_digit()))
}

/// A line of code, to be taken as it is.
pub fn code_line(line: &str) -> String {
    let mut out = escape(line).replace('-', "\\-").replace('\'', "\\(aq");
    for (c, name) in [('`', "ga"), ('^', "ha"), ('~', "ti")] {
        out = out.replace(c, &format!("\\({name}"));
    }
    if out.starts_with('.') { format!("\\&{out}") } else { out }
}

/// A block of code.
pub fn code(lines: &[String]) -> String {
    lines.iter().map(|line| code_line(line) + "\n").collect()
}

/// Writes characters by name that mean something else, or that not every program can read.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out += "\\e",
            c if !c.is_ascii() => out += &format!("\\[u{:04X}]", c as u32),
            c => out.push(c),
        }
    }
    out
}
