//! Functions by their families, on a small patient. Most of the language is also in HL7's own suite, which runs as
//! an integration test.

use super::*;

#[test]
fn elements_are_found_by_name_choice_and_type() {
    check(&[
        ("name.given", &["One", "@name[0]._given[1]", "Two", "Three"]),
        ("Patient.name.family", &["A\"b"]),
        ("Encounter.status", &[]),
        ("Resource.id", &["p"]),
        ("extension.value", &["x", "@extension[1].valueQuantity"]),
        ("extension.valueString", &[]),
        ("multipleBirth", &["3"]),
        ("multipleBirthInteger", &[]),
        ("multipleBirth is integer", &["true"]),
        ("multipleBirth.ofType(boolean)", &[]),
        ("name[1].given", &["Three"]),
        ("name[9]", &[]),
        ("`name`.where(use = 'usual').given", &["Three"]),
        ("contained.name", &["Org"]),
    ]);
}

#[test]
fn primitive_values_have_what_stands_beside_them() {
    check(&[
        ("birthDate.id", &["b"]),
        ("birthDate.extension('urn:t').value", &["7"]),
        ("birthDate.extension.url", &["urn:t"]),
        ("name.given.extension('urn:g').value", &["c"]),
        ("name.given.id", &["two"]),
        ("name.given.select(hasValue())", &["true", "false", "true", "true"]),
        ("name.given[1].exists()", &["true"]),
        ("name.given[1].getValue()", &[]),
        ("deceased.exists()", &["true"]),
        ("deceased.hasValue()", &["false"]),
        ("deceased.extension.value", &["1.0"]),
        ("deceased = true", &["false"]),
        ("deceased is boolean", &["true"]),
        ("gender.extension.empty()", &["true"]),
        ("birthDate.children().count()", &["2"]),
        ("gender.children().empty()", &["true"]),
        ("descendants().where($this is integer)", &["7", "3"]),
        ("descendants().count() = repeat(children()).count()", &["true"]),
        ("descendants().where(url = 'urn:d').value", &["1.0"]),
    ]);
}

#[test]
fn types_are_told_apart() {
    check(&[
        ("Patient.is(DomainResource) and Patient.is(Resource) and Patient.is(Element).not()", &["true"]),
        ("name.first().is(Element) and name.first().is(BackboneElement).not()", &["true"]),
        ("gender.is(string) and gender.is(code) and gender.is(uri).not()", &["true"]),
        ("gender.ofType(string)", &[]),
        ("contained.ofType(Organization).id", &["o"]),
        ("contained.ofType(DomainResource).id", &["o"]),
        ("extension.value.ofType(FHIR.Quantity).value", &["2.50"]),
        ("'a' is System.String and ('a' is FHIR.string).not()", &["true"]),
        ("(1).type().name | gender.type().name | gender.type().namespace", &["Integer", "code", "FHIR"]),
        ("active is Boolean", &["false"]),
        ("{} is Boolean", &[]),
    ]);
}

#[test]
fn logic_has_three_values() {
    check(&[
        ("true and {}", &[]),
        ("false and {}", &["false"]),
        ("{} or true or false", &["true"]),
        ("{} or false", &[]),
        ("{} implies true", &["true"]),
        ("true xor {}", &[]),
        ("{}.not()", &[]),
        ("'a' and true", &["true"]),
        ("name.exists(use = 'old')", &["false"]),
        ("name.all(given.exists())", &["true"]),
        ("{}.all(false)", &["true"]),
        ("(true | false).anyTrue() and (true | false).allTrue().not()", &["true"]),
        ("(true | false).anyFalse() and false.allFalse()", &["true"]),
    ]);
    check_errors(&[("(1 | 2) and true", EvalError::NotSingle), ("('a' | 'b').allTrue()", EvalError::Type)]);
}

