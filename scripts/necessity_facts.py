#!/usr/bin/env python3
"""Makes profiles/bars/necessity.txt: what the payload tables of the BaRS guide say must or should be there.

    python3 scripts/necessity_facts.py NECESSITY_DIR profiles/bars/necessity.txt

A source file holds the tables of one page of the guide as rows: section, path, necessity, cardinality, example. Paths
are brought to what R4 calls the elements (profiles/r4/structure.txt); a path that R4 does not know is left out and
counted at the top. Of the examples only what cannot be otherwise is taken: profiles, systems and URLs of extensions.
"""

import json
import re
import sys
from pathlib import Path

PROFILES = Path(__file__).parent.parent / "profiles"
LETTERS = {"MUST": "M", "SHOULD": "S", "SHOULD NOT": "N"}
# Slips of the guide, where what is meant is beyond doubt.
REPAIRS = [
    (r"^Organisation\b", "Organization"),
    (r"^Schdeule\b", "Schedule"),
    (r"^Comminication\b", "Communication"),
    (r"\.Organisation\b", ".organization"),
    (r"\.LastUpdate$", ".lastUpdated"),
    (r"\.entry\(s\)$", ".entry"),
    (r"\.referrence$", ".reference"),
    (r"\.cancellationReason\b", ".cancelationReason"),
    (r"\.enabledWhen\b", ".enableWhen"),
    (r"\.Communication\.Language\.preferred$", ".communication.preferred"),
    (r"\.extension\.url\.?value", ".extension.value"),
    (r"\.id\.meta$", ".meta"),
    (r"\.id\.profile$", ".meta.profile"),
]
# MessageHeader.definition in the tables, where it is not one that is published.
DEFINITIONS = {
    "BARSMessageHeader-servicerequest-request": "bars-message-servicerequest-request-referral",
    "bars-message-servicerequest-request-response-short": "bars-message-servicerequest-response-referral-short",
}
# Systems of identifiers are no code systems; these are what the guide means.
IDENTIFIERS = r"https://fhir\.nhs\.uk/[Ii]d/[a-z-]+|http://snomed\.info/sct|http://unitsofmeasure\.org"
FORMAT = """\
# Made by scripts/necessity_facts.py from the payload tables of the Booking and Referral guide, IG 1.12.0; do not edit.
#
# = DEFINITION                 a MessageDefinition
# TYPE                         a resource type; where the tables know several of one type, what they agree on
#  PATH<TAB>LEVELS[<TAB>VALUE]     JSON properties from the resource on; VALUE is what one of them must be
# LEVELS: M must, S should, N should not, each followed by the Applications that say so; 0 stands for all of them
"""


class Types:
    """Which properties a type has in JSON, and of which type each is."""

    def __init__(self, table: str):
        self.parents: dict[str, str] = {}
        self.rows: dict[str, dict[str, str]] = {}
        name, open_types = "", []
        for line in table.splitlines():
            if line.startswith("* = "):
                open_types = line[4:].split("|")
            elif line.startswith(" "):
                element, _, types, *_ = line[1:].split(" ")
                self.rows[name] |= dict(self.properties(name, element, types, open_types))
            elif not line.startswith("#"):
                words = line.split(" ")
                name = words[0]
                self.rows[name] = {}
                self.parents[name] = words[2] if words[1] == "<" else ""

    def properties(self, owner, element, types, open_types):
        names = open_types if types == "*" else [re.sub(r"\(.*?\)", "", types)]
        names = [part for name in names for part in name.split("|")]
        for name in names:
            target = f"{owner}.{element}" if name == "+" else name.removeprefix("@")
            key = element.replace("[x]", name[0].upper() + name[1:]) if element.endswith("[x]") else element
            yield key, target

    def of(self, name: str) -> dict[str, str]:
        parent = self.parents.get(name)
        return (self.of(parent) if parent else {}) | self.rows.get(name, {})

    def resolve(self, name: str, path: str) -> str | None:
        """The path in JSON's own names; None where R4 has no such element."""
        if not path:
            return ""
        first, _, rest = path.partition(".")
        properties = {key.lower(): (key, target) for key, target in self.of(name).items()}
        if first.lower() in properties:
            key, target = properties[first.lower()]
            below = self.resolve(target, rest)
            return below if below is None else key + (below and "." + below)
        # The full stop is missing in some: basedOnreference.
        for key, target in sorted(properties.values(), reverse=True):
            if first.lower().startswith(key.lower()):
                joined = first[len(key) :] + (rest and "." + rest)
                below = self.resolve(target, joined)
                if below:
                    return f"{key}.{below}"
        return None


