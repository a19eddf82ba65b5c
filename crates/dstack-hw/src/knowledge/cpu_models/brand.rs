//! The generation of a CPU by the name that is printed on it, for when its family and model were not recorded.

use super::{Generation, Support, generation};

/// The generation by the name the CPU gives itself. Names tell less than family and model: use it only without them.
///
/// Xeon Scalable names have the generation in the second digit: 8**4**80 is the fourth. Xeon 6 names end in P or E.
/// Workstation parts (`w3-2423`), client parts and the E3, E5, E7 and D series have no TDX.
pub fn generation_of_name(name: &str) -> Option<Generation> {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    if lower.contains("epyc") {
        return epyc(&words);
    }
    if !lower.contains("xeon") {
        let client = ["core(tm)", "pentium", "celeron", "atom", "ryzen", "athlon"];
        return client
            .iter()
            .any(|word| lower.contains(word))
            .then(|| generation("a client part", Support::None));
    }
    if is_workstation(name) {
        return Some(generation("a workstation part", Support::None));
    }
    if words.iter().any(|word| ["e3-", "e5-", "e7-"].iter().any(|series| word.starts_with(series))) {
        return Some(generation("a Xeon E3, E5 or E7", Support::None));
    }
    words.iter().find_map(|word| xeon(word))
}

/// Is it a Xeon W by its name, such as `Intel(R) Xeon(R) w3-2423`? They share the model number with servers.
pub(crate) fn is_workstation(name: &str) -> bool {
    name.to_lowercase().split_whitespace().any(|word| {
        let mut characters = word.chars();
        let (first, second) = (characters.next(), characters.next());
        let series = second == Some('-')
            || second.is_some_and(|digit| digit.is_ascii_digit()) && characters.next() == Some('-');
        first == Some('w') && series && word.chars().any(|character| character.is_ascii_digit())
    })
}

fn xeon(word: &str) -> Option<Generation> {
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    if digits.len() != 4 {
        return None;
    }
    let suffix = word.get(4..).unwrap_or_default();
    let mut figures = digits.bytes();
    let (series, number) = (figures.next()?, figures.next()?);
    match (series, number) {
        (b'6', b'5' | b'7' | b'9') if suffix.starts_with('e') => {
            Some(generation("Xeon 6 with E-cores", Support::Tdx))
        }
        (b'6', b'3' | b'5' | b'7' | b'9') if suffix.starts_with('p') => {
            Some(generation("Xeon 6 with P-cores", Support::Tdx))
        }
        (b'3'..=b'9', b'1'..=b'3') => {
            Some(generation("first to third generation Xeon Scalable", Support::None))
        }
        (b'3'..=b'9', b'4') => Some(generation("Sapphire Rapids", Support::TdxOnSomeParts)),
        (b'3'..=b'9', b'5') => Some(generation("Emerald Rapids", Support::Tdx)),
        _ => None,
    }
}

/// EPYC names of four digits: the last one of the generation since the 7000 series, 3 is the third. 8004, 9004 and 9005
/// are newer.
fn epyc(words: &[&str]) -> Option<Generation> {
    let number = words.iter().find_map(|word| {
        let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
        (digits.len() == 4).then_some(digits)
    })?;
    let has_snp = match (number.as_bytes().first()?, number.as_bytes().last()?) {
        (b'3', _) => false,
        (b'7', b'1' | b'2') => false,
        (b'7', b'3') | (b'8' | b'9', b'4' | b'5') => true,
        _ => return None,
    };
    Some(if has_snp {
        generation("EPYC of the third generation or newer", Support::SevSnp)
    } else {
        generation("EPYC of the first or second generation", Support::None)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn support(name: &str) -> Option<Support> {
        generation_of_name(name).map(|generation| generation.support)
    }

    #[test]
    fn names_that_were_seen() {
        for (name, expected) in [
            ("INTEL(R) XEON(R) GOLD 6530", Some(Support::Tdx)),
            ("INTEL(R) XEON(R) GOLD 5515+", Some(Support::Tdx)),
            ("INTEL(R) XEON(R) GOLD 6548Y+", Some(Support::Tdx)),
            ("INTEL(R) XEON(R) PLATINUM 8570", Some(Support::Tdx)),
            ("Intel(R) Xeon(R) Platinum 8480CTDX", Some(Support::TdxOnSomeParts)),
            ("Intel(R) Xeon(R) 6747P", Some(Support::Tdx)),
            ("Intel(R) Xeon(R) 6731E", Some(Support::Tdx)),
            ("Intel(R) Xeon(R) Gold 6252 CPU @ 2.10GHz", Some(Support::None)),
            ("Intel(R) Xeon(R) CPU E3-1280 v6 @ 3.90GHz", Some(Support::None)),
            ("Intel(R) Xeon(R) w3-2423", Some(Support::None)),
            ("Intel(R) Xeon(R) W-2295 CPU @ 3.00GHz", Some(Support::None)),
            ("12th Gen Intel(R) Core(TM) i7-12700K", Some(Support::None)),
            ("AMD EPYC 7763 64-Core Processor", Some(Support::SevSnp)),
            ("AMD EPYC 9654 96-Core Processor", Some(Support::SevSnp)),
            ("AMD EPYC 3151 4-Core Processor", Some(Support::None)),
            ("AMD EPYC 7742 64-Core Processor", Some(Support::None)),
            ("AMD Ryzen 9 3900X 12-Core Processor", Some(Support::None)),
            ("Intel Xeon Processor (SierraForest)", None),
        ] {
            assert_eq!(support(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_taken(name in any::<String>(), more in "(xeon|epyc) [w0-9é-]{0,6}") {
            let _ = (generation_of_name(&name), generation_of_name(&more));
        }
    }
}
