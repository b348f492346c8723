//! `onward completions`: scripts that complete words on a shell's command line.

use clap::Args;
use clap_complete::Shell;

/// What `onward completions` takes.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script.
    pub fn run(&self) -> anyhow::Result<i32> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "onward", &mut script);
        super::print_bytes(&script)?;
        Ok(0)
    }
}
