//! A query, taken apart once.

use super::MAX_QUERY;

/// A query: the text, the numbers in it, and whether it is one word.
pub(super) struct Query {
    /// In lower case, without blanks around it.
    pub(super) lower: String,
    /// The query as a number, where it is nothing else.
    pub(super) alone: Option<Alone>,
    /// Numbers written `0x...`.
    pub(super) hex: Vec<Number>,
    /// Numbers of digits alone, that stand by themselves.
    pub(super) decimal: Vec<Number>,
}

/// A query that is one number.
pub(super) struct Alone {
    /// What it can be read as, in a family with hexadecimal codes: as hexadecimal first.
    pub(super) any: Vec<u64>,
    /// What it is in decimal.
    pub(super) decimal: Vec<u64>,
    /// There was a minus before it.
    pub(super) negative: bool,
}

/// A number in a text.
pub(super) struct Number {
    pub(super) value: u64,
    pub(super) negative: bool,
}

impl Query {
    pub(super) fn of(text: &str) -> Self {
        let end = (0..=text.len().min(MAX_QUERY)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let lower = text.get(..end).unwrap_or_default().trim().to_lowercase();
        let (hex, decimal) = numbers(&lower);
        Self { alone: alone(&lower), hex, decimal, lower }
    }

    /// Is the query this name, in any case, with blanks or hyphens for underscores?
    pub(super) fn is(&self, name: &str) -> bool {
        let plain = |character: char| if matches!(character, '_' | ' ' | '-') { '_' } else { character };
        self.lower.len() == name.len()
            && self
                .lower
                .chars()
                .map(plain)
                .eq(name.chars().map(|character| plain(character.to_ascii_lowercase())))
    }

    /// Does the name stand in the query as a word of its own? Short names are common words: they do not count.
    pub(super) fn names(&self, name: &str) -> bool {
        if name.len() < 7 || !name.contains(['_', '.']) {
            return false;
        }
        if self.lower.len() < name.len() {
            return false;
        }
        let name = name.to_ascii_lowercase();
        let inner =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let bytes = self.lower.as_bytes();
        self.lower.match_indices(&name).any(|(at, found)| {
            !inner(at.checked_sub(1).and_then(|before| bytes.get(before)))
                && !inner(bytes.get(at + found.len()))
        })
    }
}

fn alone(lower: &str) -> Option<Alone> {
    let trimmed = lower.trim_matches(|character: char| {
        matches!(character, '(' | ')' | '.' | ',' | ':' | ';' | '\'' | '"' | '`')
    });
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed),
    };
    let (prefixed, digits) = match digits.strip_prefix("0x") {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    // The upper-case suffixes of C, as headers have them.
    let digits = digits.trim_end_matches(['u', 'l', 'h']).replace('_', "");
    let as_hex = u64::from_str_radix(&digits, 16).ok();
    let as_decimal = digits.parse::<u64>().ok();
    match (prefixed, as_hex, as_decimal) {
        (true, Some(value), _) => Some(Alone { any: vec![value], decimal: Vec::new(), negative }),
        (false, hex, Some(decimal)) => {
            let any = hex.into_iter().chain([decimal]).collect();
            Some(Alone { any, decimal: vec![decimal], negative })
        }
        // `bad` and `dead` are words; a code has a digit in it, and three places at least.
        (false, Some(hex), None) if digits.len() >= 3 && digits.bytes().any(|byte| byte.is_ascii_digit()) => {
            Some(Alone { any: vec![hex], decimal: Vec::new(), negative })
        }
        _ => None,
    }
}

/// The numbers of a text, at most 64 of each kind.
fn numbers(lower: &str) -> (Vec<Number>, Vec<Number>) {
    const MOST: usize = 64;
    let (mut hex, mut decimal) = (Vec::new(), Vec::new());
    let mut before = ' ';
    let words = lower.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
    for word in words {
        let digits = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
        let negative = before == '-';
        if let Some(value) = digits.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok())
        {
            if hex.len() < MOST {
                hex.push(Number { value, negative });
            }
        } else if digits.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(value) = digits.parse()
            && decimal.len() < MOST
        {
            decimal.push(Number { value, negative });
        }
        before = word.chars().last().unwrap_or(' ');
    }
    (hex, decimal)
}
