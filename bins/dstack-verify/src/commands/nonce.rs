//! `nonce`: a challenge that nobody could foresee.

use cli_support::{CliError, ExitCode};
use serde::Serialize;

use crate::context::Context;

/// Arguments of `nonce`.
///
/// Send it to whoever runs the app, ask for a quote with it as report data, and give it to `app --nonce`: the quote is
/// then younger than the question.
#[derive(Debug, clap::Args)]
pub(crate) struct Nonce {}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    nonce: String,
}

/// 32 random bytes.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn fresh() -> Result<[u8; 32], CliError> {
    use ring::rand::SecureRandom;
    let mut bytes = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| CliError::unreachable("the system gives no random numbers"))?;
    Ok(bytes)
}

impl Nonce {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let nonce = hex::encode(fresh()?);
        if context.out.is_json() {
            context.out.json(&Document { schema: "dstack-verify/nonce/v1", nonce })?;
        } else {
            context.out.line(nonce)?;
        }
        Ok(ExitCode::Ok)
    }
}
