//! How sure it was of whom, as a picture: how many pairs had which score, by grade, and where the thresholds are.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::booking::index::Likeness;
use crate::reconcile::weight::Weights;

/// Bits that one bar stands for.
const STEP: i32 = 4;
const BAR: i32 = 18;
const HEIGHT: i32 = 240;
const MARGIN: i32 = 40;

/// Pairs by score and grade.
#[derive(Default)]
pub(super) struct Chart(BTreeMap<i32, [usize; 3]>);

impl Chart {
    /// One more pair.
    pub(super) fn add(&mut self, score: f32, likeness: Likeness) {
        let at = (score as i32).clamp(-40, 160).div_euclid(STEP);
        self.0.entry(at).or_default()[likeness as usize] += 1;
    }

    /// The picture.
    pub(super) fn svg(&self) -> String {
        let weights = Weights::default();
        let thresholds = [("possible", weights.possible), ("probable", weights.probable)];
        let at_thresholds = thresholds.iter().map(|(_, bits)| *bits as i32 / STEP);
        let ends = || self.0.keys().copied().chain(at_thresholds.clone());
        let (first, last) = (ends().min().unwrap_or(0) - 1, ends().max().unwrap_or(0) + 2);
        let most = self.0.values().map(|counts| counts.iter().sum::<usize>()).max().unwrap_or(1).max(1);
        let width = (last - first) * BAR + 2 * MARGIN;
        let bottom = HEIGHT + MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" font-family=\"sans-serif\" \
             font-size=\"10\">\n<title>Pairs by score in bits: certain, probable, possible</title>\n",
            bottom + MARGIN
        );
        let x = |at: i32| MARGIN + (at - first) * BAR;
        // Writing to a String does not fail.
        for (at, counts) in &self.0 {
            let mut y = bottom;
            for (count, colour) in counts.iter().zip(["#9aa5b1", "#e8a33d", "#2f855a"]) {
                let height = (count * HEIGHT as usize).div_ceil(most) as i32;
                y -= height;
                if 0 < height {
                    let _ = writeln!(
                        svg,
                        "<rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{height}\" fill=\"{colour}\"><title>{count} from {} \
                         bits</title></rect>",
                        x(*at),
                        BAR - 2,
                        at * STEP
                    );
                }
            }
        }
        for (name, bits) in thresholds {
            let at = MARGIN + ((bits / STEP as f32 - first as f32) * BAR as f32) as i32;
            let _ = writeln!(
                svg,
                "<line x1=\"{at}\" x2=\"{at}\" y1=\"{MARGIN}\" y2=\"{bottom}\" stroke=\"#444\" stroke-dasharray=\"4 3\"/>\
                 <text x=\"{}\" y=\"{}\">{name}: {bits} bits</text>",
                at + 3,
                MARGIN - 4
            );
        }
        for at in (first..=last).filter(|at| at.rem_euclid(5) == 0) {
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", x(at), bottom + 14, at * STEP);
        }
        let _ = writeln!(
            svg,
            "<line x1=\"{MARGIN}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\" stroke=\"#444\"/>",
            width - MARGIN
        );
        svg + "</svg>\n"
    }
}
