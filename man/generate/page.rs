//! The pages.

use super::header::{Block, Comment, Function, Header, Parameter, Section, Type};
use super::roff::{self, Variables};
use std::collections::BTreeSet;

/// What the pages say of the version.
pub struct Release<'a> {
    pub version: &'a str,
    pub date: &'a str,
}

impl Release<'_> {
    /// Fills in a page that was written by hand.
    pub fn fill(&self, template: &str) -> String {
        template.replace("@VERSION@", self.version).replace("@DATE@", self.date)
    }
}

/// Everything that the pages tell.
pub struct Manual<'a> {
    headers: &'a [Header],
    release: &'a Release<'a>,
    /// The names of members and the like.
    variables: Variables<'a>,
}

impl<'a> Manual<'a> {
    /// Fails if there is a type that would be on no page.
    pub fn new(headers: &'a [Header], release: &'a Release<'a>) -> Result<Self, String> {
        let types = headers.iter().flat_map(|header| &header.types);
        let structures = types.filter(|t| t.name.starts_with("struct "));
        let mut variables: Variables = structures.flat_map(|t| &t.members).map(|(name, _)| name.as_str()).collect();
        variables.insert("errno");
        let manual = Self { headers, release, variables };
        for (header, t) in headers.iter().flat_map(|header| header.types.iter().map(move |t| (header, t))) {
            manual.owner(header, t).ok_or_else(|| format!("{}: no function there names {}", header.name, t.name))?;
        }
        Ok(manual)
    }

    /// The page of each function, by its name.
    pub fn functions(&self) -> impl Iterator<Item = (&str, String)> {
        let functions = self.headers.iter().flat_map(|header| header.functions.iter().map(move |f| (header, f)));
        functions.map(|(header, function)| (function.name.as_str(), self.function(header, function)))
    }

    fn function(&self, header: &Header, function: &Function) -> String {
        let mut variables = self.variables.clone();
        variables.extend(function.parameters.iter().map(|parameter| parameter.name.as_str()));
        let name = &function.name;
        let mut page = format!(
            ".\\\" Generated from include/{}.\n.TH {} 3 {} \"libioq {}\"\n.SH NAME\n{}",
            header.name,
            name.to_uppercase(),
            self.release.date,
            self.release.version,
            roff::name(name, &summary(&function.comment)),
        );
        page += ".SH LIBRARY\nlibioq\n.RI ( libioq ,\n.IR \\-lioq )\n.SH SYNOPSIS\n.nf\n";
        page += &format!(".B #include <{}>\n.PP\n{}.fi\n", header.name, prototype(function));

        let sections = &function.comment.sections;
        page += ".SH DESCRIPTION\n";
        // What the parameters are belongs to what the function does.
        for section in sections.iter().filter(|section| ["", "Parameters"].contains(&section.title.as_str())) {
            page += &blocks(&section.blocks, &variables, page.ends_with("DESCRIPTION\n"));
        }
        for section in sections.iter().filter(|section| !["", "Parameters"].contains(&section.title.as_str())) {
            let title = if section.title == "Returns" { "RETURN VALUE" } else { &section.title.to_uppercase() };
            page += &format!(".SH {title}\n{}", blocks(&section.blocks, &variables, true));
        }
        let types: Vec<_> = header.types.iter().filter(|t| self.owner(header, t) == Some(name)).collect();
        page + &self.types(&types) + &self.see_also(function, &types)
    }

    /// The page of the library, from one that was written by hand.
    pub fn library(&self, template: &str, readme: &str) -> Result<String, String> {
        let (before, rest) = readme.split_once("\n\n```c\n").ok_or("no example in README.md")?;
        let (example, _) = rest.split_once("```").ok_or("the example has no end")?;
        let about = before.rsplit("\n\n").next().unwrap_or_default();
        let example: Vec<_> = example.trim_end().lines().map(String::from).collect();
        let example = blocks(&[Block::Paragraph(about.into()), Block::Code(example)], &self.variables, true);
        let mut page = self.release.fill(template).replace("@EXAMPLE@\n", &example);
        for header in self.headers {
            let name = header.name.trim_start_matches("ioq/").trim_end_matches(".h").to_uppercase();
            page = page.replace(&format!("@{name}_INTRODUCTION@\n"), &self.introduction(header));
            page = page.replace(&format!("@{name}_FUNCTIONS@\n"), &function_list(header));
        }
        Ok(page)
    }

    fn introduction(&self, header: &Header) -> String {
        let all = header.introduction.sections.iter().flat_map(|section| &section.blocks);
        // The last paragraph is about the file.
        let all: Vec<_> = all.cloned().collect();
        blocks(&all[..all.len().saturating_sub(1)], &self.variables, true)
    }

