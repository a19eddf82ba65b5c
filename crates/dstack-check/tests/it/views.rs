//! What people read.

use dstack_check::render::{Style, Symbols, markdown, terminal};
use dstack_check::{Finding, Report, ReportSet};
use insta::assert_snapshot;

use crate::sample;

#[test]
fn terminal_for_a_pipe() {
    assert_snapshot!(terminal::report(&sample::report(), &Style::new()));
}

#[test]
fn terminal_narrow_folded_ascii() {
    let style = Style::new().with_width(Some(60)).with_symbols(Symbols::Ascii).with_folded_passes(true);
    assert_snapshot!(terminal::report(&sample::report(), &style));
}

#[test]
fn terminal_with_details_of_passes() {
    let style = Style::new().with_width(Some(100)).with_details_of_passes(true);
    assert_snapshot!(terminal::report(&sample::report(), &style));
}

#[test]
fn terminal_with_conclusions() {
    assert_snapshot!(terminal::report(&sample::meaning(), &Style::new().with_width(Some(80))));
}

#[test]
fn terminal_with_meanings() {
    let style = Style::new().with_width(Some(80)).with_symbols(Symbols::Ascii).with_meanings(true);
    assert_snapshot!(terminal::report(&sample::meaning(), &style));
}

#[test]
fn markdown_with_conclusions() {
    assert_snapshot!(markdown::report(&sample::meaning()));
}

#[test]
fn terminal_in_colour() {
    let text = terminal::report(&sample::report(), &Style::new().with_colour(true));
    assert_snapshot!(text.replace('\u{1b}', "␛"));
}

#[test]
fn colour_adds_nothing_but_colour() {
    let set = sample::set().union(ReportSet::merge([sample::meaning()]).unwrap()).unwrap();
    let plain = terminal::set(&set, &Style::new().with_width(Some(72)));
    let coloured = terminal::set(&set, &Style::new().with_width(Some(72)).with_colour(true));
    assert_ne!(plain, coloured);
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find("\u{1b}[") {
        stripped.push_str(&rest[..start]);
        let end = start + rest[start..].find('m').unwrap();
        rest = &rest[end + 1..];
    }
    stripped.push_str(rest);
    // Spaces before a closing sequence are invisible either way.
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&stripped), lines(&plain));
}

#[test]
fn terminal_of_several_hosts() {
    assert_snapshot!(terminal::set(&sample::set(), &Style::new().with_folded_passes(true)));
}

#[test]
fn terminal_of_nothing() {
    let nothing = terminal::report(&Report::new("host-a", []), &Style::new());
    let no_hosts = terminal::set(&ReportSet::new(), &Style::new());
    assert_snapshot!(format!("{nothing}---\n{no_hosts}"));
}

#[test]
fn terminal_of_one_finding() {
    let finding = Finding::fail("net.port.free", "the port is free").observed("nginx listens on it");
    assert_snapshot!(terminal::finding(&finding, &Style::new()), @r"
      ✗ fail     the port is free  net.port.free
                 observed: nginx listens on it
    ");
}

#[test]
fn markdown_of_one_host() {
    assert_snapshot!(markdown::report(&sample::report()));
}

#[test]
fn markdown_of_several_hosts() {
    assert_snapshot!(markdown::set(&sample::set()));
}
