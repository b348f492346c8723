//! Versions in their order: numbers by value, a pre-release before its release (semver 2.0, loosely).

use std::cmp::Ordering;

/// Which is newer? No version at all is the oldest.
pub(super) fn compare(left: Option<&str>, right: Option<&str>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => by_parts(left, right),
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}

fn by_parts(left: &str, right: &str) -> Ordering {
    let (left, left_pre) = split(left);
    let (right, right_pre) = split(right);
    parts(left, right).then_with(|| match (left_pre, right_pre) {
        (Some(left), Some(right)) => parts(left, right),
        (left, right) => right.is_some().cmp(&left.is_some()),
    })
}

/// The release and the pre-release; what follows a `+` has no say. A date is not a pre-release of its year.
fn split(version: &str) -> (&str, Option<&str>) {
    let version = version.split('+').next().unwrap_or_default();
    match version.split_once('-') {
        Some((release, pre)) if release.contains('.') => (release, Some(pre)),
        _ => (version, None),
    }
}

fn parts(left: &str, right: &str) -> Ordering {
    let separators = ['.', '-'];
    let (mut left, mut right) = (left.split(separators), right.split(separators));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(left), Some(right)) => part(left, right),
            // 1.0 is 1.0.0.
            (Some(more), None) => part(more, "0"),
            (None, Some(more)) => part("0", more),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn part(left: &str, right: &str) -> Ordering {
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => left.cmp(right),
    }
}

/// Is it what a dependency asks for? `1.2.x` asks for any 1.2, `latest` and `current` for any at all.
pub(super) fn fits(asked: &str, version: Option<&str>) -> bool {
    let Some(version) = version else { return false };
    match asked.strip_suffix(".x").or(asked.strip_suffix(".*")) {
        Some(stem) => version == stem || version.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.')),
        None => matches!(asked, "latest" | "current" | "dev" | "*") || asked == version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_is_greater() {
        for (older, newer) in [
            ("1.9.0", "1.10.0"),
            ("1.0.0-alpha", "1.0.0"),
            ("1.0.0-alpha.2", "1.0.0-alpha.10"),
            ("1.0.0-alpha.1", "1.0.0-alpha.beta"),
            ("2018-08-12", "2019-01-01"),
            ("2.0", "2.0.1"),
        ] {
            assert_eq!(compare(Some(older), Some(newer)), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(Some(newer), Some(older)), Ordering::Greater, "{newer} {older}");
        }
        assert_eq!(compare(None, Some("0.0.1-a")), Ordering::Less);
        assert_eq!(compare(Some("1.0"), Some("1.0.0+build")), Ordering::Equal);
    }

    #[test]
    fn dependencies_may_leave_the_last_number_open() {
        assert!(fits("0.5.x", Some("0.5.1")) && fits("4.0.1", Some("4.0.1")) && fits("latest", Some("9")));
        assert!(!fits("0.5.x", Some("0.51.0")) && !fits("4.0.1", Some("4.0.2")) && !fits("1", None));
    }
}