    /// The function whose page describes a type: the first of the same header that names it, or that is so for a type which
    /// does.
    fn owner(&self, header: &'a Header, of: &Type) -> Option<&'a String> {
        let named_by = |function: &&Function| function_text(function).any(|text| names(&text, &of.name));
        let direct = header.functions.iter().find(named_by).map(|function| &function.name);
        direct.or_else(|| {
            let mut outer = header.types.iter().filter(|t| t.name != of.name);
            outer.find_map(|t| type_text(t).any(|text| names(&text, &of.name)).then(|| self.owner(header, t))?)
        })
    }

    fn types(&self, types: &[&Type]) -> String {
        let mut out = String::new();
        for t in types {
            out += if out.is_empty() { ".SH TYPES\n" } else { ".PP\n" };
            out += &format!(".EX\n{}.EE\n", roff::code(&t.definition));
            out += &t.comment.sections.iter().map(|s| blocks(&s.blocks, &self.variables, false)).collect::<String>();
            for (name, comment) in &t.members {
                let font = if t.name.starts_with("enum ") { 'B' } else { 'I' };
                out += &format!(".TP\n.{font} {name}\n");
                out += &comment.sections.iter().map(|s| blocks(&s.blocks, &self.variables, true)).collect::<String>();
            }
        }
        out
    }

    fn see_also(&self, function: &Function, types: &[&Type]) -> String {
        let mut pages = BTreeSet::from([("7", "ioq")]);
        let texts: Vec<_> = function_text(function).chain(types.iter().flat_map(|t| type_text(t))).collect();
        for header in self.headers {
            let names_page = |name: &str| texts.iter().any(|text| text.contains(&format!("{name}()")));
            let functions = header.functions.iter().map(|function| function.name.as_str());
            pages.extend(functions.filter(|name| names_page(name)).map(|name| ("3", name)));
            let named = header.types.iter().filter(|t| texts.iter().any(|text| names(text, &t.name)));
            pages.extend(named.filter_map(|t| self.owner(header, t)).map(|owner| ("3", owner.as_str())));
        }
        pages.extend(texts.iter().flat_map(|text| manual_pages(text)));
        pages.remove(&("3", &function.name));
        let pages: Vec<_> = pages.iter().map(|(section, name)| format!(".BR {name} ({section})")).collect();
        format!(".SH SEE ALSO\n{}\n", pages.join(" ,\n").replace(") ,", "),"))
    }
}

/// Blocks of text; `first` if nothing stands between them and a heading.
fn blocks(blocks: &[Block], variables: &Variables, mut first: bool) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Paragraph(text) => {
                out += if first { "" } else { ".PP\n" };
                out += &roff::paragraph(text, variables);
            }
            Block::Items(items) => out.extend(items.iter().map(|text| item(text, variables))),
            Block::Code(lines) => out += &format!(".PP\n.in +4\n.EX\n{}.EE\n.in\n", roff::code(lines)),
        }
        first = false;
    }
    out
}

/// Whether this is one piece of code.
fn is_code(text: &str) -> bool {
    text.starts_with('`') && text[1..].find('`') == Some(text.len() - 2)
}

/// An item of a list, under what it is about if that is code.
fn item(text: &str, variables: &Variables) -> String {
    match text.split_once(": ") {
        Some((tag, text)) if tag.split(", ").all(is_code) => {
            format!(".TP 7\n{}{}", roff::paragraph(tag, variables), roff::paragraph(text, variables))
        }
        _ => format!(".IP \\(bu 2\n{}", roff::paragraph(text, variables)),
    }
}

/// The first sentence, as one says it in a list.
fn summary(comment: &Comment) -> String {
    let text = match comment.sections.first().and_then(|section: &Section| section.blocks.first()) {
        Some(Block::Paragraph(text)) => text.replace('`', ""),
        _ => String::new(),
    };
    let end = [". ", ": ", "; "].iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let sentence = text[..end].trim_end_matches('.');
    let mut rest = sentence.chars();
    rest.next().map_or(String::new(), |first| first.to_lowercase().chain(rest).collect())
}

fn prototype(function: &Function) -> String {
    let start = format!("{}{}(", function.result, function.name);
    let mut out = format!("\\fB{start}");
    let mut column = start.len();
    for (i, parameter) in function.parameters.iter().enumerate() {
        let end = if i + 1 == function.parameters.len() { ");" } else { "," };
        let Parameter { before, name, after } = parameter;
        let width = before.len() + name.len() + after.len() + end.len();
        if i > 0 && column + 1 + width > 72 {
            out += "\n        ";
            column = 8;
        } else if i > 0 {
            out.push(' ');
            column += 1;
        }
        out += &format!("{before}\\fI{name}\\fB{after}{end}");
        column += width;
    }
    out + "\\fR\n"
}

fn function_list(header: &Header) -> String {
    let functions = header.functions.iter();
    functions.map(|f| format!(".TP\n.BR {} (3)\n{}", f.name, roff::plain(&summary(&f.comment)))).collect()
}

/// All that is said in a comment.
fn comment_text(comment: &Comment) -> impl Iterator<Item = String> {
    let blocks = comment.sections.iter().flat_map(|section| &section.blocks);
    blocks.flat_map(|block| match block {
        Block::Paragraph(text) => vec![text.replace('`', "")],
        Block::Items(items) => items.iter().map(|item| item.replace('`', "")).collect(),
        Block::Code(lines) => lines.clone(),
    })
}

fn function_text(function: &Function) -> impl Iterator<Item = String> {
    let parameters = function.parameters.iter().map(|parameter| parameter.before.clone() + &parameter.after);
    comment_text(&function.comment).chain([function.result.clone()]).chain(parameters)
}

fn type_text(t: &Type) -> impl Iterator<Item = String> {
    let members = t.members.iter().flat_map(|(_, comment)| comment_text(comment));
    comment_text(&t.comment).chain(members).chain(t.definition.iter().skip(1).cloned())
}

/// Whether a text has this type's name in it.
fn names(text: &str, name: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(name).any(|(start, _)| !goes_on(&text[start + name.len()..]))
}

/// The manual pages that a text names, such as `close(2)`: sections and names.
fn manual_pages(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split([' ', ',']).filter_map(|word| {
        let (name, rest) = word.split_once('(')?;
        let (section, _) = rest.split_once(')')?;
        let is_section = section.len() == 1 && section.bytes().all(|b| b.is_ascii_digit());
        is_section.then_some((section, name))
    })
}
