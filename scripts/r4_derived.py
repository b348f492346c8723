"""The extensions and profiles that R4 itself publishes, as rows: part of r4_facts.py."""

import json

STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
VALUE_SET = "http://hl7.org/fhir/ValueSet/"
MAX_VALUE_SET = STRUCTURE + "elementdefinition-maxValueSet"
FORMAT = """\
#
# ID<TAB>NAME<TAB>TYPE<TAB>BASE[<TAB>@ELEMENT…][<TAB>?EXPRESSION…][<TAB>abstract][<TAB>unversioned]   contexts, context invariants
#  ID OF ELEMENT[<TAB>FACT…]              the differential; the root's id is -, other ids stand without the type
# FACT: min=N max=N type=TYPES r|e|p|x=VALUE_SET maxSet=VALUE_SET modifier must ref=#ID
#   fixedTYPE=JSON patternTYPE=JSON inv=KEY SEVERITY EXPRESSION profile:TYPE=PROFILE
#   slice=RULES[ ordered][ KIND:PATH…]
# Names stand for http://hl7.org/fhir/StructureDefinition/… and …/ValueSet/… as in structure.txt
"""
LETTER = {"required": "r", "extensible": "e", "preferred": "p", "example": "x"}
RULES = {"closed", "open", "openAtEnd"}


def text(definitions) -> str:
    lines = []
    for definition in sorted(definitions, key=lambda it: it["id"]):
        if definition.get("derivation") == "constraint":
            lines += block(definition)
    return FORMAT + "\n".join(lines) + "\n"


def block(definition) -> list[str]:
    base = definition["baseDefinition"].removeprefix(STRUCTURE)
    head = [definition["url"].removeprefix(STRUCTURE), definition["name"], definition["type"], base]
    for context in definition.get("context", []):
        assert context["type"] == "element"
        head.append("@" + context["expression"])
    head += ["?" + invariant for invariant in definition.get("contextInvariant", [])]
    head += ["abstract"] * definition["abstract"]
    assert definition.get("version") in ("4.0.1", None)
    if "version" not in definition:
        head.append("unversioned")
    rows = [row(definition["type"], element) for element in definition["differential"]["element"]]
    return ["\t".join(head)] + [" " + "\t".join(cells) for cells in needed(rows)]


def needed(rows):
    """Rows without facts only if others stand below them, or if they are the root."""
    for at, cells in enumerate(rows):
        below = any(later[0].startswith((cells[0] + ".", cells[0] + ":")) for later in rows[at + 1 :])
        if len(cells) > 1 or below or cells[0] == "-":
            yield cells


def row(type_name: str, element) -> list[str]:
    name, path = element["id"], element["path"]
    assert name == type_name or name.startswith(type_name + "."), name
    plain = ".".join(part.split(":")[0] for part in name.split("."))
    assert plain == path, (name, path)
    last = name.rpartition(".")[2].partition(":")[2]
    assert element.get("sliceName", "") == last or "/" in last, (name, element.get("sliceName"))
    return ["-" if name == type_name else name.removeprefix(type_name + ".")] + list(facts(element))


def facts(element):
    for key in ("min", "max"):
        if key in element:
            yield f"{key}={element[key]}"
    yield from slicing(element)
    yield from types(element)
    yield from binding(element)
    for key, value in element.items():
        if key.startswith(("fixed", "pattern")):
            yield f"{key}={json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        assert not key.startswith(("minValue", "maxValue", "maxLength", "sliceIs")), key
    for constraint in element.get("constraint", []):
        yield f"inv={constraint['key']} {constraint['severity'][0]} {constraint['expression']}"
    if "contentReference" in element:
        yield "ref=" + element["contentReference"]
    if element.get("isModifier"):
        yield "modifier"
    if element.get("mustSupport"):
        yield "must"


def slicing(element):
    if "slicing" in element:
        cut = element["slicing"]
        assert cut["rules"] in RULES
        parts = [cut["rules"]] + ["ordered"] * cut.get("ordered", False)
        yield "slice=" + " ".join(parts + [f"{it['type']}:{it['path']}" for it in cut.get("discriminator", [])])


def types(element):
    """TYPES as in structure.txt, and their profiles."""
    names = []
    for kind in element.get("type", []):
        assert set(kind) <= {"code", "profile", "_profile", "targetProfile"}, kind
        targets = "|".join(target.removeprefix(STRUCTURE) for target in kind.get("targetProfile", []))
        names.append(f"{kind['code']}({targets})" if targets else kind["code"])
    if names:
        yield "type=" + "|".join(names)
    for kind in element.get("type", []):
        for profile in kind.get("profile", []):
            yield f"profile:{kind['code']}={profile.removeprefix(STRUCTURE)}"


def binding(element):
    if "binding" in element:
        bound = element["binding"]
        yield f"{LETTER[bound['strength']]}={bound.get('valueSet', '-').removeprefix(VALUE_SET)}"
        for extension in bound.get("extension", []):
            if extension["url"] == MAX_VALUE_SET:
                yield "maxSet=" + extension["valueCanonical"].removeprefix(VALUE_SET)
