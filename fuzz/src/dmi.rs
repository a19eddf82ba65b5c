//! SMBIOS tables: what is counted fits into the bytes.

use dstack_hw::facts::memory::{Population, smbios};

/// Takes any bytes for the structure table.
pub fn run(data: &[u8]) {
    // The shortest structure is a header of four bytes and the two bytes that end its strings.
    let structures = smbios::structures(data).count();
    assert!(structures * 6 <= data.len() + 2, "{structures} structures in {} bytes", data.len());
    let population = Population::parse(data);
    assert!(population.slots.len() <= structures && population.processors <= structures);
    assert!(population.populated().count() <= population.slots.len());
    for (_, socket) in population.sockets() {
        assert!(socket.populated <= socket.slots && socket.slots <= population.slots.len());
        assert!(socket.sizes.is_sorted());
    }
    assert_eq!(population, Population::parse(data));
}
