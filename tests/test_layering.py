"""Data flows one way: a module imports only modules that stand before it in ``ORDER``."""

import ast
import subprocess
import sys
from pathlib import Path

import swt_time

SOURCE = Path(swt_time.__file__).parent

ORDER = [
    "errors",
    "files",
    "provenance",
    "machine",
    "remembered",
    "wavelets",
    "config",
    "data",
    "language",
    "model",
    "training",
    "checkpoints",
    "evaluation",
    "forecaster",
    "cli",
    "layers",
    "compat",
]
"""Every module and room of swt_time, from the foundation to what a person sees, then two former import paths."""

ANYWHERE = {"__version__"}
ONLY_IN = {"transformers": {"language"}, "narwhals": {"data"}, "matplotlib": {"cli"}}
"""Third-party packages that exactly these modules may import."""


def imported_names(source: str) -> list[str]:
    """Dotted names of everything that a module imports, in functions too; relative imports are refused."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that the layering can be read"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def violations(path: str, source: str) -> list[str]:
    """Imports in the file at ``path`` (relative to the package) that go against the order."""
    room = path.split("/")[0].removesuffix(".py")
    if room == "__init__" or room == "__main__":
        return []
    found = [] if room in ORDER else [f"{path} is not in ORDER"]
    for name in imported_names(source):
        top, *rest = name.split(".")
        if top in ONLY_IN and room not in ONLY_IN[top]:
            found.append(f"{path} imports {top}, which only {sorted(ONLY_IN[top])} may")
        if top == "swt_time" and rest and rest[0] not in ANYWHERE and rest[0] != room:
            allowed = [] if room == "wavelets" or room not in ORDER else ORDER[: ORDER.index(room)]
            if rest[0] not in allowed:
                found.append(f"{path} imports {name}")
    return found


def test_every_import_points_to_an_earlier_room():
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 5
    found = [v for f in files for v in violations(f.relative_to(SOURCE).as_posix(), f.read_text())]
    assert found == []


def test_planted_violations_are_caught():
    assert violations("wavelets/filters.py", "from swt_time.errors import InputError")
    assert violations("data/series.py", "def f():\n    import swt_time.model")
    assert violations("language/loading.py", "from swt_time.model import SWTTime")
    assert violations("model/network.py", "import transformers")
    assert violations("new_room.py", "import torch")
    assert not violations("model/network.py", "from swt_time.language import LanguageModel\nimport torch")


def modules_after(statement: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after one statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_of_the_package_is_light():
    loaded = modules_after("import swt_time")
    assert loaded.isdisjoint({"transformers", "pandas", "torch", "matplotlib"})


def test_wavelets_need_neither_tables_nor_language_models():
    loaded = modules_after("import swt_time.wavelets")
    assert loaded.isdisjoint({"transformers", "pandas", "pydantic", "narwhals"})
