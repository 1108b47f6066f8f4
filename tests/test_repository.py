"""Files around the code agree with it: version, supported Pythons, commands of the workflows, links."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import swt_time

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])


def test_the_version_stands_in_one_place_and_the_citation_repeats_it():
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/swt_time/__init__.py"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == swt_time.__version__


def test_the_workflow_runs_every_supported_python():
    listed = {one.rpartition(" ")[2] for one in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", one)}
    tests = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert set(tests["jobs"]["pinned"]["strategy"]["matrix"]["python"]) == listed
    assert min(listed) == PROJECT["project"]["requires-python"].removeprefix(">=")


def test_the_extra_all_holds_what_ci_installs():
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(re.search(r"\[(.*)\]", everything)[1].split(","))
    assert named == set(extras) - {"all", "bench", "fev", "remote", "sktime", "spark"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_restricted_and_run_commands_that_exist(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all("uses" in step or "run" in step for step in steps)
    for place in re.findall(r"bash (\S+)", "\n".join(step.get("run", "") for step in steps)):
        assert (ROOT / place).exists(), place


def targets(text, page):
    """Return the local targets of a page's links that do not exist."""
    found = re.findall(r"\]\(([^)#\s]*)(?:#[^)\s]*)?\)", text)
    local = [link for link in found if link and not re.match(r"\w+:", link)]
    return [link for link in local if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_local_links_lead_to_files(page):
    assert targets(page.read_text(encoding="utf-8"), page) == []


def test_a_planted_broken_link_is_found():
    assert targets("see [this](docs/absent.md#part) and [that](README.md)", ROOT / "README.md") == ["docs/absent.md"]