#[test]
fn collections_are_cut_and_joined() {
    check(&[
        ("(1 | 2 | 2 | 3).tail()", &["2", "3"]),
        ("(1 | 2 | 3).skip(1).first() | (1 | 2 | 3).take(2).last()", &["2"]),
        ("(1 | 2 | 3).take(0) | (1 | 2 | 3).take(-1)", &[]),
        ("1.combine(1).count()", &["2"]),
        ("(1 | 2 | 3).intersect(3 | 2)", &["2", "3"]),
        ("1.combine(1).combine(2).exclude(2)", &["1", "1"]),
        ("(1 | 2).subsetOf(1 | 2 | 3) and (1 | 2 | 3).supersetOf(1 | 2)", &["true"]),
        ("(1 | 2 | 3).select($this * $index)", &["0", "2", "6"]),
        ("(3 | 1 | 2).sort()", &["1", "2", "3"]),
        ("(3 | 1 | 2).sort(-$this)", &["3", "2", "1"]),
        ("('b' | 'a' | 'c' | 'a').sort()", &["a", "b", "c"]),
        ("(@2024-05 | @2023 | @2024 | @2022-01-01).sort()", &["2022-01-01", "2023", "2024-05", "2024"]),
        ("(1 | 2 | 3).aggregate($total + $this, 0)", &["6"]),
        ("('a' | 'b').where($index = 1)", &["b"]),
        ("2 in (1 | 2) and ((1 | 2) contains 3).not()", &["true"]),
        ("{} in (1 | 2)", &[]),
        ("gender in ('male' | 'other')", &["true"]),
        ("name.trace('n', given).count()", &["2"]),
        ("1.iif($this = 1, 'one', 'more')", &["one"]),
        ("iif(false, 1)", &[]),
    ]);
    check_errors(&[("name.single()", EvalError::NotSingle), ("name in name", EvalError::NotSingle)]);
}

#[test]
fn what_is_equal_is_so_in_every_form() {
    check(&[
        ("1 = 1.00", &["true"]),
        ("name = name", &["true"]),
        ("name.first() = name.last()", &["false"]),
        ("(1 | 2) = (2 | 1)", &["false"]),
        ("(1 | 2) ~ (2 | 1)", &["true"]),
        ("'A  b' ~ 'a B'", &["true"]),
        ("gender = 'other' and 'other' = gender and gender != 'male'", &["true"]),
        ("name.family = 'A\"b'", &["true"]),
        ("birthDate = @1974-12-25", &["true"]),
        ("birthDate = @1974-12", &[]),
        ("birthDate ~ @1974-12", &["false"]),
        ("birthDate < @1975", &["true"]),
        ("extension.value.ofType(Quantity) = 2500 'mg'", &["true"]),
        ("extension.value.ofType(Quantity) > 2 'g'", &["true"]),
        ("1.0 ~ 1", &["true"]),
        ("{} = {}", &[]),
        ("{} ~ {}", &["true"]),
        ("1 = 'a'", &["false"]),
        ("1 'cm' < 1 's'", &[]),
    ]);
    check_errors(&[
        ("1 < 'a'", EvalError::Type),
        ("@T10:00 < @2024", EvalError::Type),
        ("name < name", EvalError::NotSingle),
    ]);
}

#[test]
fn texts_are_cut_matched_and_replaced() {
    check(&[
        ("'aébc'.substring(1, 2)", &["éb"]),
        ("'abc'.substring(1)", &["bc"]),
        ("'abc'.substring(3)", &[]),
        ("'aéb'.indexOf('b')", &["2"]),
        ("'abab'.lastIndexOf('b')", &["3"]),
        ("'abc'.matches('b')", &["true"]),
        ("'abc'.matchesFull('b')", &["false"]),
        ("'a1b22'.replaceMatches('([0-9]+)', '<$1>')", &["a<1>b<22>"]),
        ("'a1'.replaceMatches('(?<d>[0-9])', '${d}x')", &["a1x"]),
        ("'abc'.replace('b', '-').upper().lower().length()", &["3"]),
        ("'a,b'.split(',').join('|')", &["a|b"]),
        ("'ab'.toChars()", &["a", "b"]),
        ("'é'.encode('hex')", &["c3a9"]),
        ("'c3a9'.decode('hex')", &["é"]),
        ("'zz'.decode('hex')", &[]),
        ("'<&>'.escape('html').unescape('html')", &["<&>"]),
        ("'\\'\\\\\\u0041\\/'", &["'\\A/"]),
        ("name.first().family & {} & '-'", &["A\"b-"]),
        ("gender.startsWith('ot') and gender.endsWith('er') and gender.contains('the')", &["true"]),
        ("{}.matches('a')", &[]),
        ("'a'.matches(gender)", &["false"]),
    ]);
    check_errors(&[
        ("name.first().startsWith('a')", EvalError::Type),
        ("'a'.matches('(' & '')", EvalError::Pattern),
        ("'a'.encode('rot13')", EvalError::Type),
    ]);
}

