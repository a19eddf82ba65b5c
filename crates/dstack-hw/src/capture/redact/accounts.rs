//! `/etc/passwd` and `/etc/group`: accounts of services stay, people become placeholders.

use super::Redactor;

impl Redactor {
    /// `NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL`.
    pub(super) fn passwd(&mut self, text: &str) -> String {
        self.lines(text, |redactor, fields| {
            let is_person = fields.first().is_some_and(|name| redactor.identity.users.contains(*name));
            fields
                .iter()
                .enumerate()
                .map(|(index, field)| match index {
                    0 => redactor.account(field),
                    1 => String::from(if field.is_empty() { "" } else { "x" }),
                    // The comment holds the full name, the office and the telephone.
                    4 if is_person => String::new(),
                    5 => redactor.text(field),
                    _ => (*field).to_owned(),
                })
                .collect()
        })
    }

    /// `NAME:PASSWORD:GID:MEMBERS`.
    pub(super) fn group(&mut self, text: &str) -> String {
        self.lines(text, |redactor, fields| {
            fields
                .iter()
                .enumerate()
                .map(|(index, field)| match index {
                    0 => redactor.account(field),
                    1 => String::from(if field.is_empty() { "" } else { "x" }),
                    3 => field.split(',').map(|name| redactor.account(name)).collect::<Vec<_>>().join(","),
                    _ => (*field).to_owned(),
                })
                .collect()
        })
    }

    /// Redacts a table of fields with colons between, line by line.
    fn lines(&mut self, text: &str, mut redact: impl FnMut(&mut Self, &[&str]) -> Vec<String>) -> String {
        let mut redacted = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            if line.contains(':') && !line.starts_with('#') {
                let fields: Vec<&str> = line.split(':').collect();
                redacted.push_str(&redact(self, &fields).join(":"));
            } else {
                redacted.push_str(&self.text(line));
            }
            redacted.push_str(end);
        }
        redacted
    }

    /// Notes the people of an `/etc/passwd` that is in the capture itself.
    pub(super) fn learn_people(&mut self, passwd: &str) {
        self.identity.users.extend(super::identity::people(passwd));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Redactor;
    use super::super::identity::Identity;

    #[test]
    fn people_become_placeholders_and_services_stay() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nqgsd:x:998:997::/nonexistent:/bin/false\n\
                      alice:x:1000:1000:Alice Doe,1,555:/home/alice:/bin/bash\n";
        let mut redactor = Redactor::new(Identity::default());
        redactor.learn_people(passwd);
        assert_eq!(
            redactor.passwd(passwd),
            "root:x:0:0:root:/root:/bin/bash\nqgsd:x:998:997::/nonexistent:/bin/false\n\
             <user-1>:x:1000:1000::/home/<user-1>:/bin/bash\n"
        );
        assert_eq!(
            redactor.group("sgx_prv:x:123:qgsd,alice\nalice:x:1000:\n"),
            "sgx_prv:x:123:qgsd,<user-1>\n<user-1>:x:1000:\n"
        );
        assert_eq!(redactor.names.counts().get("user-names"), Some(&1));
    }
}
