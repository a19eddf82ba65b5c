#![doc = include_str!("../README.md")]

mod catalogue;
mod conclusion;
mod definition;
mod evaluate;
mod finding;
mod fix;
mod hint;
pub mod render;
mod report;
mod report_set;
pub mod text;

pub use catalogue::{Catalogue, CatalogueError};
pub use conclusion::{Answer, Conclusion};
pub use definition::CheckDef;
pub use evaluate::{Evaluation, Gate};
pub use finding::{CheckId, Evidence, Finding, MAX_EXCERPT, Status};
pub use fix::Fix;
pub use hint::{Hint, Hinted};
pub use report::{Counts, Report, Verdict};
pub use report_set::{CheckSummary, HostStatus, MergeError, ReportSet};
