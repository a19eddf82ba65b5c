//! Findings whose words were written by somebody who wants to deceive the reader.

use dstack_check::render::{Style, json, markdown, terminal};
use dstack_check::text::{columns, is_deceptive};
use dstack_check::{
    Answer, CheckId, Conclusion, Evidence, Finding, Fix, MAX_EXCERPT, Report, ReportSet, Status,
};
use insta::assert_snapshot;
use proptest::prelude::*;

fn hostile() -> Report {
    let log = "ok\u{1b}[1A\u{1b}[2K  \u{1b}[32m✓ pass\u{1b}[0m  everything is fine\r\nnext\u{9b}2J\u{7}";
    Report::new(
        "host\u{1b}]0;owned\u{7}",
        [
            Finding::fail("app.log.clean", "the log is clean\n  ✓ pass     all is well")
                .layer("app\u{202e}")
                .observed(log)
                .expected("</details><script>alert(1)</script> | `x` | **bold**")
                .evidence("serial.log:17", log)
                .evidence("fence", "```\n# heading outside\n```")
                .fix(Fix::new("look at `it` | <b>").command("echo \u{1b}[2J").link("javascript:alert(1)")),
            Finding::unknown("app.log.read", "the log can be read", "no\u{1b}[8m answer\u{1b}[0m"),
            Finding::skipped("app.log.age", "the log is new", "app.log.read\u{200b}")
                .trusting("the clock\u{1b}[2K of | `somebody`"),
        ],
    )
    .with_conclusion(
        Conclusion::new("code\u{1b}[8m|", Answer::Refuted, "not\u{9b}2J | <b>shown</b>\r\n✓ all is well")
            .trusting("**bold**\u{202e}")
            .missing("```\n# heading"),
    )
}

#[test]
fn a_terminal_shows_what_was_there() {
    assert_snapshot!(terminal::report(&hostile(), &Style::new().with_width(Some(90))));
}

#[test]
fn markdown_stays_inside_its_cells_and_fences() {
    assert_snapshot!(markdown::report(&hostile()));
}

#[test]
fn json_keeps_the_words_and_is_safe_to_show() {
    let text = json::report(&hostile());
    assert!(text.chars().all(|c| c == '\n' || !is_deceptive(c)));
    assert_eq!(json::read_report(&text).unwrap(), hostile());
}

#[test]
fn long_excerpts_are_cut_with_a_mark_at_construction() {
    let finding = Finding::warn("app.log.size", "the log is short").evidence("log", "x".repeat(1 << 20));
    let excerpt = &finding.evidence[0].excerpt;
    assert!(excerpt.len() <= MAX_EXCERPT);
    assert!(excerpt.ends_with("[cut: 1048576 bytes in all]"));
}

#[test]
fn long_texts_from_a_file_are_cut_when_shown() {
    let mut finding = Finding::warn("app.log.size", "the log is short").observed("y".repeat(1 << 20));
    finding.evidence.push(
        serde_json::from_value::<Evidence>(
            serde_json::json!({ "source": "s".repeat(1 << 20), "excerpt": "x".repeat(1 << 20) }),
        )
        .unwrap(),
    );
    let report = Report::new("t".repeat(1 << 20), [finding]);
    for text in [terminal::report(&report, &Style::new()), markdown::report(&report)] {
        assert!(text.len() < 6 * MAX_EXCERPT, "{}", text.len());
        assert!(text.contains("cut: 1048576 bytes in all"));
    }
}

#[test]
fn a_command_that_is_too_long_is_not_cut_into_another_one() {
    let command = format!("rm -rf /tmp/dstack/{}", "x".repeat(MAX_EXCERPT));
    let report = Report::new("host", [Finding::fail("t.a", "a").fix(Fix::new("clean up").command(command))]);
    for text in [terminal::report(&report, &Style::new()), markdown::report(&report)] {
        assert!(!text.contains("rm -rf"), "{text}");
        assert!(text.contains("# a command of 4115 bytes"), "{text}");
    }
}

fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Pass),
        Just(Status::Warn),
        Just(Status::Fail),
        any::<String>().prop_map(|why| Status::Unknown { why }),
        any::<String>().prop_map(|because| Status::Skipped { because }),
        Just(Status::NotApplicable),
    ]
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let texts = prop::collection::vec(any::<String>(), 13);
    (any_status(), texts, any::<[bool; 6]>()).prop_map(|(status, texts, with)| {
        let [
            id,
            title,
            layer,
            observed,
            expected,
            source,
            excerpt,
            action,
            command,
            link,
            proves,
            open,
            trust,
        ] = <[String; 13]>::try_from(texts).unwrap();
        let mut finding = Finding::new(CheckId::from(id.clone()), title, status);
        if with[0] {
            finding = finding.layer(layer).parent(CheckId::from(id));
        }
        if with[1] {
            finding = finding.observed(observed);
        }
        if with[2] {
            finding = finding.expected(expected);
        }
        if with[3] {
            finding = finding.evidence(source, excerpt);
        }
        if with[4] {
            finding = finding.fix(Fix::new(action).command(command).link(link).only_a_hint());
        }
        if with[5] {
            finding = finding.trusting(trust);
            finding.proves = Some(proves.into());
            finding.leaves_open = Some(open.into());
        }
        finding
    })
}

fn any_conclusion() -> impl Strategy<Value = Conclusion> {
    let answer = prop_oneof![
        Just(Answer::Shown),
        Just(Answer::WithReserve),
        Just(Answer::NotShown),
        Just(Answer::Refuted),
    ];
    let texts = prop::collection::vec(any::<String>(), 5);
    (answer, texts).prop_map(|(answer, texts)| {
        let [question, statement, check, trusting, missing] = <[String; 5]>::try_from(texts).unwrap();
        Conclusion::new(question, answer, statement).rests_on([check]).trusting(trusting).missing(missing)
    })
}

fn any_report() -> impl Strategy<Value = Report> {
    let meta = prop::collection::btree_map(any::<String>(), any::<String>(), 0..3);
    let findings = prop::collection::vec(any_finding(), 0..6);
    let conclusions = prop::collection::vec(any_conclusion(), 0..3);
    (any::<String>(), findings, conclusions, meta).prop_map(|(subject, findings, conclusions, meta)| {
        let report = Report::new(subject, findings);
        let report = conclusions.into_iter().fold(report, Report::with_conclusion);
        meta.into_iter().fold(report, |report, (key, value)| report.with_meta(key, value))
    })
}

proptest! {
    #[test]
    fn any_report_survives_json(report in any_report()) {
        prop_assert_eq!(json::read_report(&json::report(&report)).unwrap(), report);
    }

    #[test]
    fn any_set_survives_json(a in any_report(), b in any_report()) {
        let set = ReportSet::merge([a, b]);
        prop_assume!(set.is_ok());
        let set = set.unwrap();
        prop_assert_eq!(json::read_set(&json::set(&set)).unwrap(), set);
    }

    #[test]
    fn nothing_deceptive_reaches_people(
        report in any_report(), width in prop::option::of(0usize..120), fold in any::<bool>()
    ) {
        let style = Style::new().with_width(width).with_folded_passes(fold).with_details_of_passes(!fold);
        let style = style.with_meanings(!fold);
        for text in [terminal::report(&report, &style), markdown::report(&report)] {
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !is_deceptive(c)));
            prop_assert!(text.ends_with('\n'));
        }
        let set = ReportSet::merge([report]).unwrap();
        prop_assert!(terminal::set(&set, &style).chars().all(|c| c == '\n' || c == '\t' || !is_deceptive(c)));
        markdown::set(&set);
    }

    #[test]
    fn lines_of_prose_fit_the_width(title in "[ -~]{0,200}", why in "[ -~äß漢]{0,300}", width in 40usize..120) {
        let conclusion =
            Conclusion::new(title.clone(), Answer::WithReserve, why.clone()).missing(title.clone());
        let mut finding = Finding::unknown("t.some.check", title, why.clone()).trusting(why.clone());
        finding.proves = Some(why.into());
        let report = Report::new("host", [finding]).with_conclusion(conclusion);
        let text = terminal::report(&report, &Style::new().with_width(Some(width)).with_meanings(true));
        for line in text.lines() {
            prop_assert!(columns(line) <= width, "{line:?} is wider than {width}");
        }
    }
}
