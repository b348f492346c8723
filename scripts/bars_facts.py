#!/usr/bin/env python3
"""Makes profiles/bars and profiles/ukcore: published definitions, pruned to what validation uses.

    python3 scripts/bars_facts.py BARS_DIR profiles/bars
    python3 scripts/bars_facts.py UKCORE_DIR profiles/ukcore profiles/bars

A source folder has one folder per resource type with a JSON file per resource: NHSDigital-FHIR-BookingAndReferrals
at IG 1.12.0 (its XML turned to JSON), the package fhir.r4.ukcore.stu1 0.5.1. With a third folder only that is
taken which the definitions there build on or point to, with its value sets and code systems.

Kept: canonical URLs, versions, paths, cardinalities, types and targets, fixed values and patterns, slicing, invariants,
bindings, codes. Not kept: snapshots, prose, narrative, mappings, displays, expansions.
"""

import json
import sys
from pathlib import Path

CORE = "http://hl7.org/fhir/"
APACHE = "Apache License, Version 2.0"
STATEMENT = "Copyright 2021+ HL7 UK. Licensed under the Apache License, Version 2.0; pruned to facts, see profiles/NOTICE.md"
KEPT_EXTENSIONS = ("elementdefinition-maxValueSet", "structuredefinition-fhir-type")
HEAD = ("resourceType", "id", "url", "version", "name", "title", "status", "date", "copyright")
KINDS = {
    "StructureDefinition": (
        ["fhirVersion", "kind", "abstract", "context", "contextInvariant", "type", "baseDefinition", "derivation"],
        "differential",
    ),
    "MessageDefinition": (["useContext", "eventCoding"], "focus"),
    "CodeSystem": (["caseSensitive", "hierarchyMeaning", "compositional", "content"], "concept"),
    "ValueSet": ([], "compose"),
}
PROSE = {
    "short", "definition", "comment", "requirements", "alias", "mapping", "isSummary", "example", "condition",
    "meaningWhenMissing", "isModifierReason", "orderMeaning", "representation", "description", "label", "code",
}  # fmt: skip


def main(source: str, target: str, needed_by: str | None = None):
    found = [resource for kind in KINDS for resource in read(Path(source), kind)]
    if needed_by:
        found = needed(found, [resource for kind in KINDS for resource in read(Path(needed_by), kind)])
    for resource in found:
        kept = prune(resource)
        folder = Path(target, kept["resourceType"])
        folder.mkdir(parents=True, exist_ok=True)
        name = kept["url"].rpartition("/")[2]
        (folder / f"{name}.json").write_text(text(kept), encoding="utf-8")


def read(folder: Path, kind: str) -> list[dict]:
    found = [json.loads(path.read_text(encoding="utf-8-sig")) for path in sorted((folder / kind).glob("*.json"))]
    return [resource for resource in found if resource["resourceType"] == kind]


def needed(found, roots) -> list[dict]:
    """Those that the roots name, and those that these name, and so on."""
    by_url = {resource["url"]: resource for resource in found}
    own = {resource["url"] for resource in roots}
    open_urls = set().union(*(references(resource) for resource in roots))
    chosen = {}
    while open_urls:
        url = open_urls.pop()
        if url in by_url and url not in chosen and url not in own:
            chosen[url] = by_url[url]
            open_urls |= references(by_url[url])
    return [resource for url, resource in sorted(chosen.items())]


def references(resource) -> set[str]:
    found = [resource.get("baseDefinition", "")]
    for element in resource.get("differential", {}).get("element", []):
        for kind in element.get("type", []):
            found += kind.get("profile", []) + kind.get("targetProfile", [])
        found.append(element.get("binding", {}).get("valueSet", ""))
        found += [it["valueCanonical"] for it in kept_extensions(element.get("binding", {})) if "valueCanonical" in it]
    found += [focus.get("profile", "") for focus in resource.get("focus", [])]
    for part in parts(resource):
        found += [part.get("system", ""), *part.get("valueSet", [])]
    return {url.split("|")[0] for url in found}


