use std::fs;
use std::path::Path;

use super::*;
use crate::issue::Severity;

const FULL: &str = r#"
environment = "production"
[store]
path = "data/onward.db"
[https]
listen = "0.0.0.0:8443"
client_ca = "ca.pem"
[[mllp]]
name = "pas-in"
[[system]]
id = "gp"
certificate_sha256 = ["AB:CD:ABCDabcdABCDabcdABCDabcdABCDabcdABCDabcdABCDabcdABCDabcdABCD"]
organisations = ["a1001"]
[[organisation]]
ods = "RH8"
closed_on = 2030-01-31
[[service]]
id = "2000072489"
organisation = "RH8"
destination = "pas"
[[destination]]
name = "pas"
host = "pas.example"
port = 2575
[destination.channel]
version = "2.4"
"#;

fn read(text: &str, vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let vars = vars.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Config::read(text.parse().unwrap(), "onward.toml", vars)
}

fn complaint(text: &str, vars: &[(&str, &str)]) -> String {
    read(text, vars).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("", &[]).unwrap(), Config::default());
}

#[test]
fn a_full_file_is_read_and_shown_again() {
    let config = read(FULL, &[]).unwrap();
    assert_eq!(config.organisation[0].closed_on, Some(jiff::civil::date(2030, 1, 31)));
    assert_eq!(config.system[0].certificate_sha256[0].as_str(), "abcd".repeat(16));
    assert_eq!(read(&config.show(), &[]).unwrap(), config);
}

#[test]
fn nonsense_about_deliveries_is_complained_of() {
    let found = |settings: &str| -> Vec<String> {
        let text = FULL.replace("port = 2575", &format!("port = 2575\n{settings}"));
        let config = read(&text, &[]).unwrap();
        let about = |it: &Finding| it.to_string().contains("destination[0].") && !it.to_string().contains("tls");
        config.check().iter().filter(|it| about(it)).map(ToString::to_string).collect()
    };
    assert!(found("windows = [\"mon-fri 07:00-19:00\"]\ngap_min_ms = 200\non_ae = \"retry\"").is_empty());
    for (settings, setting) in [
        ("windows = [\"sat 08:00-12:00\", \"always\"]", "destination[0].windows[1]"),
        ("gap_min_ms = 90000000", "destination[0].gap_min_ms"),
        ("on_ar = \"skip\"", "destination[0].on_ar"),
        ("kind = \"bars\"\non_ae = \"retry\"", "destination[0].on_ae"),
    ] {
        let found = found(settings);
        assert!(found.iter().any(|it| it.contains(setting)), "{settings}: {found:?}");
    }
    let text = FULL.replace("port = 2575", "port = 2575\non_ae = \"ignore\"");
    assert!(complaint(&text, &[]).contains("on_ae"));
}

#[test]
fn what_is_named_like_a_secret_is_masked() {
    let shown = read(&format!("{FULL}api_token = \"hush\""), &[]).unwrap().show();
    assert!(shown.contains(r#"api_token = "***""#) && !shown.contains("hush"), "{shown}");
}

#[test]
fn a_wrong_setting_is_named_with_its_file() {
    let address = complaint("[https]\nlisten = \"nowhere\"", &[]);
    assert_eq!(address, "onward.toml: https.listen: invalid socket address syntax");
    let code = complaint("[[service]]\nid = \"1\"\norganisation = \"?\"", &[]);
    assert_eq!(code, "onward.toml: service[0].organisation: an ODS code has 3 to 8 letters and digits");
    let unknown = complaint("[https]\nlisen = \"127.0.0.1:1\"", &[]);
    assert!(unknown.starts_with("onward.toml: https.lisen: unknown field `lisen`"), "{unknown}");
}

#[test]
fn the_environment_has_the_last_word() {
    let vars = [
        ("ONWARD__HTTPS__LISTEN", "127.0.0.1:9443"),
        ("ONWARD__HTTPS__BODY_BYTES_MAX", "1000"),
        ("ONWARD__SERVICE__0__NAME", "Fracture clinic"),
        ("ONWARD__SYSTEM__0__ORGANISATIONS", "[\"RH8\", \"RA4\"]"),
        ("ONWARD__ENVIRONMENT", "sandbox"),
        ("ONWARD_CONFIG", "ignored"),
    ];
    let config = read(FULL, &vars).unwrap();
    assert_eq!(config.https.listen.port(), 9443);
    assert_eq!(config.https.body_bytes_max, 1000);
    assert_eq!(config.service[0].name, "Fracture clinic");
    assert_eq!(Vec::from(config.system[0].organisations.clone()), ["RH8", "RA4"]);
    assert!(config.environment.is_sandbox());
}

#[test]
fn a_wrong_variable_is_named() {
    let address = complaint("", &[("ONWARD__HTTPS__LISTEN", "x")]);
    assert_eq!(address, "ONWARD__HTTPS__LISTEN: https.listen: invalid socket address syntax");
    let name = complaint("service = []", &[("ONWARD__SERVICE__0__NAME", "x")]);
    assert_eq!(name, "ONWARD__SERVICE__0__NAME: service[0].name: there is no such place in the configuration");
}

#[test]
fn paths_start_from_the_folder_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("onward.toml");
    fs::write(&file, FULL).unwrap();
    let config = Config::load_with(&file, []).unwrap();
    assert_eq!(config.store.path, dir.path().join("data/onward.db"));
    assert_eq!(config.https.client_ca, Some(dir.path().join("ca.pem")));
    assert_eq!(config.https.cert, dir.path().join("tls/server.pem"));
}

#[test]
fn a_missing_file_and_broken_toml_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("onward.toml");
    let missing = Config::load_with(&file, []).unwrap_err().to_string();
    assert!(missing.contains("onward.toml"), "{missing}");
    fs::write(&file, "[https]\nlisten = \n").unwrap();
    let broken = Config::load_with(&file, []).unwrap_err().to_string();
    assert!(broken.contains("onward.toml") && broken.contains("line 2"), "{broken}");
}

