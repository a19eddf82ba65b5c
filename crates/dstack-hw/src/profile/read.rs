//! Profiles out of TOML, with errors that name line, entry, and what may have been meant.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml_edit::{Document, Item};

use super::pattern::{Pattern, similar_ids, similar_word};
use super::{BUILTIN, MAX_PROFILE, Profile, Requirement};
use crate::{Error, checks};

const KEYS: [&str; 6] = ["name", "about", "extends", "required", "advised", "left-out"];

/// How many profiles may extend each other in a row. The built-in ones stay well below it.
const MAX_DEPTH: usize = 4;

/// One entry of a list.
struct Entry<'a> {
    pattern: Pattern<'a>,
    /// `None` for `left-out`.
    says: Option<Requirement>,
    span: Range<usize>,
}

pub(super) fn profile(text: &str) -> Result<Profile, Error> {
    read(text, 0)
}

fn read(text: &str, depth: usize) -> Result<Profile, Error> {
    if text.len() > MAX_PROFILE {
        return Err(Error::TooLarge { what: "the profile", limit: MAX_PROFILE });
    }
    let at = |span: Range<usize>, why: String| malformed(text, &span, &why);
    let document = Document::parse(text).map_err(|error| {
        at(error.span().unwrap_or_default(), error.message().trim_end_matches('\n').replace('\n', ", "))
    })?;
    for (key, _) in document.iter() {
        if !KEYS.contains(&key) {
            let span = document.key(key).and_then(toml_edit::Key::span).unwrap_or_default();
            return Err(at(span, format!("there is no key `{key}`{}", meant(similar_word(key, KEYS)))));
        }
    }
    let name = string(text, &document, "name")?
        .ok_or_else(|| at(0..0, "`name` is missing: a profile needs one".to_owned()))?;
    if name.trim().is_empty() {
        return Err(at(span_of(&document, "name"), "`name` is empty".to_owned()));
    }
    let about = string(text, &document, "about")?.unwrap_or_default();
    let mut requirements = match string(text, &document, "extends")? {
        None => BTreeMap::new(),
        Some(base) => {
            let known = BUILTIN.iter().find(|(known, _)| *known == base);
            let Some((_, built_in)) = known.filter(|_| depth < MAX_DEPTH) else {
                let names = BUILTIN.iter().map(|(name, _)| *name);
                let span = span_of(&document, "extends");
                let why =
                    format!("there is no built-in profile `{base}`{}", meant(similar_word(&base, names)));
                return Err(at(span, why));
            };
            read(built_in, depth + 1)?.requirements
        }
    };
    let mut entries = Vec::new();
    entries.extend(list(text, &document, "required", Some(Requirement::Required))?);
    entries.extend(list(text, &document, "advised", Some(Requirement::Advised))?);
    entries.extend(list(text, &document, "left-out", None)?);
    refuse_doubles(text, &entries)?;

    let mut left_out = BTreeMap::new();
    for id in checks::all().map(|check| check.def.id) {
        let of_this = entries.iter().filter(|entry| entry.pattern.matches(id));
        let Some(entry) = of_this.max_by_key(|entry| entry.pattern.weight()) else { continue };
        match entry.says {
            Some(requirement) => {
                requirements.insert(id, requirement);
            }
            None => {
                requirements.remove(id);
                left_out.insert(id, entry.span.clone());
            }
        }
    }
    close(&mut requirements);
    for (id, span) in left_out {
        if requirements.contains_key(id) {
            let child = checks::all()
                .map(|check| check.def)
                .find(|def| requirements.contains_key(def.id) && def.parents.contains(&id));
            let child = child.map_or("another check", |def| def.id);
            return Err(at(span, format!("`{id}` cannot be left out: `{child}` stands on it")));
        }
    }
    Ok(Profile { name, about, requirements, ignored: BTreeSet::new() })
}

