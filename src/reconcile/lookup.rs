//! One record against those that share a key with it, wherever they are kept.
//!
//! [`super::index`] holds millions in memory; this is for whoever keeps records elsewhere and brings the few that
//! matter: those that share a key with the record, and those that share one with the ones that are certain.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::block::{WIDE_FROM, key};
use super::decide::{Judged, Matcher, Rule};
use super::explain::Explanation;
use super::lexicon::Lexicon;
use super::normal::{Normaliser, Record};
use super::weight::Weights;
use super::{Grade, said};
use crate::booking::identifier::PatientId;
use crate::booking::index::{Alike, Evidence, Likeness};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::{Demographics, Patient};

/// A record that is held, and the record that stands for its person.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Neighbour<'a> {
    pub record: &'a Patient,
    pub person: PatientId,
}

/// How a look-up is judged.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// In bits.
    pub weights: &'a Weights,
    /// The present: tells children from adults.
    pub now: Timestamp,
    /// What of those who are there was not looked at.
    pub unseen: Unseen,
}

/// Were there more who share a key than can be looked at?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unseen {
    /// No: everybody was seen.
    #[default]
    Nobody,
    /// Yes: who is certain may have a rival among them.
    Some,
    /// Yes, and the record is to be a new one, although somebody unseen may be the same person: a person is asked.
    Asked,
}

/// All keys by which somebody of whom this is said is found; none for somebody whom nobody knows.
pub fn keys_of(proven: Option<NhsNumber>, who: &Demographics) -> Vec<u64> {
    let mut normaliser = Normaliser::default();
    let record = said::record(&mut normaliser, proven, who);
    if who.unidentified { Vec::new() } else { keys(&record, &normaliser.lexicon) }
}

