//! One log line format for every process: text for people, JSON for collectors.

use tracing_subscriber::EnvFilter;

/// Form of the log on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of text an event
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging to standard error.
///
/// # Errors
/// When `filter` is not a filter of the form `info` or `info,crate=trace`.
pub fn init(format: Format, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!("--log-level {filter:?} is not a log filter ({error}): try info or debug")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    match format {
        Format::Text => builder.init(),
        Format::Json => builder.json().init(),
    }
    Ok(())
}
