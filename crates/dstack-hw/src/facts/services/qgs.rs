//! `/etc/qgs.conf`: the quote generation service.

use serde::Serialize;

/// The settings of the quote generation service: lines of `name = value`, `#` for comments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct QgsConfig {
    /// `port`: the vsock port. Without it the service listens on a unix socket, which is not an error of its own.
    pub port: Option<u32>,
    /// `number_threads`.
    pub threads: Option<u32>,
    /// Lines that are not understood, cut at 200 characters; eight at most.
    pub odd_lines: Vec<String>,
}

impl QgsConfig {
    /// Reads the file. Never fails: what is not understood is kept as an odd line. The last line of a name counts.
    pub fn parse(text: &str) -> Self {
        let mut config = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let setting = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
            match setting {
                Some(("port", value)) if value.parse::<u32>().is_ok() => config.port = value.parse().ok(),
                Some(("number_threads", value)) if value.parse::<u32>().is_ok() => {
                    config.threads = value.parse().ok();
                }
                Some((name, _)) if !matches!(name, "port" | "number_threads") && !name.is_empty() => {}
                _ if config.odd_lines.len() < 8 => config.odd_lines.push(line.chars().take(200).collect()),
                _ => {}
            }
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_port_and_no_port() {
        let config = QgsConfig::parse("# comment\nport = 4050\nnumber_threads = 4\n");
        assert_eq!((config.port, config.threads), (Some(4050), Some(4)));
        assert_eq!(QgsConfig::parse("#port = 4050\n"), QgsConfig::default());
        assert_eq!(QgsConfig::parse("port = vsock\n").odd_lines, ["port = vsock"]);
        assert!(QgsConfig::parse("something_new = 1\n").odd_lines.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            prop_assert!(QgsConfig::parse(&text).odd_lines.len() <= 8);
        }
    }
}
