//! The memory regions of a PCI device: the file `resource` of sysfs (Linux, `drivers/pci/pci-sysfs.c`; flags as in
//! `include/linux/ioport.h`).

use serde::Serialize;

/// `IORESOURCE_MEM`.
const MEMORY: u64 = 0x200;

/// `IORESOURCE_UNSET`: the region has a size and no address.
const UNSET: u64 = 0x2000_0000;

/// The standard regions; what follows them in the file are the ROM and the windows of bridges.
const BARS: usize = 6;

/// A memory region (base address register).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Bar {
    /// Its number, 0 to 5.
    pub number: usize,
    /// Its first address; 0 where it was given none.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Was it given an address?
    pub assigned: bool,
}

/// The memory regions among the lines `0xSTART 0xEND 0xFLAGS`. A line that is not understood is passed over.
pub fn parse_bars(text: &str) -> Vec<Bar> {
    let bar = |(number, line): (usize, &str)| {
        let mut numbers =
            line.split_whitespace().map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let (start, end, flags) = (numbers.next()??, numbers.next()??, numbers.next()??);
        if flags & MEMORY == 0 {
            return None;
        }
        let size = end.checked_sub(start).and_then(|length| length.checked_add(1)).unwrap_or(0);
        Some(Bar { number, start, size, assigned: start != 0 && size != 0 && flags & UNSET == 0 })
    };
    text.lines().take(BARS).enumerate().filter_map(bar).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn regions_with_and_without_an_address() {
        let text = "0x0000226042000000 0x0000226042ffffff 0x000000000014220c\n\
                    0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
                    0x0000000000000000 0x0000001fffffffff 0x000000002014220c\n\
                    odd\n";
        let bars = parse_bars(text);
        assert_eq!(bars[0], Bar { number: 0, start: 0x2260_4200_0000, size: 16 << 20, assigned: true });
        assert_eq!((bars[1].number, bars[1].size, bars[1].assigned), (2, 128 << 30, false));
        assert_eq!(bars.len(), 2);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(0x[0-9a-f]{0,17}[ \\n]){0,30}") {
            prop_assert!(parse_bars(&text).len() <= BARS);
        }
    }
}
