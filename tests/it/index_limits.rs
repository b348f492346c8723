//! The index of patients where much is the same, and by weights of the operator's own.

use std::path::Path;

use onward::booking::index::{Likeness, TaskState};
use onward::reconcile::weight::Weights;
use onward::store::{Store, TaskPage};

use crate::index::{Fresh, PRIYA, Who, fresh, fresh_with, message, send, tasks};
use crate::matching::population;

/// Somebody of whom hundreds are known by the same name and date.
fn ali(number: &str) -> Who {
    Who { name: "KHAN^ALI", born: "19800101", street: "", phone: "", ..PRIYA.numbered(number) }
}

fn admit(minute: u32, who: &Who) -> String {
    message(minute, "ADT^A28", &[&who.pid()])
}

/// Hundreds share most keys: not all can be looked at. So rules link nobody whom one of the others could put in doubt.
#[test]
fn where_not_all_can_be_looked_at_a_person_is_asked() {
    let (few, many) = (fresh(0), fresh(0));
    let at_home = |number: &str| Who { street: PRIYA.street, phone: PRIYA.phone, ..ali(number) };
    let asked = |fresh: &Fresh, others: usize| {
        let first = send(fresh, &admit(0, &at_home("A0")));
        for at in 1..others {
            send(fresh, &admit(0, &ali(&format!("A{at}"))));
        }
        let second = send(fresh, &admit(1, &at_home("B1")));
        let page = TaskPage { state: TaskState::Open, at_least: Likeness::Possible, limit: 10_000 };
        let open = fresh.store.task_list(&page).unwrap().into_iter().map(|row| row.task);
        let between = open.into_iter().find(|it| it.pair == (first.0.min(second.0), first.0.max(second.0)));
        (first == second, between.map(|it| (it.evidence.likeness, it.evidence.rule)))
    };
    assert_eq!(asked(&few, 80), (true, None));
    let (linked, question) = asked(&many, 260);
    let (likeness, rule) = question.unwrap();
    assert!(!linked && likeness == Likeness::Probable && rule.starts_with("too many"), "{rule}");
    let fresh = many;
    // Whoever proves a number is known by that, however many are like them.
    let proven = Who { nhs: "9990000018", ..ali("C1") };
    let person = send(&fresh, &admit(2, &proven));
    assert_eq!(send(&fresh, &admit(3, &Who { number: "C2".into(), ..proven })), person);
}

/// The second of two records that are probably one person's, by these weights: how many questions it raises.
fn asked_by(weights: Weights) -> usize {
    let fresh = fresh_with(0, weights);
    send(&fresh, &admit(0, &PRIYA.numbered("P1")));
    send(&fresh, &admit(1, &Who { street: "", phone: "", ..PRIYA.numbered("P2") }));
    let open = tasks(&fresh, TaskState::Open);
    open.iter().filter(|row| row.task.evidence.likeness == Likeness::Probable).count()
}

#[test]
fn the_operators_own_weights_decide() {
    let text = "[grades]\nprobable = 59.0\n";
    assert_eq!(asked_by(Weights::default()), 1);
    assert_eq!(asked_by(Weights::from_toml(text).unwrap()), 0);
}

fn import(dir: &Path) -> (i32, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_onward"));
    let args = ["import", "patients", "p.csv", "--json", "--dir"];
    let out = command.args(args).arg(dir).current_dir(dir).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    (out.status.code().unwrap(), text)
}

/// What `onward match train` prints is what the configuration names; what is wrong with it is told before anything starts.
#[test]
fn the_configuration_names_a_file_of_weights() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let toml = "environment = \"sandbox\"\n[index]\nweights = \"weights.toml\"\n";
    std::fs::write(path.join("onward.toml"), toml).unwrap();
    let rows = "local_id,family_name,given_names,birth_date,gender\nP1,Nair,Priya,1988-02-17,female\nP2,Nair,Priya,1988-02-17,female\n";
    std::fs::write(path.join("p.csv"), rows).unwrap();
    let (code, text) = import(path);
    assert!(code != 0 && text.contains("index.weights"), "{text}");
    std::fs::write(path.join("weights.toml"), "[shoe_size]\nsame = 3.0\n").unwrap();
    let (code, text) = import(path);
    assert!(code != 0 && text.contains("index.weights") && text.contains("shoe_size"), "{text}");
    std::fs::write(path.join("weights.toml"), "[grades]\nprobable = 59.0\npossible = 58.0\n").unwrap();
    let (code, text) = import(path);
    assert!(code == 0 && text.contains("\"probable\": 0"), "{text}");
}

/// Every link, and every entry of the worklist with its grade.
fn decided(dir: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(dir.join("onward.db")).unwrap();
    let all = "SELECT 'link ' || hex(record_id) || ' ' || hex(to_id) FROM patient_link
        UNION ALL SELECT 'task ' || hex(id) || ' ' || grade || ' ' || state FROM task ORDER BY 1";
    let mut statement = conn.prepare(all).unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A file at once, in transactions of many records, is decided as its records are one by one.
#[test]
fn a_file_is_decided_as_its_records_are_one_by_one() {
    let (whole, single) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let heading = "local_id,family_name,given_names,birth_date,nhs_number,nhs_number_status,address,postcode\n";
    let rows: Vec<String> = population(11, 24)
        .into_iter()
        .enumerate()
        .map(|(at, (_, [given, family, birth, number, address, postcode]))| {
            format!("L{at},{family},{given},{birth},{number},01,{address},{postcode}\n")
        })
        .collect();
    for dir in [&whole, &single] {
        std::fs::write(dir.path().join("onward.toml"), "environment = \"sandbox\"\n").unwrap();
    }
    std::fs::write(whole.path().join("p.csv"), [heading, &rows.concat()].concat()).unwrap();
    import(whole.path());
    for row in &rows {
        std::fs::write(single.path().join("p.csv"), [heading, row].concat()).unwrap();
        import(single.path());
    }
    let found = decided(whole.path());
    assert!(
        found.iter().any(|it| it.starts_with("link")) && found.iter().any(|it| it.starts_with("task")),
        "{found:?}"
    );
    assert_eq!(found, decided(single.path()));
}
