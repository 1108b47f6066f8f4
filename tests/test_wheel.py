"""The wheel, built and installed into an empty environment."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import swt_time

ROOT = Path(__file__).parent.parent
SOURCE = Path(swt_time.__file__).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


def alone():
    """Return the environment variables without PYTHONPATH, which leads to the source tree and to the offline hook."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def environment(folder):
    """Create an empty environment and return its Python."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def test_wheel_runs_in_an_empty_environment(wheel, tmp_path):
    """Dependencies come from the environment of the tests through a .pth file, so nothing is downloaded."""
    python = environment(tmp_path / "env")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    home = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (Path(home) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    command = tmp_path / "env" / "bin" / "swt-time"
    shown = subprocess.run(
        [command, "info"], capture_output=True, text=True, cwd=tmp_path, env=alone(), check=True
    ).stdout
    assert re.search(r"swt-time +" + re.escape(swt_time.__version__), shown)
    assert "installed package" in shown
    where = subprocess.run(
        [python, "-c", "import swt_time; print(swt_time.__file__)"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=alone(),
        check=True,
    ).stdout
    assert where.startswith(str(tmp_path / "env"))
    table = tmp_path / "table.csv"
    table.write_text("date,y\n" + "".join(f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00,{i % 24}\n" for i in range(400)))
    train = f"train --data {table} --out model --horizon 6 --context 48 --backbone none --max-steps 3"
    subprocess.run([command, *train.split()], cwd=tmp_path, env=alone(), check=True, capture_output=True)
    subprocess.run(
        [command, *f"forecast --model model --data {table} --out f.csv".split()],
        cwd=tmp_path,
        env=alone(),
        check=True,
        capture_output=True,
    )
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 7


@pytest.mark.slow
def test_wheel_installs_its_dependencies(wheel, tmp_path):
    """The dependencies are installed from the package index."""
    python = environment(tmp_path / "env")
    install = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(install, check=True, env=alone())  # the only test that needs the package index
    shown = subprocess.run(
        [tmp_path / "env" / "bin" / "swt-time", "info"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=alone(),
        check=True,
    ).stdout
    assert "torch" in shown


def test_wheel_holds_only_the_package(wheel):
    assert wheel.stat().st_size < 1_000_000
    names = zipfile.ZipFile(wheel).namelist()
    assert "swt_time/py.typed" in names
    assert all(name.startswith(("swt_time/", "swt_time-")) for name in names)
    assert {f"swt_time/{p.relative_to(SOURCE).as_posix()}" for p in SOURCE.rglob("*.py")} <= set(names)
    assert {f"swt_time/{p.relative_to(SOURCE).as_posix()}" for p in SOURCE.rglob("*.toml")} <= set(names)
    assert "swt_time/config/shipped/fast.toml" in names


def test_every_import_is_a_declared_dependency(wheel):
    metadata = next(n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("/METADATA"))
    requires = re.findall(r"^Requires-Dist: ([\w-]+)", zipfile.ZipFile(wheel).read(metadata).decode(), re.MULTILINE)
    declared = {name.lower().replace("-", "_") for name in requires}
    imported = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    newer = {"compression"}  # in the standard library from Python 3.14 on
    third_party = imported - set(sys.stdlib_module_names) - newer - {"swt_time"}
    assert "torch" in third_party
    renamed = {"pywt": "pywavelets", "backports": "backports_zstd", "mlflow": "mlflow_skinny"}
    assert {renamed.get(name, name) for name in third_party} <= declared
