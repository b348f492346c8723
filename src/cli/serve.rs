//! `onward serve`: runs the gateway until it is told to stop.

use clap::Args;

use super::config::refuse_errors;
use super::place::Place;
use crate::app::App;
use crate::config::Config;
use crate::telemetry;

/// What `onward serve` takes.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where its configuration is.
    #[command(flatten)]
    pub place: Place,
}

impl ServeArgs {
    /// Runs the gateway; answers the exit code.
    pub fn run(&self, _json: bool) -> anyhow::Result<i32> {
        let config = self.place.load()?;
        refuse_errors(&config)?;
        telemetry::install(&config.log)?;
        tokio::runtime::Runtime::new()?.block_on(serve(config))?;
        Ok(0)
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let app = App::start(config).await?;
    tracing::info!(https = %app.https, status = %app.status, "started");
    stop_asked().await?;
    tracing::info!("stopping; once more to stop at once");
    tokio::select! { () = app.stop() => Ok(()), stopped = stop_asked() => Ok(stopped?) }
}

/// Waits for SIGTERM, or Ctrl-C.
#[cfg(unix)]
pub(super) async fn stop_asked() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        asked = tokio::signal::ctrl_c() => asked,
    }
}

#[cfg(not(unix))]
pub(super) async fn stop_asked() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