def parts(value_set) -> list[dict]:
    compose = value_set.get("compose", {})
    return compose.get("include", []) + compose.get("exclude", [])


def prune(resource) -> dict:
    keys, content = KINDS[resource["resourceType"]]
    kept = {key: resource[key] for key in HEAD if key in resource}
    kept.pop("copyright", None)
    if resource["resourceType"] != "MessageDefinition":
        kept.pop("date", None)
        kept.pop("title", None)
    if APACHE in resource.get("copyright", ""):
        kept["copyright"] = STATEMENT
    kept |= {key: undisplayed(resource[key]) for key in keys if key in resource}
    if content == "differential":
        elements = [element(it) for it in resource["differential"]["element"]]
        kept["differential"] = {"element": list(telling(elements))}
    elif content == "compose":
        kept["compose"] = undisplayed({key: it for key, it in resource["compose"].items() if key != "lockedDate"})
    elif content == "concept":
        kept["concept"] = [concept(it) for it in resource.get("concept", [])]
    else:
        kept[content] = undisplayed(resource[content])
    return kept


def undisplayed(value):
    """Without displays and definitions of codes, at any depth."""
    if isinstance(value, list):
        return [undisplayed(it) for it in value]
    if isinstance(value, dict):
        return {key: undisplayed(it) for key, it in value.items() if key not in ("display", "designation", "extension")}
    return value


def concept(of) -> dict:
    kept = {"code": of["code"]}
    properties = [it for it in of.get("property", []) if it["code"] in ("parent", "child", "notSelectable", "inactive")]
    if properties:
        kept["property"] = properties
    if "concept" in of:
        kept["concept"] = [concept(it) for it in of["concept"]]
    return kept


def kept_extensions(of) -> list[dict]:
    return [it for it in of.get("extension", []) if it["url"].endswith(KEPT_EXTENSIONS)]


def bare(of: dict, keys) -> dict:
    """Only these properties, and those extensions that say something to a validator."""
    kept = {key: of[key] for key in keys if key in of}
    if kept_extensions(of):
        kept["extension"] = kept_extensions(of)
    return kept


def element(of) -> dict:
    kept = {key: value for key, value in of.items() if key not in PROSE and not key.startswith("_")}
    kept.pop("extension", None)
    if "slicing" in kept:
        kept["slicing"] = bare(of["slicing"], ["discriminator", "ordered", "rules"])
    if "type" in kept:
        kept["type"] = [bare(it, ["code", "profile", "targetProfile", "aggregation", "versioning"]) for it in of["type"]]
    if "binding" in kept:
        kept["binding"] = bare(of["binding"], ["strength", "valueSet"])
    if "constraint" in kept:
        # R4 asks for a text; the key is one of ours.
        keys = ["key", "severity", "human", "expression", "source"]
        kept["constraint"] = [bare(it | {"human": it["key"]}, keys) for it in of["constraint"]]
    return kept


def telling(elements):
    """Elements that say more than that they are there, and those that are only there for such ones below them."""
    spoken = [it["id"] for it in elements if set(it) > {"id", "path"}]
    for it in elements:
        if it["id"] in spoken or any(other.startswith((it["id"] + ".", it["id"] + ":")) for other in spoken):
            yield it


def text(resource) -> str:
    """JSON with one property a line, and one element, concept or focus a line."""
    lines = []
    for key, value in resource.items():
        content, closing = value, ""
        opening = f'  "{key}": '
        if key == "differential":
            opening, content, closing = opening + '{"element": ', value["element"], "}"
        if isinstance(content, list) and content:
            items = ",\n".join("    " + json.dumps(it, ensure_ascii=False) for it in content)
            lines.append(f"{opening}[\n{items}\n  ]{closing}")
        else:
            lines.append(opening + json.dumps(content, ensure_ascii=False) + closing)
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
