"""Data flows one way: a module imports only modules that stand before it in ``ORDER``."""

import ast
import subprocess
import sys
from pathlib import Path

import swt_time

SOURCE = Path(swt_time.__file__).parent

ORDER = [
    "errors",
    "lazily",
    "files",
    "folders",
    "provenance",
    "machine",
    "processes",
    "remembered",
    "state_dicts",
    "workers",
    "wavelets",
    "config",
    "data",
    "panel",
    "intervals",
    "language",
    "model",
    "training",
    "selection",
    "effects",
    "checkpoints",
    "callbacks",
    "evaluation",
    "hub",
    "forecaster",
    "tuning",
    "pictures",
    "scaling",
    "exporting",
    "report",
    "serve",
    "cli",
    "layers",
    "compat",
]
"""Every module and room of swt_time, from the foundation to what a person sees, then other import paths."""

ANYWHERE = {"__version__"}
ONLY_IN = {"transformers": {"language"}, "narwhals": {"data"}, "matplotlib": {"pictures"}, "onnx": {"exporting"}}
ONLY_IN |= {"huggingface_hub": {"language", "hub"}, "optuna": {"tuning"}}
ONLY_IN |= {"mlflow": {"callbacks"}, "tensorboard": {"callbacks"}}
ONLY_IN |= {"fev": {"compat"}, "sktime": {"compat"}}
ONLY_IN |= {"starlette": {"serve"}, "uvicorn": {"serve", "cli"}, "fastapi": {"serve", "cli"}}
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


LONGEST = 400
"""Most lines of a source file: a longer one holds more than one concept."""


def test_no_file_is_too_long():
    lengths = {f.relative_to(SOURCE).as_posix(): len(f.read_text().splitlines()) for f in SOURCE.rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def module_imports(name: str, source: str, modules: set[str]) -> set[str]:
    """Modules of swt_time that a module imports while it is loaded: at its top level, not for type checking alone."""
    found = set()
    statements = list(ast.parse(source).body)
    while statements:
        node = statements.pop()
        if isinstance(node, ast.If):
            checking = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            statements += [] if checking else node.body + node.orelse
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("swt_time"):
            whole = {f"{node.module}.{alias.name}" for alias in node.names} & modules
            found |= whole or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in modules}
    return found - {name}


def circles(imports: dict[str, set[str]]) -> set[str]:
    """Modules in an import cycle, or that import one: what is left when modules without imports are removed."""
    left = {name: set(names) for name, names in imports.items()}
    while free := {name for name, names in left.items() if not names & left.keys()}:
        left = {name: names for name, names in left.items() if name not in free}
    return set(left)


def test_no_import_cycle():
    files = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    imports = {name: module_imports(name, source, set(files)) for name, source in files.items()}
    assert sum(map(len, imports.values())) > 100
    assert circles(imports) == set()


def test_a_planted_cycle_is_caught():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}


def modules_after(statement: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after one statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_of_the_package_is_light():
    loaded = modules_after("import swt_time")
    assert loaded.isdisjoint({"transformers", "pandas", "torch", "matplotlib", "fastapi", "uvicorn", "swt_time.serve"})


def test_commands_load_no_package_of_the_service_and_of_trackers():
    loaded = modules_after("from swt_time import cli\ncli.run(['forecast', '--help'])\nimport swt_time.forecaster")
    assert "pandas" in loaded
    assert loaded.isdisjoint({"fastapi", "starlette", "uvicorn", "h11", "swt_time.serve"})
    assert loaded.isdisjoint({"optuna", "swt_time.tuning"})
    assert loaded.isdisjoint({"mlflow", "tensorboard", "torch.utils.tensorboard"})


def test_the_panel_needs_numpy_alone():
    loaded = modules_after("import swt_time.panel")
    assert loaded.isdisjoint({"transformers", "pandas", "torch", "narwhals", "pydantic", "scipy"})


def test_wavelets_need_neither_tables_nor_language_models():
    loaded = modules_after("import swt_time.wavelets")
    assert loaded.isdisjoint({"transformers", "pandas", "pydantic", "narwhals"})
