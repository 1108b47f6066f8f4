"""The choices of each option are defined in one place."""

import ast
from pathlib import Path

import swt_time

SOURCE = Path(swt_time.__file__).parent
HOMES = {"config/choices.py", "wavelets/boundaries.py"}


def vocabularies(source: str) -> list[frozenset[str]]:
    """The choices of each ``Literal`` with at least two strings."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            values = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            if len(values) > 1:
                found.append(frozenset(values))
    return found


def restated(files: dict[str, str]) -> set[str]:
    """Files outside `HOMES` that repeat the choices of an option, as a Literal, tuple, list or set."""
    homes = {choices for path in HOMES for choices in vocabularies(files[path])}
    places = set()
    for path, source in files.items():
        if path in HOMES:
            continue
        tuples = [
            frozenset(one.value for one in node.elts if isinstance(one, ast.Constant))
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 2
        ]
        places |= {path for choices in [*vocabularies(source), *tuples] if choices in homes}
    return places


def sources() -> dict[str, str]:
    return {path.relative_to(SOURCE).as_posix(): path.read_text() for path in SOURCE.rglob("*.py")}


def test_no_choices_are_defined_twice():
    assert restated(sources()) == set()


def test_a_planted_copy_is_caught():
    files = sources() | {"model/copy.py": 'KINDS = ("none", "attention", "transformer")'}
    assert restated(files) == {"model/copy.py"}
    files = sources() | {"model/copy.py": 'def f(kind: Literal["mse", "mae", "huber", "quantile"]): ...'}
    assert restated(files) == {"model/copy.py"}
