//! Variables, and sets of them.

use std::fmt;

use zeroize::Zeroizing;

/// Why a name or a value cannot be a variable of the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvNameError {
    /// No name at all.
    #[error("the name of a variable is empty")]
    Empty,
    /// The guest refuses the name, and with it the whole boot.
    #[error("{name:?} is no name of a variable: {character:?} is not allowed at position {position}")]
    Character {
        /// The name.
        name: String,
        /// The character.
        character: char,
        /// Which character it is, from 1.
        position: usize,
    },
    /// A value with the character NUL, which no environment can carry.
    #[error("the value of {name} contains a NUL character")]
    Nul {
        /// The name.
        name: String,
    },
}

/// Whether the guest takes the name: a letter or `_`, then letters, digits and `_`, all ASCII (upstream
/// `dstack-util/src/parse_env_file.rs`).
///
/// # Errors
///
/// Which character is wrong.
pub fn check_name(name: &str) -> Result<(), EnvNameError> {
    if name.is_empty() {
        return Err(EnvNameError::Empty);
    }
    let wrong = name.chars().enumerate().find(|(at, c)| {
        let fine = c.is_ascii_alphabetic() || *c == '_' || (*at > 0 && c.is_ascii_digit());
        !fine
    });
    match wrong {
        None => Ok(()),
        Some((at, character)) => {
            Err(EnvNameError::Character { name: name.to_owned(), character, position: at + 1 })
        }
    }
}

/// One variable. Its value is wiped from memory when it is dropped, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvVar {
    name: String,
    value: Zeroizing<String>,
}

impl EnvVar {
    /// A variable.
    ///
    /// # Errors
    ///
    /// A name that the guest refuses, or a value that no environment can carry.
    pub fn new(name: impl Into<String>, value: impl Into<Zeroizing<String>>) -> Result<Self, EnvNameError> {
        let (name, value) = (name.into(), value.into());
        check_name(&name)?;
        if value.contains('\0') {
            return Err(EnvNameError::Nul { name });
        }
        Ok(Self { name, value })
    }

    /// A variable whose name and value were looked at.
    pub(super) fn checked(name: &str, value: Zeroizing<String>) -> Self {
        Self { name: name.to_owned(), value }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value. It is a secret: keep it out of logs and messages.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for EnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=<{} bytes>", self.name, self.value.len())
    }
}

/// Variables in order, each name once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    vars: Vec<EnvVar>,
}

impl Environment {
    /// No variables.
    pub const fn new() -> Self {
        Self { vars: Vec::new() }
    }

    /// Adds a variable. One with the same name gives way, in its place: the guest lets the later one win, too.
    pub fn insert(&mut self, var: EnvVar) {
        match self.vars.iter_mut().find(|known| known.name == var.name) {
            Some(known) => *known = var,
            None => self.vars.push(var),
        }
    }

    /// Adds a variable whose name is known to be new.
    pub(super) fn push_new(&mut self, var: EnvVar) {
        self.vars.push(var);
    }

    /// The variable with this name.
    pub fn get(&self, name: &str) -> Option<&EnvVar> {
        self.vars.iter().find(|var| var.name == name)
    }

    /// The variables in order.
    pub fn iter(&self) -> std::slice::Iter<'_, EnvVar> {
        self.vars.iter()
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.vars.iter().map(EnvVar::name)
    }

    /// How many variables there are.
    pub fn len(&self) -> usize {
        self.vars.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vars.is_empty()
    }

    /// The environment as a `.env` file that [`EnvFile::parse`](super::EnvFile::parse) reads back: one variable a line,
    /// quoted where it must be. The text holds the secrets.
    pub fn to_env_file(&self) -> Zeroizing<String> {
        let size: usize = self.vars.iter().map(|var| var.name.len() + 2 * var.value.len() + 4).sum();
        // All at once: a string that grows leaves copies behind that nobody wipes.
        let mut text = Zeroizing::new(String::with_capacity(size));
        for var in &self.vars {
            text.push_str(&var.name);
            text.push('=');
            write_value(&mut text, &var.value);
            text.push('\n');
        }
        text
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.vars).finish()
    }
}

impl FromIterator<EnvVar> for Environment {
    /// Of several variables with one name the last stays.
    fn from_iter<I: IntoIterator<Item = EnvVar>>(vars: I) -> Self {
        let mut environment = Self::new();
        vars.into_iter().for_each(|var| environment.insert(var));
        environment
    }
}

impl<'a> IntoIterator for &'a Environment {
    type Item = &'a EnvVar;
    type IntoIter = std::slice::Iter<'a, EnvVar>;

    fn into_iter(self) -> Self::IntoIter {
        self.vars.iter()
    }
}

fn write_value(text: &mut String, value: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=~^".contains(c);
    if value.chars().all(plain) {
        text.push_str(value);
    } else if !value.contains(['\'', '\\', '\r']) {
        text.push('\'');
        text.push_str(value);
        text.push('\'');
    } else {
        text.push('"');
        for c in value.chars() {
            match c {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '"' | '\\' | '$' => text.extend(['\\', c]),
                _ => text.push(c),
            }
        }
        text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_guest_takes() {
        for name in ["A", "_", "a1", "PATH_2"] {
            assert_eq!(check_name(name), Ok(()));
        }
        let said = |name| check_name(name).unwrap_err().to_string();
        assert_eq!(said(""), "the name of a variable is empty");
        assert_eq!(said("1A"), "\"1A\" is no name of a variable: '1' is not allowed at position 1");
        assert_eq!(said("A-B"), "\"A-B\" is no name of a variable: '-' is not allowed at position 2");
        assert_eq!(said("ÄB"), "\"ÄB\" is no name of a variable: 'Ä' is not allowed at position 1");
        let nul = EnvVar::new("A", "x\0y".to_owned()).unwrap_err();
        assert_eq!(nul.to_string(), "the value of A contains a NUL character");
    }

    #[test]
    fn values_are_not_shown() {
        let environment: Environment =
            [EnvVar::new("TOKEN", "hunter2".to_owned()).unwrap()].into_iter().collect();
        assert_eq!(format!("{environment:?}"), "[TOKEN=<7 bytes>]");
    }

    #[test]
    fn the_last_of_one_name_stays_in_the_first_place() {
        let var = |name: &str, value: &str| EnvVar::new(name, value.to_owned()).unwrap();
        let environment: Environment = [var("A", "1"), var("B", "2"), var("A", "3")].into_iter().collect();
        assert_eq!(*environment.to_env_file(), "A=3\nB=2\n");
        assert_eq!(environment.get("A").map(EnvVar::value), Some("3"));
        assert_eq!(environment.get("C"), None);
    }
}