fn complete(dir: &Path) -> Config {
    fs::create_dir_all(dir.join("data")).unwrap();
    fs::create_dir_all(dir.join("tls")).unwrap();
    for name in ["ca.pem", "tls/server.pem", "tls/server-key.pem"] {
        fs::write(dir.join(name), "").unwrap();
    }
    let mut config = read(FULL, &[]).unwrap();
    config.resolve(dir);
    config
}

fn errors(config: &Config) -> Vec<String> {
    let findings = config.check();
    findings.into_iter().filter(|it| it.severity == Severity::Error).map(|it| it.setting).collect()
}

#[test]
fn who_speaks_on_a_channel_is_registered_and_shows_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = complete(dir.path());
    config.mllp[0].systems = vec![config.system[0].id.clone(), "nobody".into()];
    config.mllp[0].tls = None;
    config.mllp[0].channel = "dialect = \"esperanto\"".parse().unwrap();
    assert_eq!(errors(&config), ["mllp[0].systems", "mllp[0].channel", "mllp[0].systems"]);
}

#[test]
fn a_complete_configuration_has_no_errors() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(errors(&complete(dir.path())), [""; 0]);
}

#[test]
fn a_database_is_named_without_its_password_and_reached_in_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = complete(dir.path());
    config.environment = Environment::Production;
    let mut with = |url: &str, ca: Option<&str>| {
        config.store.url = Some(url.into());
        config.store.ca = ca.map(|name| dir.path().join(name));
        errors(&config).into_iter().filter(|it| it.starts_with("store.")).collect::<Vec<_>>()
    };
    assert_eq!(with("postgres://onward@db.example.nhs.uk/onward", Some("ca.pem")), [""; 0]);
    assert_eq!(with("postgres://onward@db.example.nhs.uk/onward", None), ["store.ca"]);
    assert_eq!(with("postgres://onward@db.example.nhs.uk/onward", Some("none.pem")), ["store.ca"]);
    assert_eq!(with("postgres://onward@/onward?host=/run/postgresql", None), [""; 0]);
    assert_eq!(with("postgres://onward@127.0.0.1/onward", None), [""; 0]);
    assert_eq!(with("postgres://onward:secret@localhost/onward", None), ["store.url"]);
    assert_eq!(with("onward.db", None), ["store.url"]);
    config.store.writers = 0;
    assert!(errors(&config).contains(&"store.writers".to_owned()));
    config.store.url = Some("postgres://onward:secret@db1,db2/onward?x=y".into());
    assert_eq!(config.store.place(), "PostgreSQL db1,db2/onward");
}

#[test]
fn every_mistake_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = complete(dir.path());
    config.https.client_auth = ClientAuth::Optional;
    config.https.key = dir.path().join("missing.pem");
    config.https.entries_max = 0;
    config.status.listen = config.https.listen;
    config.system.push(System { id: "gp".into(), ..System::default() });
    config.service[0].destination = Some("nowhere".into());
    config.destination[0].backoff_max_ms = 1;
    config.destination[0].channel.insert("version".into(), "9".into());
    config.log.level = "loud=very".into();
    assert_eq!(
        errors(&config),
        [
            "log.level",
            "https.key",
            "https.entries_max",
            "status.listen",
            "system[1]",
            "system[1].id",
            "service[0].destination",
            "destination[0].channel.version",
            "destination[0].backoff_max_ms",
            "https.client_auth",
        ]
    );
}

#[test]
fn the_policy_is_for_all_for_a_system_and_for_a_rule() {
    use crate::issue::{CODE_UNKNOWN, Issue, Issues, SLICE_MISSING};
    let text = r#"
[validation]
policy = "lenient"
[validation.rules]
"ONW-2025" = "off"
[[system]]
id = "gp"
validation = "strict"
"#;
    let config = read(text, &[]).unwrap();
    let policies = config.policies();
    let severity = |system: &str, code| {
        let found = policies.of(system).apply(Issues::from(Issue::new(code, "Patient")));
        found.iter().next().map(|issue| issue.severity)
    };
    assert_eq!(severity("other", &CODE_UNKNOWN), Some(Severity::Warning));
    assert_eq!(severity("gp", &CODE_UNKNOWN), Some(Severity::Error));
    assert_eq!(severity("gp", &SLICE_MISSING), None);
    assert_eq!(read(&config.show(), &[]).unwrap(), config);
}

#[test]
fn rules_and_packages_that_do_not_exist_are_told() {
    let text = r#"
[validation]
packages = ["no/such/folder"]
[validation.rules]
"ONW-2001" = "off"
"ONW-9999" = "off"
"ONW-2020" = "off"
"pat-1" = "off"
"http://hl7.org/fhir/StructureDefinition/Patient#pat-1" = "warning"
"#;
    let findings = read(text, &[]).unwrap().check();
    let told = |start: &str| findings.iter().filter(|it| it.setting.starts_with(start)).count();
    assert_eq!((told("validation.packages"), told("validation.rules")), (1, 3), "{findings:?}");
    assert!(complaint("[validation]\npolicy = \"loose\"", &[]).contains("validation.policy"));
}
