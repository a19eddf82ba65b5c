//! The one integration binary of the crate.

use dstack_examples::{CATALOGUE, find};

#[test]
fn every_example_is_found_by_its_slug_and_has_a_folder() {
    for example in CATALOGUE {
        assert_eq!(find(example.slug), Some(example));
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example.slug);
        assert_eq!(std::fs::read_to_string(folder.join("docker-compose.yaml")).unwrap(), example.compose);
        assert!(example.readme.starts_with("# "), "{} has a README with a title", example.slug);
    }
    assert_eq!(find("no-such-example"), None);
}

#[test]
fn every_folder_is_in_the_catalogue() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in std::fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name();
        let slug = name.to_str().unwrap();
        assert!(find(slug).is_some(), "examples/{slug} is missing from the catalogue");
    }
}

#[test]
fn compose_files_are_plain_text_that_keeps_its_hash_across_checkouts() {
    for example in CATALOGUE {
        assert!(!example.compose.contains('\r'), "{}: CRLF changes the compose hash", example.slug);
        assert!(!example.compose.starts_with('\u{feff}'), "{}: starts with a byte order mark", example.slug);
        assert!(example.compose.ends_with('\n'), "{}: does not end with a line end", example.slug);
    }
}
