#!/usr/bin/env python3
"""Makes src/profile/shipped.rs: the packages under profiles/ as parts of the program.

    python3 scripts/shipped_files.py
"""

from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ["ukcore", "bars", "onward"]
HEAD = """\
//! The packages that are part of this program: the folders below `profiles/` that have a `package.json`. A list that
//! `scripts/shipped_files.py` makes; `tests/it/shipped.rs` holds it to the folders.

/// A package, with its files in the order of their names.
#[derive(Debug)]
pub struct Package {
    /// Its folder below `profiles/`.
    pub folder: &'static str,
    /// Names within the package, and contents; `package.json` is the first.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! package {
    ($folder:literal: $($file:literal)*) => {
        Package { folder: $folder, files: &[$(($file, include_str!(concat!("../../profiles/", $folder, "/", $file)))),*] }
    };
}

/// All of them; each builds only on those before it, and on R4.
#[rustfmt::skip]
pub static PACKAGES: &[Package] = &[
"""


def main():
    lines = []
    for package in PACKAGES:
        folder = ROOT / "profiles" / package
        names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.json"))
        lines.append(f'    package! {{ "{package}":')
        lines += [f'        "{name}"' for name in ["package.json", *names]]
        lines.append("    },")
    text = HEAD + "\n".join(lines) + "\n];\n"
    (ROOT / "src/profile/shipped.rs").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