def main(source: str, target: str):
    types = Types((PROFILES / "r4/structure.txt").read_text(encoding="utf-8"))
    known = known_urls()
    found: dict[tuple, dict[str, dict[str, None]]] = {}
    unknown: dict[str, int] = {}
    counts = {"rows": 0, "taken": 0}
    for path in sorted(Path(source).glob("*.json")):
        for payload in json.loads(path.read_text(encoding="utf-8"))["payloads"]:
            take(path.name, payload["rows"], types, known, found, unknown, counts)
    Path(target).write_text(text(found, unknown, counts), encoding="utf-8")


def known_urls() -> dict[str, str]:
    """Canonical URLs of structures and code systems, by what they are in lower case."""
    paths = [path for path in PROFILES.glob("*/*/*.json") if path.parent.name in ("StructureDefinition", "CodeSystem")]
    found = [json.loads(path.read_text(encoding="utf-8"))["url"] for path in paths]
    base = "http://hl7.org/fhir/StructureDefinition/"
    for line in (PROFILES / "r4/terminology.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("S\t"):
            found.append(line.split("\t")[1])
    for table in ("structure.txt", "derived.txt"):
        for line in (PROFILES / "r4" / table).read_text(encoding="utf-8").splitlines():
            if not line.startswith((" ", "#", "*")):
                found.append(base + re.split(r"[ \t]", line)[0])
    return {url.lower(): url for url in found}


def take(file, rows, types, known, found, unknown, counts):
    application = match[1] if (match := re.match(r"app(\d)", file)) else "0"
    named = clean(next(row["example"] for row in rows if row["path"] == "MessageHeader.definition"))
    definition = named.rpartition("/")[2]
    definition = DEFINITIONS.get(definition, definition)
    counts["rows"] += len(rows)
    sections: dict[tuple[str, str], list] = {}
    for row in rows:
        level = LETTERS.get(row["necessity"].upper())
        kind, _, path = repaired(row["path"]).partition(".")
        if level is None or not path:
            continue
        resolved = types.resolve(kind, path) if kind in types.rows else None
        if resolved is None:
            unknown[row["path"]] = unknown.get(row["path"], 0) + 1
            continue
        said = (resolved, level, value_of(resolved, row["example"], known))
        sections.setdefault((row["section"], kind), []).append(said)
    for kind in {kind for _, kind in sections}:
        of_kind = [said for (_, other), said in sections.items() if other == kind]
        for path, level, value in agreed(of_kind):
            counts["taken"] += 1
            levels = found.setdefault((definition, kind, path, value), {})
            levels.setdefault(level, {})[application] = None


def agreed(sections) -> list[tuple]:
    """What all sections on one type say: nothing in a resource tells which of them it is of."""
    first, *others = sections
    plain = [{(path, level) for path, level, _ in other} for other in others]
    kept = [it for it in first if all(it[:2] in other for other in plain)]
    whole = [set(other) for other in others]
    kept = [it if all(it in other for other in whole) else (*it[:2], "") for it in kept]
    # With a value, the bare row says nothing more.
    valued = {it[:2] for it in kept if it[2]}
    return [it for it in kept if it[2] or it[:2] not in valued]


def kind_of_pair(pair) -> str:
    return pair[1]


def clean(text: str) -> str:
    return text.replace("\\", "").strip().strip("“”\"'")


def repaired(path: str) -> str:
    path = path.replace(" ", "")
    for pattern, meant in REPAIRS:
        path = re.sub(pattern, meant, path)
    return path


def value_of(path: str, example: str, known) -> str:
    """What an example cannot vary in: profiles, systems and URLs that there are."""
    text = clean(example)
    if path == "meta.profile" or path.rpartition(".")[2] in ("system", "url"):
        return known.get(text.lower(), text if re.fullmatch(IDENTIFIERS, text) else "")
    return ""


def text(found, unknown, counts) -> str:
    lines = [f"# {counts['rows']} rows; {counts['taken']} that must, should or should not are below, less repetitions."]
    lines.append("# Left out, because R4 has no such element:")
    lines += [f"#   {path} ({count})" for path, count in sorted(unknown.items())]
    definition, kind = None, None
    # Definitions and types in order of their names; paths in the order of the guide.
    order = sorted(enumerate(found.items()), key=lambda it: (*it[1][0][:2], it[0]))
    for _, ((own, head, path, value), levels) in order:
        if own != definition:
            definition, kind = own, None
            lines.append(f"= {own}")
        if head != kind:
            kind = head
            lines.append(head)
        said = "".join(level + "".join(sorted(levels[level])) for level in "MSN" if level in levels)
        lines.append(" " + "\t".join([path, said] + [value] * bool(value)))
    return FORMAT + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
