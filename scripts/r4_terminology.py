"""R4's code systems and value sets, as rows: part of r4_facts.py."""

FORMAT = """\
#
# S<TAB>URL<TAB>VERSION<TAB>CONTENT[<TAB>WORD…]       a code system; WORD: nocase where case does not matter
#   <TAB>…CODE<TAB>CODE…       concepts; a concept is below the last one of the line before that has one tab less
#   ~<TAB>CODE…                those of them that are abstract (not selectable)
#   ^<TAB>CODE<TAB>CODE…       further parents of the first
# V<TAB>URL<TAB>VERSION       a value set: all that is included less what is excluded
#   I|X<TAB>SYSTEM[<TAB>VERSION]          include, exclude; SYSTEM is - for value sets alone
#   <TAB>CODE<TAB>CODE…        only these codes
#   F<TAB>PROPERTY<TAB>OP<TAB>VALUE       only what this filter lets through
#   R<TAB>CANONICAL            only what is in this value set too
"""
WIDTH = 120


def text(systems, sets) -> str:
    lines = []
    for system in sorted(systems, key=lambda it: it["url"]):
        lines += system_rows(system)
    for value_set in sorted(sets, key=lambda it: it["url"]):
        lines += set_rows(value_set)
    return FORMAT + "\n".join(lines) + "\n"


def system_rows(system):
    # R4 5.7: no caseSensitive means that nothing is said; codes are compared as they stand then.
    words = ["nocase"] if system.get("caseSensitive") is False else []
    yield "\t".join(["S", system["url"], system.get("version", ""), system["content"], *words])
    concepts = system.get("concept", [])
    yield from code_rows(concepts, 1)
    everything = list(walk(concepts))
    abstract = [concept["code"] for concept in everything if is_abstract(concept)]
    if abstract:
        yield "\t".join(["~", *abstract])
    yield from parent_rows(everything)


def walk(concepts):
    for concept in concepts:
        yield concept
        yield from walk(concept.get("concept", []))


def is_abstract(concept) -> bool:
    properties = concept.get("property", [])
    return any(it["code"] in ("notSelectable", "abstract") and it.get("valueBoolean") for it in properties)


def parent_rows(concepts):
    """Parents beyond the one that a concept stands in: the property child says so."""
    codes = {concept["code"] for concept in concepts}
    above: dict[str, list[str]] = {}
    for concept in concepts:
        nested = {it["code"] for it in concept.get("concept", [])}
        for it in concept.get("property", []):
            if it["code"] == "child" and it["valueCode"] in codes - nested:
                above.setdefault(it["valueCode"], []).append(concept["code"])
    for code, parents in above.items():
        yield "\t".join(["^", code, *parents])


def code_rows(concepts, depth):
    """Siblings share a line until one of them has children, or the line is long."""
    line = []
    for concept in concepts:
        line.append(code(concept))
        if "concept" in concept or sum(map(len, line)) > WIDTH:
            yield "\t" * depth + "\t".join(line)
            line = []
        yield from code_rows(concept.get("concept", []), depth + 1)
    if line:
        yield "\t" * depth + "\t".join(line)


def code(concept) -> str:
    text = concept["code"]
    assert text and not any(it in text for it in "\t\r\n"), text
    return text


def set_rows(value_set):
    yield "\t".join(["V", value_set["url"], value_set.get("version", "")])
    compose = value_set["compose"]
    for letter, parts in (("I", compose["include"]), ("X", compose.get("exclude", []))):
        for part in parts:
            yield "\t".join([letter, part.get("system", "-"), *([part["version"]] if "version" in part else [])])
            yield from code_rows(part.get("concept", []), 1)
            for it in part.get("filter", []):
                yield "\t".join(["F", it["property"], it["op"], it["value"]])
            for canonical in part.get("valueSet", []):
                yield "R\t" + canonical