/// Brings in what the checks stand on, at least as required as they are.
fn close(requirements: &mut BTreeMap<&'static str, Requirement>) {
    let mut open: Vec<(&'static str, Requirement)> =
        requirements.iter().map(|(id, requirement)| (*id, *requirement)).collect();
    while let Some((id, requirement)) = open.pop() {
        let Some(check) = checks::get(id) else { continue };
        for parent in check.def.parents {
            // Each round makes an entry greater, of which there are two steps: this ends.
            if requirements.get(parent).is_none_or(|known| *known < requirement) {
                requirements.insert(parent, requirement);
                open.push((parent, requirement));
            }
        }
    }
}

fn refuse_doubles(text: &str, entries: &[Entry<'_>]) -> Result<(), Error> {
    for (index, entry) in entries.iter().enumerate() {
        let before = entries.iter().take(index).find(|before| before.pattern == entry.pattern);
        if let Some(before) = before {
            let (line, written) =
                (line_of(text, before.span.start), text.get(entry.span.clone()).unwrap_or_default());
            return Err(malformed(text, &entry.span, &format!("{written} is in line {line} already")));
        }
    }
    Ok(())
}

fn string(text: &str, document: &Document<&str>, key: &str) -> Result<Option<String>, Error> {
    match document.get(key) {
        None => Ok(None),
        Some(item) => match item.as_str() {
            Some(value) => Ok(Some(value.to_owned())),
            None => {
                let why = format!("`{key}` is {}, it should be a text in quotes", article(item));
                Err(malformed(text, &span_of(document, key), &why))
            }
        },
    }
}

fn list<'a>(
    text: &str,
    document: &'a Document<&str>,
    key: &str,
    says: Option<Requirement>,
) -> Result<Vec<Entry<'a>>, Error> {
    let Some(item) = document.get(key) else { return Ok(Vec::new()) };
    let Some(array) = item.as_array() else {
        let why = format!("`{key}` is {}, it should be a list of check ids", article(item));
        return Err(malformed(text, &span_of(document, key), &why));
    };
    let mut entries = Vec::with_capacity(array.len());
    for value in array {
        let span = value.span().unwrap_or_default();
        let Some(id) = value.as_str() else {
            let why = format!("an entry of `{key}` is not a text in quotes");
            return Err(malformed(text, &span, &why));
        };
        let Some(pattern) = Pattern::new(id) else {
            let why = format!("`{id}` is no pattern: `*` stands for what follows a dot, as in `hw.cpu.*`");
            return Err(malformed(text, &span, &why));
        };
        if pattern.matched().next().is_none() {
            let why = format!("there is no check `{id}`{}", meant(similar_ids(id).first().copied()));
            return Err(malformed(text, &span, &why));
        }
        entries.push(Entry { pattern, says, span });
    }
    Ok(entries)
}

fn article(item: &Item) -> String {
    let name = item.type_name();
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

fn span_of(document: &Document<&str>, key: &str) -> Range<usize> {
    document.get(key).and_then(Item::span).unwrap_or_default()
}

fn meant(word: Option<&str>) -> String {
    word.map_or_else(String::new, |word| format!(", did you mean `{word}`?"))
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn malformed(text: &str, span: &Range<usize>, why: &str) -> Error {
    Error::Malformed { what: "the profile", why: format!("line {}: {why}", line_of(text, span.start)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str) -> String {
        profile(text).map_or_else(|error| error.to_string(), |profile| format!("read {}", profile.name))
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let texts = [
            "",
            "name = \"\"",
            "name = 3",
            "name = \"a\"\nrequred = []",
            "name = \"a\"\nrequired = \"hw.cpu.vmx\"",
            "name = \"a\"\nrequired = [\n  \"hw.cpu.vmx\",\n  \"hw.cpu.vxm\",\n]",
            "name = \"a\"\nrequired = [3]",
            "name = \"a\"\nrequired = [\"hw.c*\"]",
            "name = \"a\"\nadvised = [\"hw.wifi.*\"]",
            "name = \"a\"\nextends = \"tdx-hots\"",
            "name = \"a\"\nrequired = [\"hw.kvm.*\"]\nadvised = [\"hw.kvm.*\"]",
            "name = \"a\"\nextends = \"tdx-host\"\nleft-out = [\"hw.kvm.loaded\"]",
            "name = \"a\nabout = 3",
        ];
        let said: Vec<String> = texts.iter().map(|text| said(text)).collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn the_longest_entry_counts_whatever_the_order() {
        let text = "name = \"a\"\nrequired = [\"hw.snp.memlock\"]\nadvised = [\"hw.*\", \"hw.build.tools\"]\nleft-out = [\"hw.build.*\"]";
        let profile = profile(text).unwrap();
        assert_eq!(profile.requirement("hw.snp.memlock"), Some(Requirement::Required));
        assert_eq!(profile.requirement("hw.snp.kvm"), Some(Requirement::Advised));
        assert_eq!(profile.requirement("hw.build.tools"), Some(Requirement::Advised));
        assert_eq!(profile.requirement("hw.build.resources"), None);
    }

    #[test]
    fn what_is_stood_on_comes_along_as_required() {
        let profile =
            profile("name = \"a\"\nrequired = [\"hw.sgx.epc\"]\nadvised = [\"hw.sgx.cpu\"]").unwrap();
        for id in ["hw.sgx.epc", "hw.sgx.firmware", "hw.sgx.cpu", "hw.cpu.vendor"] {
            assert_eq!(profile.requirement(id), Some(Requirement::Required), "{id}");
        }
        assert_eq!(profile.requirement("hw.sgx.devices"), None);
    }

    #[test]
    fn a_profile_that_is_too_long_is_refused() {
        let text = format!("name = \"a\"\n#{}", "x".repeat(MAX_PROFILE));
        assert!(matches!(profile(&text), Err(Error::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = profile(&text);
        }

        #[test]
        fn any_lists_are_read_or_refused(
            required in prop::collection::vec("hw(\\.[a-z*-]{1,8}){0,3}", 0..4),
            advised in prop::collection::vec("(hw.cpu.vmx|hw.cpu.\\*|hw.\\*|hw.kvm.tdx)", 0..4),
        ) {
            let _ = profile(&format!("name = \"p\"\nrequired = {required:?}\nadvised = {advised:?}"));
        }
    }
}