#[test]
fn numbers_are_exact() {
    check(&[
        ("0.1 + 0.2", &["0.3"]),
        ("2.50 * 2", &["5.00"]),
        ("7 div 2 | 7 mod 4", &["3"]),
        ("1 / 0 | 1 div 0 | 1 mod 0", &[]),
        ("9223372036854775807 + 1", &[]),
        ("-5.5.abs() | 2.power(10) | 8.log(2)", &["-5.5", "1024", "3"]),
        ("2.5.round() | (-2.5).round() | 1.44.sqrt()", &["3", "-3", "1.2"]),
        ("1.5.ceiling() | 1.5.floor() | (-1.5).truncate()", &["2", "1", "-1"]),
        ("(-1).sqrt() | 0.ln()", &[]),
        ("1.587.lowBoundary(2) | 1.587.highBoundary(2)", &["1.58", "1.59"]),
        ("4 'mg' + 1 'g'", &["1004 'mg'"]),
        ("4 'mg' - 1 'cm'", &[]),
        ("-(4 'mg')", &["-4 'mg'"]),
        ("'a' + 'b'", &["ab"]),
    ]);
    check_errors(&[("'a' - 'b'", EvalError::Type), ("-'a'", EvalError::Type), ("1 + 'a'", EvalError::Type)]);
}

#[test]
fn time_goes_by_the_calendar() {
    check(&[
        ("@2024-01-31 + 1 month", &["2024-02-29"]),
        ("@2024 + 24 months | @2024-03 - 45 days", &["2026", "2024-02"]),
        ("@2024-02-28T23:00:00Z + 90 minutes", &["2024-02-29T00:30:00Z"]),
        ("@T23:30 + 1 hour", &["00:30"]),
        ("@2024-02-29 - 1 year", &["2023-02-28"]),
        ("@2024-02-29 + 25 hours", &["2024-03-01"]),
        ("now() | timeOfDay()", &["2026-11-22T10:00:00.000Z", "10:00:00.000"]),
        ("today()", &["2026-11-22"]),
        ("@2024.lowBoundary() | @2024.highBoundary(6)", &["2024-01-01", "2024-12"]),
        ("@2024-02.precision()", &["6"]),
    ]);
    check_errors(&[
        ("@2024 + 1 'mo'", EvalError::Type),
        ("@2024 + 1", EvalError::Type),
        ("@T10 + 1 day", EvalError::Type),
    ]);
}

#[test]
fn what_converts_converts_and_the_rest_is_nothing() {
    check(&[
        ("'1'.toInteger() | '1.5'.toDecimal() | true.toInteger()", &["1", "1.5"]),
        ("'a'.toInteger() | '1.5'.toInteger() | 'x'.toDate()", &[]),
        ("'YES'.toBoolean() | 0.toBoolean()", &["true", "false"]),
        ("'2024-02-29T10:00:00Z'.toDate()", &["2024-02-29"]),
        ("'2024'.toDateTime() is DateTime", &["true"]),
        ("'10:30'.toTime()", &["10:30"]),
        ("'4 days'.toQuantity() | '4 \\'mg\\''.toQuantity() | '4 x'.toQuantity()", &["4 days", "4 'mg'"]),
        ("birthDate.toString() & active.toString() & 1.50.toString()", &["1974-12-25true1.50"]),
        ("'a'.convertsToInteger() | '1'.convertsToInteger()", &["false", "true"]),
        ("name.first().convertsToString()", &["false"]),
    ]);
}

#[test]
fn fhir_has_functions_of_its_own() {
    check(&[
        ("managingOrganization.resolve().name", &["Org"]),
        ("'urn:elsewhere'.resolve()", &[]),
        ("managingOrganization.resolve().is(Organization)", &["true"]),
        ("extension('urn:e').value", &["x"]),
        ("extension({})", &[]),
        ("'<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>'.htmlChecks()", &["true"]),
        ("'<div>a</div>'.htmlChecks()", &["false"]),
        ("%resource.id | %rootResource.id | %context.id", &["p"]),
        (
            "%`vs-a` | %'ext-b' | %sct",
            &["http://hl7.org/fhir/ValueSet/a", "http://hl7.org/fhir/StructureDefinition/b", "http://snomed.info/sct"],
        ),
    ]);
}