/// Which of the records may be the same person's, with the evidence, in their order.
pub fn alike(
    proven: Option<NhsNumber>,
    who: &Demographics,
    held: &[Neighbour<'_>],
    view: &View<'_>,
) -> Vec<Option<Alike>> {
    let mut normaliser = Normaliser::default();
    let record = said::record(&mut normaliser, proven, who);
    let packed: Vec<(Record, u64)> = held
        .iter()
        .map(|it| (said::held(&mut normaliser, it.record), it.person.0.as_u64_pair().0 ^ it.person.0.as_u64_pair().1))
        .collect();
    // A few neighbours are no population, and the same two records must weigh the same in any company.
    normaliser.lexicon.forget_uses();
    let year = u32::try_from(view.now.to_zoned(TimeZone::UTC).year()).unwrap_or_default();
    let matcher = Matcher { lexicon: &normaliser.lexicon, weights: view.weights, year };
    let mut judged = judge(&record, &packed, &matcher);
    doubt(&record, &packed, &mut judged, view.unseen, &matcher);
    judged.iter().zip(held).map(|(judged, it)| found(judged, it.record)).collect()
}

fn found(judged: &Judged, record: &Patient) -> Option<Alike> {
    let likeness = match judged.grade {
        Grade::None => return None,
        Grade::Possible => Likeness::Possible,
        Grade::Probable => Likeness::Probable,
        Grade::Certain => Likeness::Certain,
    };
    let why = Explanation::new(judged, judged.grade, judged.rule);
    let field = |it: &super::explain::Reason| (it.field.to_owned(), it.level.to_owned(), it.bits);
    let fields = why.reasons.iter().map(field).collect();
    let evidence = Evidence { likeness, score: why.score, rule: why.rule.to_owned(), fields };
    Some(Alike { record: record.clone(), evidence })
}

/// All keys by which a record is found, each once.
pub fn keys(record: &Record, lexicon: &Lexicon) -> Vec<u64> {
    let mut keys: Vec<u64> = (0..WIDE_FROM).filter_map(|kind| key(kind, record, lexicon)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What each of the held records is to the record, in their order. `held`: with a number for the person of each.
pub fn judge(record: &Record, held: &[(Record, u64)], matcher: &Matcher<'_>) -> Vec<Judged> {
    let mut judged: Vec<Judged> = held.iter().map(|(it, _)| matcher.judge(record, it)).collect();
    let rivalled: Vec<usize> = (0..held.len()).filter(|at| has_rival(record, *at, held, &judged, matcher)).collect();
    for at in rivalled {
        judged[at] = judged[at].in_doubt();
    }
    refuse_contradicted(record, held, &mut judged, matcher);
    refuse_two(held, &mut judged);
    judged
}

/// Where not everybody was seen nobody is certain whom a rival could put in doubt; and where a record is to be made
/// nevertheless, a person is asked about the nearest of those who were seen.
fn doubt(record: &Record, held: &[(Record, u64)], judged: &mut [Judged], unseen: Unseen, matcher: &Matcher<'_>) {
    if unseen == Unseen::Nobody {
        return;
    }
    for found in judged.iter_mut().filter(|it| it.grade == Grade::Certain && !it.is_beyond_rivals()) {
        *found = Judged { grade: Grade::Probable, rule: Rule::Unseen, ..*found };
    }
    let is_asked = judged.iter().any(|it| Grade::Probable <= it.grade);
    if unseen == Unseen::Some || is_asked {
        return;
    }
    let able = (0..held.len()).filter(|at| !matcher.are_two(record, &held[*at].0));
    let nearest = able.max_by(|a, b| judged[*a].score.total.total_cmp(&judged[*b].score.total));
    if let Some(at) = nearest {
        judged[at] = Judged { grade: Grade::Probable, rule: Rule::Unseen, ..judged[at] };
    }
}

/// Could somebody else be meant, on either side?
fn has_rival(record: &Record, at: usize, held: &[(Record, u64)], judged: &[Judged], matcher: &Matcher<'_>) -> bool {
    let found = &judged[at];
    if found.grade != Grade::Certain || found.is_beyond_rivals() {
        return false;
    }
    let bits = found.rival_bits();
    let (this, person) = &held[at];
    let mut others = held.iter().zip(judged).filter(|((_, other), _)| other != person);
    others.any(|((third, _), to_third)| {
        let here = bits <= to_third.score.without_numbers() && matcher.are_two(third, this);
        here || bits <= matcher.judge(this, third).score.without_numbers() && matcher.are_two(third, record)
    })
}

/// Certain of one record of a person, and known not to be another one of the same: a person decides.
fn refuse_contradicted(record: &Record, held: &[(Record, u64)], judged: &mut [Judged], matcher: &Matcher<'_>) {
    for at in 0..held.len() {
        let person = held[at].1;
        let contradicts = |other: &(Record, u64)| other.1 == person && matcher.are_two(record, &other.0);
        if judged[at].grade == Grade::Certain && held.iter().any(contradicts) {
            judged[at].grade = Grade::Probable;
            judged[at].rule = Rule::JoinsTwo;
        }
    }
}

/// Certain of two people at once is certain of neither, where they are known to be two.
fn refuse_two(held: &[(Record, u64)], judged: &mut [Judged]) {
    let certain = |judged: &[Judged]| -> Vec<usize> {
        (0..held.len()).filter(|at| judged[*at].grade == Grade::Certain).collect()
    };
    let numbers: Vec<u64> = certain(judged)
        .into_iter()
        .map(|at| held[at].0.number)
        .filter(|number| number.is_valid())
        .map(|number| number.value())
        .collect();
    if numbers.windows(2).any(|pair| pair[0] != pair[1]) {
        for at in certain(judged) {
            judged[at].grade = Grade::Probable;
            judged[at].rule = Rule::JoinsTwo;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::normal::{Normaliser, Written};
    use crate::reconcile::weight::Weights;

    const YEAR: u32 = 2026;

    fn grades(said: Written<'_>, held: &[(Written<'_>, u64)]) -> Vec<Grade> {
        let mut normaliser = Normaliser::default();
        let said = normaliser.record(&said).0;
        let held: Vec<(Record, u64)> =
            held.iter().map(|(written, person)| (normaliser.record(written).0, *person)).collect();
        let matcher = Matcher { lexicon: &normaliser.lexicon, weights: &Weights::default(), year: YEAR };
        judge(&said, &held, &matcher).iter().map(|it| it.grade).collect()
    }

    fn priya() -> Written<'static> {
        Written {
            given_names: "Priya",
            family_name: "Nair",
            birth_date: "1988-02-17",
            gender: "female",
            postcode: "NG2 4AB",
            address: "7 Park Road",
            ..Written::default()
        }
    }

    #[test]
    fn one_person_is_certain_and_a_twin_is_not() {
        let child = Written { birth_date: "2016-02-17", ..priya() };
        let twin = Written { given_names: "Anjali", ..child };
        assert_eq!(grades(child, &[(child, 1), (twin, 2)]), [Grade::Certain, Grade::None]);
    }

    #[test]
    fn who_could_be_two_is_nobody_for_certain() {
        let first = Written { nhs_number: "9990000018", ..priya() };
        let second = Written { nhs_number: "9990000026", ..priya() };
        assert_eq!(grades(priya(), &[(first, 1), (second, 2)]), [Grade::Probable; 2]);
    }

    #[test]
    fn a_person_who_has_another_number_already_is_not_joined() {
        let first = Written { nhs_number: "9990000018", postcode: "", address: "", ..priya() };
        let said = Written { nhs_number: "9990000026", ..priya() };
        assert_eq!(grades(said, &[(priya(), 1), (first, 1)])[0], Grade::Probable);
    }

    #[test]
    fn keys_do_not_depend_on_what_was_read_before() {
        let mut fresh = Normaliser::default();
        let alone = fresh.record(&priya()).0;
        let alone = keys(&alone, &fresh.lexicon);
        let mut used = Normaliser::default();
        used.record(&Written { address: "12 Mill Lane", town: "Leeds", ..priya() });
        let after = used.record(&priya()).0;
        assert_eq!(keys(&after, &used.lexicon), alone);
        assert!(5 < alone.len());
    }
}
