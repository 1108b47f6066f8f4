"""Find the regular expressions of the source, and texts on which a regular expression could backtrack.

A pattern with two repetitions that can match the same characters takes time that grows with the square of a text's
length, or faster, where the text does not match in the end. The texts are built from the pattern itself: what each of
its repetitions repeats, many times, after a beginning and before an end that keep it from matching.
"""

import ast
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

METHODS = ("match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer")
SIZES = (16, 20, 24, 28, 34, 42, 60, 100, 200, 600, 2000, 16000)
"""Lengths of the texts; the steps are small at first, so that exponential growth is noticed before it takes hours."""

MOST_SECONDS = 0.05
"""Most time for any of these lengths. For the longest a linear pattern takes up to 10 ms, a quadratic one a second."""

SLOWEST = 40
"""Number of texts that are tried at the next length."""

ENDS = ("", "!", "\n", " ", "x", "0")


@dataclass(frozen=True)
class Use:
    """A regular expression in the source and the method of `re` that uses it."""

    where: str
    pattern: Any
    flags: int
    method: str


@dataclass(frozen=True)
class Dynamic:
    """A regular expression that the source computes."""

    where: str
    text: str


def find_patterns(folder: Path) -> tuple[list[Use], list[Dynamic]]:
    """Regular expressions of all modules in a folder: literal ones, and those that are computed."""
    modules = {
        path: list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in sorted(folder.rglob("*.py"))
    }
    uses, dynamic = [], []
    for path, nodes in modules.items():
        names = {
            id(node.value): node.targets[0].id
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            function = call.func
            if not (isinstance(function, ast.Attribute) and getattr(function.value, "id", None) == "re"):
                continue
            if function.attr not in ("compile", *METHODS):
                continue
            where = f"{path.relative_to(folder)}:{call.lineno}:{call.col_offset}"
            if not isinstance(call.args[0], ast.Constant):
                dynamic.append(Dynamic(str(path.relative_to(folder)), ast.unparse(call.args[0])))
                continue
            methods = {function.attr}
            if function.attr == "compile":
                methods = _methods_of(names.get(id(call), ""), path.stem, modules)
                assert methods, f"{where}: no use of this pattern was found"
            uses += [Use(where, call.args[0].value, _flags(call), method) for method in sorted(methods)]
    return uses, dynamic


def _methods_of(name: str, module: str, modules: dict[Path, list[ast.AST]]) -> set[str]:
    """The methods that are called on a compiled pattern, in its module and where it is imported."""
    found: set[str] = set()
    for path, nodes in modules.items():
        sources = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        imported = any(
            node.module.endswith(f".{module}") and name in {alias.name for alias in node.names} for node in sources
        )
        if path.stem == module or imported:
            attributes = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr in METHODS]
            found |= {node.attr for node in attributes if getattr(node.value, "id", None) == name}
    return found


def _flags(call: ast.Call) -> int:
    words = [node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute) and node.attr.isupper()]
    return sum(getattr(re, word) for word in words)


def slow_text(use: Use) -> str | None:
    """Describe a text on which a regular expression takes superlinear time; None if there is none."""
    compiled = re.compile(use.pattern, use.flags)
    method = getattr(compiled, use.method)
    first = ("",) if use.method in ("sub", "subn") else ()

    def seconds(start: str, unit: str, end: str, size: int) -> float:
        text: Any = start + unit * (size // len(unit)) + end
        arguments = (*first, text.encode("latin-1", "replace") if isinstance(use.pattern, bytes) else text)
        times = []
        for _ in range(3):
            begun = time.process_time()
            method(*arguments)
            times.append(time.process_time() - begun)
            if min(times) < MOST_SECONDS / 10:
                break
        return min(times)

    remaining = _texts(use.pattern, use.flags)
    taken: dict[tuple[str, str, str], float] = {}
    for size in SIZES:
        for text in remaining:
            taken[text] = seconds(*text, size)
            if taken[text] > MOST_SECONDS:
                start, unit, end = text
                return f"{start!r} + {size // len(unit)} * {unit!r} + {end!r} takes {1000 * taken[text]:.0f} ms"
        if size >= 200:  # the slowest of one length are tried at the next one
            remaining = sorted(remaining, key=taken.__getitem__)[-SLOWEST:]
    return None


def _texts(pattern: Any, flags: int) -> list[tuple[str, str, str]]:
    """Beginnings, units to repeat, and ends."""
    tree = re._parser.parse(pattern, flags)  # type: ignore[attr-defined]
    starts, units = {""}, set()
    _walk(tree, "", starts, units)
    characters = sorted({character for text in (*starts, *units) for character in text})
    units |= set(characters)
    ends = (*ENDS, *(character for character in characters if character not in ENDS))[:7]
    return [(start, unit, end) for start in sorted(starts) for unit in sorted(units) for end in ends]


def _walk(tree: Any, before: str, starts: set[str], units: set[str]) -> list[str]:
    """Collect the beginnings of a pattern up to each repetition, and what is repeated; return texts that match it."""
    texts = [before]
    for node in tree:
        kind, value = str(node[0]), node[1]
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, body = value
            samples = [text.removeprefix(texts[0]) for text in _walk(body, texts[0], starts, units)]
            if high > 8:
                starts.update(texts[:3])
                units.update(sample for sample in samples if sample)
            counts = sorted({max(low, 1), min(max(low, 2), high)})
            texts = [text + sample * count for text in texts[:2] for sample in samples[:3] for count in counts]
        elif kind == "SUBPATTERN":
            before_group, texts = texts[0], _walk(value[-1], texts[0], starts, units)
            units.update(text.removeprefix(before_group) for text in texts[:4] if text != before_group)
        elif kind == "ATOMIC_GROUP":
            texts = _walk(value, texts[0], starts, units)
        elif kind == "BRANCH":
            texts = [text for one in value[1] for text in _walk(one, texts[0], starts, units)[:2]]
        elif kind in ("ASSERT", "ASSERT_NOT", "AT", "GROUPREF"):
            continue
        else:
            texts = [text + character for text in texts[:3] for character in _characters(kind, value)]
    return texts[:8]


CATEGORIES = {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": "a0_", "CATEGORY_SPACE": " \t"}


def _characters(kind: str, value: Any) -> str:
    """Characters of a set, one of each part."""
    if kind == "LITERAL":
        return chr(value)
    if kind == "NOT_LITERAL":
        return "a0" if chr(value) not in "a0" else "b!"
    if kind == "ANY":
        return "a0 ."
    assert kind == "IN", kind
    found, negated = "", False
    for part, content in value:
        if str(part) == "NEGATE":
            negated = True
        elif str(part) == "LITERAL":
            found += chr(content)
        elif str(part) == "RANGE":
            found += chr(content[0])
        else:
            found += CATEGORIES.get(str(content), "!a")
    return "".join(c for c in "a0 .-:/" if c not in found) if negated else found
