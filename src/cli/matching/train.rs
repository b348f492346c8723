//! `onward match train`: weights from a file.

use clap::Args;

use super::super::{CallerFault, say};
use super::InputArgs;
use crate::reconcile::compare::ALL;
use crate::reconcile::train;
use crate::reconcile::weight::Weights;

/// What `onward match train` takes.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Where records come from.
    #[command(flatten)]
    pub input: InputArgs,
}

impl TrainArgs {
    pub(super) fn run(&self) -> anyhow::Result<i32> {
        let shipped = self.input.weights()?;
        let mut table = self.input.table()?;
        let trained = train::train(&table.records, &mut table.lexicon, &shipped);
        let Some(trained) = trained else {
            return Err(CallerFault("there are too few pairs in the file to estimate anything from".into()).into());
        };
        say(&format!(
            "{} pairs that share a key, {:.1} % of them one person's; {} rounds",
            trained.pairs,
            100.0 * trained.share,
            trained.rounds
        ));
        print!("{}", text(&trained.weights));
        Ok(0)
    }
}

/// As TOML, with the levels in their order.
fn text(weights: &Weights) -> String {
    let mut text = String::from(
        "# Bits of evidence that two records are one person's; less than 0: that they are two people's.\n",
    );
    for field in ALL {
        text.push_str(&format!("\n[{}]\n", field.as_str()));
        for (level, name) in field.levels().iter().enumerate().skip(1) {
            text.push_str(&format!("{:<28}= {:.2}\n", format!("\"{name}\""), weights.bits(field, level as u8)));
        }
    }
    let grades =
        [("probable", weights.probable), ("possible", weights.possible), ("second_contact", weights.second_contact)];
    text.push_str(
        "\n# From how many bits on a person decides, and a pair is shown; what a second contact counts.\n[grades]\n",
    );
    grades.iter().for_each(|(name, bits)| text.push_str(&format!("{name:<28}= {bits:.2}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read_again() {
        let weights = Weights::default();
        assert_eq!(Weights::read(&toml::from_str(&text(&weights)).unwrap()), Ok(weights));
    }
}
