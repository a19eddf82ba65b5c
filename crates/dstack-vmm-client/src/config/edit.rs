//! Changes of one key that leave every other byte of the file alone.

use std::fmt;

use super::splice;
use super::tree::{Layer, Node, Table};
use super::{ConfigValue, EditError, KEYS, KeyDef, KeyType, key_def};

/// The outcome of a change.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edited {
    /// The whole new text. It may hold tokens.
    pub text: String,
    /// Whether it differs from the old one.
    pub changed: bool,
    /// The old value in TOML, `None` when the file did not set the key. Of a secret, its kind alone.
    pub before: Option<String>,
    /// The new value in TOML, `None` when the key was taken out. Of a secret, its kind alone.
    pub after: Option<String>,
}

/// Without the text, which may hold tokens.
impl fmt::Debug for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edited")
            .field("changed", &self.changed)
            .field("before", &self.before)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// Sets a key of a `vmm.toml`. Comments, order, spacing and line ends stay; missing sections are added. A value that is
/// there already changes nothing.
///
/// ```
/// use dstack_vmm_client::config::set;
///
/// let text = "[cvm]\ncid_start = 1000 # see the other host\n";
/// let edited = set(text, "cvm.cid_start", &30000_u32.into())?;
/// assert_eq!(edited.text, "[cvm]\ncid_start = 30000 # see the other host\n");
/// assert_eq!(edited.before.as_deref(), Some("1000"));
/// # Ok::<(), dstack_vmm_client::config::EditError>(())
/// ```
///
/// # Errors
/// [`EditError`] when the text cannot be read, no VMM reads the key, the value does not fit it, or the form of the file
/// leaves no place for it.
pub fn set(text: &str, path: &str, value: &ConfigValue) -> Result<Edited, EditError> {
    let key = key_def(path).ok_or_else(|| EditError::unknown(path))?;
    set_checked(text, path, Some(key), value)
}

/// [`set`] for a key that this crate may not know, such as one of a newer version. A key that it knows still takes only
/// values that fit.
///
/// # Errors
/// As [`set`], without [`EditError::UnknownKey`].
pub fn force_set(text: &str, path: &str, value: &ConfigValue) -> Result<Edited, EditError> {
    set_checked(text, path, key_def(path), value)
}

fn set_checked(
    text: &str,
    path: &str,
    key: Option<&'static KeyDef>,
    value: &ConfigValue,
) -> Result<Edited, EditError> {
    // A section of the known keys is no place for a value, and a known value none for more keys.
    let inner = format!("{path}.");
    if KEYS.iter().any(|known| known.path.starts_with(&inner)) {
        return Err(EditError::IsATable { path: path.to_owned() });
    }
    let outer = KEYS.iter().find(|known| {
        path.strip_prefix(known.path).is_some_and(|rest| rest.starts_with('.'))
            && !matches!(known.kind, KeyType::Table | KeyType::Any)
    });
    if let Some(outer) = outer {
        return Err(EditError::NotATable { path: outer.path.to_owned() });
    }
    if let Some(key) = key
        && !value.fits(key.kind)
    {
        let given = if key.secret { value.kind() } else { value.to_string() };
        return Err(EditError::wrong_type(key, given));
    }
    change(text, path, key.is_some_and(|key| key.secret), Some(value))
}

/// Takes a key out, with its line. Comments on lines of their own stay, and so does a section that is empty then. A key
/// that is not there changes nothing. The key need not be one that a VMM reads.
///
/// # Errors
/// As [`force_set`].
pub fn unset(text: &str, path: &str) -> Result<Edited, EditError> {
    change(text, path, key_def(path).is_some_and(|key| key.secret), None)
}

fn change(text: &str, path: &str, secret: bool, value: Option<&ConfigValue>) -> Result<Edited, EditError> {
    let segments = segments(path)?;
    let tree = Table::parse(&Layer::toml("vmm.toml", text))?;
    let old = tree.at(path).map(|entry| &entry.node);
    if let Some(Node::Table(_)) = old {
        return Err(EditError::IsATable { path: path.to_owned() });
    }
    let old_value = old.and_then(ConfigValue::from_node);
    let shown = |value: &ConfigValue| value.shown(secret);
    let before = match (&old_value, old) {
        (Some(value), _) => Some(shown(value)),
        (None, Some(node)) => Some(format!("({})", node.type_name())),
        (None, None) => None,
    };
    let after = value.map(shown);
    let same = match (value, old) {
        (None, None) => true,
        (Some(value), Some(_)) => old_value.as_ref().is_some_and(|old| same_value(old, value)),
        _ => false,
    };
    if same {
        return Ok(Edited { text: text.to_owned(), changed: false, before, after });
    }
    let text = match value {
        Some(value) => splice::set(text, &tree, &segments, value)?,
        None => splice::unset(text, &segments)?,
    };
    // The text was cut and joined, so it is read again: the change and nothing but the change must be in it.
    let unplaceable = || EditError::Unplaceable { path: path.to_owned() };
    let result = Table::parse(&Layer::toml("vmm.toml", &text)).map_err(|_| unplaceable())?;
    let placed = match (result.at(path), value) {
        (Some(entry), Some(value)) => {
            ConfigValue::from_node(&entry.node).is_some_and(|placed| same_value(&placed, value))
        }
        (None, None) => true,
        _ => false,
    };
    if placed && same_but(&tree, &result, &segments) {
        Ok(Edited { text, changed: true, before, after })
    } else {
        Err(unplaceable())
    }
}

fn segments(path: &str) -> Result<Vec<&str>, EditError> {
    let bare = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let segments: Vec<&str> = path.split('.').collect();
    if segments.iter().all(|name| bare(name)) && segments.len() <= 8 {
        Ok(segments)
    } else {
        Err(EditError::MalformedPath { path: path.to_owned() })
    }
}

/// Empty lists are the same, whatever they could hold.
fn same_value(a: &ConfigValue, b: &ConfigValue) -> bool {
    let empty = |value: &ConfigValue| match value {
        ConfigValue::Texts(list) => list.is_empty(),
        ConfigValue::Ints(list) => list.is_empty(),
        ConfigValue::Ranges(list) => list.is_empty(),
        _ => false,
    };
    a == b || (empty(a) && empty(b))
}

/// Whether two tables hold the same, leaving one path out. An empty table counts as none.
fn same_but(a: &Table, b: &Table, except: &[&str]) -> bool {
    let names = a.entries().iter().chain(b.entries()).map(|entry| entry.key.as_str());
    names.into_iter().all(|name| {
        let except = match except {
            [only] if *only == name => return true,
            [first, rest @ ..] if *first == name => rest,
            _ => &[],
        };
        let empty = Table::default();
        match (a.entry(name).map(|e| &e.node), b.entry(name).map(|e| &e.node)) {
            (Some(Node::Table(a)), Some(Node::Table(b))) => same_but(a, b, except),
            (Some(Node::Table(a)), None) => same_but(a, &empty, except),
            (None, Some(Node::Table(b))) => same_but(&empty, b, except),
            (Some(a), Some(b)) => same_node(a, b),
            _ => false,
        }
    })
}

fn same_node(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::Float(a), Node::Float(b)) => a.to_bits() == b.to_bits(),
        (Node::List(a), Node::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((_, a), (_, b))| same_node(a, b))
        }
        (Node::Table(a), Node::Table(b)) => same_but(a, b, &[]),
        (a, b) => a == b,
    }
}
