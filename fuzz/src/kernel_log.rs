//! The kernel log: every line becomes a message, and every check that reads it has an answer.

use dstack_hw::facts::kernel_log::KernelLog;
use dstack_hw::source::{LogOrigin, Pasted, RawKernelLog};
use dstack_hw::{Assessment, CollectOptions, HostFacts, Profile};

/// Takes any bytes for a log.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    for from in [LogOrigin::Kmsg, LogOrigin::Pasted] {
        let raw = RawKernelLog { from, from_boot: None, text: text.clone() };
        let log = KernelLog::parse(&raw);
        assert!(log.messages.len() <= text.lines().count());
        assert!(log.messages.iter().map(|message| message.text.len()).sum::<usize>() <= text.len());
        assert_eq!(log, KernelLog::parse(&raw));
        // What was said to reach back to the boot is not doubted, and the other way round.
        for said in [true, false] {
            let log = KernelLog::parse(&RawKernelLog { from_boot: Some(said), ..raw.clone() });
            assert_eq!(log.from_boot, said);
        }
    }
    let facts = HostFacts::collect(&Pasted::new().kernel_log(text).into_readings(), CollectOptions::quick());
    for name in ["tdx-host-with-kms", "snp-host", "tdx-guest"] {
        let profile = Profile::builtin(name).expect("it is built in");
        let assessment = Assessment::of("fuzz", &facts, &profile);
        assert!(!assessment.readiness.is_ready(), "a log alone does not show a host that is ready");
    }
}
