//! What is in a header: its introduction, types and functions, each with its comment.

use std::collections::{HashMap, HashSet};

pub struct Header {
    pub name: &'static str,
    pub introduction: Comment,
    pub types: Vec<Type>,
    pub functions: Vec<Function>,
}

pub struct Type {
    /// With `struct` or `enum`.
    pub name: String,
    pub comment: Comment,
    /// The lines of the definition, without comments.
    pub definition: Vec<String>,
    pub members: Vec<(String, Comment)>,
}

pub struct Function {
    pub name: String,
    /// Up to the name.
    pub result: String,
    pub parameters: Vec<Parameter>,
    pub comment: Comment,
}

/// A parameter: its name, and what the declaration has around that.
pub struct Parameter {
    pub before: String,
    pub name: String,
    pub after: String,
}

/// The text of a comment. Code and names are in backquotes.
#[derive(Clone, Default)]
pub struct Comment {
    pub sections: Vec<Section>,
}

/// Only the first section of a comment has no title.
#[derive(Clone)]
pub struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

#[derive(Clone)]
pub enum Block {
    Paragraph(String),
    Items(Vec<String>),
    Code(Vec<String>),
}

impl Header {
    pub fn parse(name: &'static str, text: &str, rust: &str) -> Result<Self, String> {
        let markup = Markup::new(rust);
        let mut header = Self { name, introduction: Comment::default(), types: vec![], functions: vec![] };
        let mut lines = text.lines();
        let mut comment = Comment::default();
        while let Some(line) = lines.next() {
            if line.starts_with("/*") {
                comment = markup.comment(&take_comment(line, &mut lines));
                if !line.starts_with("/**") && header.introduction.sections.is_empty() {
                    header.introduction = comment.clone();
                }
            } else if line.ends_with(" {") && (line.starts_with("struct ") || line.starts_with("enum ")) {
                let name = line.trim_end_matches(" {");
                header.types.push(parse_type(name, comment.clone(), &mut lines, &markup)?);
            } else if line.ends_with(");") && line.contains(' ') && !line.starts_with("static_assert") {
                header.functions.push(parse_function(line, comment.clone())?);
            }
        }
        Ok(header)
    }
}

/// The text of a comment that begins with `first`, line by line.
fn take_comment<'a>(first: &'a str, lines: &mut impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let start = first.trim_start().trim_start_matches("/**").trim_start_matches("/*");
    if let Some(text) = start.strip_suffix("*/") {
        return vec![text.trim()];
    }
    let rest = lines.take_while(|line| line.trim() != "*/").map(|line| line.trim_start().trim_start_matches('*'));
    rest.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect()
}

fn parse_type<'a>(
    name: &str,
    comment: Comment,
    lines: &mut impl Iterator<Item = &'a str>,
    markup: &Markup,
) -> Result<Type, String> {
    let mut definition = vec![format!("{name} {{")];
    let mut members = vec![];
    let mut member_comment = Comment::default();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("/*") {
            member_comment = markup.comment(&take_comment(line, lines));
            continue;
        }
        definition.push(line.into());
        if line == "};" {
            return Ok(Type { name: name.into(), comment, definition, members });
        }
        // `NAME = VALUE,`, `type name;` or `type name[SIZE];`, and nothing for the braces of a union.
        // The name of a pointer to a function is within parentheses.
        let line = line.find("(*").map_or(line, |i| line[i..].split(')').next().unwrap_or_default());
        let code = line.split([',', ';', '=', '[']).next().unwrap_or_default().trim_end();
        if let Some(member) = code.rsplit([' ', '*']).next().filter(|word| is_identifier(word)) {
            members.push((member.into(), member_comment.clone()));
        }
    }
    Err(format!("{name} has no end"))
}

fn parse_function(line: &str, comment: Comment) -> Result<Function, String> {
    let parsed = line.trim_end_matches(");").split_once('(').and_then(|(before, parameters)| {
        let start = before.rfind([' ', '*'])? + 1;
        let (result, name) = before.split_at(start);
        let parameters = split_parameters(parameters).into_iter().map(parse_parameter).collect();
        Some(Function { name: name.into(), result: result.into(), parameters, comment })
    });
    parsed.ok_or_else(|| format!("no function: {line}"))
}

/// Splits at the commas that are not between parentheses.
fn split_parameters(parameters: &str) -> Vec<&str> {
    let mut depth = 0;
    let split = parameters.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    split.map(str::trim_start).collect()
}

/// `const char *path`, `int (*function)(void *)`, or `void`, which has no name.
fn parse_parameter(parameter: &str) -> Parameter {
    let start = parameter.find("(*").map_or_else(|| parameter.rfind([' ', '*']).map(|i| i + 1), |i| Some(i + 2));
    let (before, rest) = parameter.split_at(start.unwrap_or(parameter.len()));
    let (name, after) = rest.split_at(rest.find(')').unwrap_or(rest.len()));
    Parameter { before: before.into(), name: name.into(), after: after.into() }
}

pub fn is_identifier(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What the comments in the Rust source have that those in the headers lack.
struct Markup<'a> {
    /// A line with its backquotes, by that without.
    lines: HashMap<String, &'a str>,
    titles: HashSet<&'a str>,
}

impl<'a> Markup<'a> {
    fn new(rust: &'a str) -> Self {
        let comments = || rust.lines().filter_map(|line| line.trim_start().strip_prefix("/// "));
        Self {
            lines: comments().map(|line| (line.replace('`', ""), line)).collect(),
            titles: comments().filter_map(|line| line.strip_prefix("# ")).collect(),
        }
    }

    fn comment(&self, lines: &[&str]) -> Comment {
        let mut sections = vec![Section { title: String::new(), blocks: vec![] }];
        // Whether the last block may go on in this line.
        let mut open = false;
        for (i, line) in lines.iter().enumerate() {
            let begins = i == 0 || lines[i - 1].is_empty();
            if let Some(title) = line.strip_suffix(':').filter(|title| begins && self.titles.contains(title)) {
                sections.push(Section { title: title.into(), blocks: vec![] });
                open = false;
                continue;
            }
            let marked = self.lines.get(*line).unwrap_or(line);
            let blocks = &mut sections.last_mut().expect("there is a first").blocks;
            match (line.strip_prefix("    "), line.strip_prefix("- "), blocks.last_mut()) {
                (Some(code), _, Some(Block::Code(lines))) => lines.push(code.into()),
                (Some(code), _, _) if begins => blocks.push(Block::Code(vec![code.into()])),
                (None, Some(_), Some(Block::Items(items))) if open => items.push(marked[2..].into()),
                (None, Some(_), _) => blocks.push(Block::Items(vec![marked[2..].into()])),
                (_, _, Some(Block::Code(lines))) if line.is_empty() => lines.push(String::new()),
                (_, _, Some(Block::Items(items))) if open && !line.is_empty() => {
                    let item = items.last_mut().expect("no list is empty");
                    *item += " ";
                    *item += marked.trim_start();
                }
                (_, _, Some(Block::Paragraph(text))) if open && !line.is_empty() => {
                    *text += " ";
                    *text += marked;
                }
                _ if line.is_empty() => {}
                _ => blocks.push(Block::Paragraph(marked.to_string())),
            }
            open = !line.is_empty();
        }
        for block in sections.iter_mut().flat_map(|section| &mut section.blocks) {
            if let Block::Code(lines) = block {
                lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
            }
        }
        Comment { sections }
    }
}
