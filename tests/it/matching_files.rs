//! `onward match` on whole files, good and bad.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

const HEADING: &str = "id,nhs_number,nhs_number_status,family_name,given_names,birth_date,gender,postcode";

/// Runs it in a folder; answers exit code, standard output and standard error.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_onward")).current_dir(folder).arg("match").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn with(rows: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), format!("{HEADING}\n{rows}")).unwrap();
    folder
}

const THREE: &str = "1,9990000018,01,Nair,Priya,1988-02-17,female,NG2 4AB\n\
                     2,999 000 0018,01,NAIR,Priya,17/02/1988,F,\n\
                     3,,,Pike,Oswald,1951-11-30,male,PL1 3RP\n";

#[test]
fn a_file_is_deduplicated_and_each_pair_has_its_reasons() {
    let folder = with(THREE);
    let (code, out, err) = run(folder.path(), &["--input", "a.csv", "--output", "-", "--persons", "p.csv"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "left_id,right_id,score,grade,reasons");
    assert!(lines[1].starts_with("1,2,") && lines[1].contains(",certain,"), "{out}");
    assert!(lines[1].contains("the same NHS number") && lines[1].contains("nhs_number: same (+20.0)"), "{out}");
    assert_eq!(lines.len(), 2);
    let persons = fs::read_to_string(folder.path().join("p.csv")).unwrap();
    assert_eq!(persons.lines().count(), 4);
    assert!(persons.contains("\n3,3\n"), "{persons}");
}

#[test]
fn two_files_are_linked_across_only() {
    let folder = with(THREE);
    let other = "number,surname,first,second,dob\n9990000018,Holt,Priya,Anjali,1988-02-17\n";
    fs::write(folder.path().join("b.csv"), other).unwrap();
    let map = "--map=nhs_number=number,given_names=first+second";
    let (code, _, err) = run(folder.path(), &["--input", "a.csv", "--with", "b.csv", "--output", "-", map]);
    assert_eq!(code, 1, "the mapping holds for both files: {err}");
    assert!(err.contains("a.csv: line 1: there is no column `number`"), "{err}");
    fs::write(folder.path().join("b.csv"), format!("{HEADING}\nx,9990000018,01,Holt,Priya,1988-02-17,female,\n"))
        .unwrap();
    let (code, out, _) = run(folder.path(), &["--input", "a.csv", "--with", "b.csv", "--output", "-"]);
    assert_eq!(code, 0);
    let pairs: Vec<&str> = out.lines().skip(1).map(|line| &line[..3]).collect();
    assert_eq!(pairs, ["1,x", "2,x"]);
}

#[test]
fn what_cannot_be_read_is_told_with_line_and_column() {
    let folder = with(&format!("{THREE}4,,,Fox,Al,31/31/1980,male,\n5,,,Fox\n"));
    let path = folder.path().join("a.csv");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"6,,,Caf\xe9,Jo,1980-05-05,male,\n");
    fs::write(&path, bytes).unwrap();
    let (code, _, err) = run(folder.path(), &["--input", "a.csv", "--output", "-"]);
    assert_eq!(code, 0, "{err}");
    for told in [
        "line 5, column birth_date: birth_date is not a date",
        "line 6: 4 columns instead of 8",
        "line 7, column family_name: not UTF-8",
        "2 records skipped, 1 values taken as not given",
    ] {
        assert!(err.contains(told), "{told}: {err}");
    }
    assert!(!err.contains("31/31"), "values are not repeated");
}

#[test]
fn ids_must_be_unique_and_files_must_be_there() {
    let folder = with(&format!("{THREE}3,,,Pike,Oswald,1951-11-30,male,\n"));
    let (code, _, err) = run(folder.path(), &["--input", "a.csv", "--output", "-"]);
    assert_eq!(code, 1);
    assert!(err.contains("ids must be unique"), "{err}");
    let (code, _, err) = run(folder.path(), &["--input", "none.csv", "--output", "-"]);
    assert!(code == 1 && err.contains("none.csv"), "{err}");
    let (code, _, err) = run(folder.path(), &["--output", "-"]);
    assert!(code == 1 && err.contains("--input"), "{err}");
}

#[test]
fn thousands_of_one_name_are_bounded_and_told() {
    let row = |at: usize| format!("{at},,,Smith,John,1980-{:02}-{:02},male,\n", at % 12 + 1, at / 12 % 28 + 1);
    let folder = with(&(0..4_000).map(row).collect::<String>());
    let (code, _, err) = run(folder.path(), &["--input", "a.csv", "--output", "p.csv"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("each was compared with its nearest only"), "{err}");
}

#[test]
fn weights_are_trained_printed_and_read_again() {
    let row = |at: usize| {
        let (name, day) = (format!("Name{}", char::from(b'a' + (at % 26) as u8)).repeat(1 + at / 26 % 5), at % 27 + 1);
        format!(
            "{at},,,{name},Jo{name},19{:02}-05-{day:02},male,NG{} 4AB\n{at}b,,,{name},Jo{name},19{:02}-05-{day:02},,NG{} 4AB\n",
            at % 90 + 10,
            at % 80,
            at % 90 + 10,
            at % 80
        )
    };
    let folder = with(&(0..200).map(row).collect::<String>());
    let (code, out, err) = run(folder.path(), &["train", "--input", "a.csv"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("[birth_date]") && out.contains("probable"), "{out}");
    fs::write(folder.path().join("w.toml"), out).unwrap();
    let (code, _, err) = run(folder.path(), &["--input", "a.csv", "--weights", "w.toml", "--output", "-"]);
    assert_eq!(code, 0, "{err}");
    fs::write(folder.path().join("w.toml"), "[birth_date]\nwrong = 1.0\n").unwrap();
    let (code, _, err) = run(folder.path(), &["--input", "a.csv", "--weights", "w.toml", "--output", "-"]);
    assert!(code == 1 && err.contains("birth_date has no level `wrong`"), "{err}");
}

#[test]
fn a_pair_is_explained_field_by_field() {
    let folder = with(THREE);
    let (code, out, err) = run(folder.path(), &["explain", "--input", "a.csv", "1", "2"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("birth_date") && out.contains("+13.0") && err.contains("certain: the same NHS number"),
        "{out}{err}"
    );
    let (code, _, err) = run(folder.path(), &["explain", "--input", "a.csv", "1", "9"]);
    assert!(code == 1 && err.contains("id 9"), "{err}");
}
