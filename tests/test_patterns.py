"""The time of every regular expression of the source grows no faster than the text that it is given."""

import re
from itertools import chain
from pathlib import Path

import pytest

import swt_time
from support.patterns import Dynamic, Use, find_patterns, slow_text
from swt_time.data.csv_lines import GAP
from swt_time.data.dates import QUARTERS
from swt_time.data.numbers import COMMA, POINT

SOURCE = Path(swt_time.__file__).parent
USES, DYNAMIC = find_patterns(SOURCE)

YEAR, QUARTER = r"(?P<y>\d{4})", "(?P<q>[1-4])"
COMPUTED = {
    Dynamic("data/dates.py", "pattern.replace('%q', '(?P<q>[1-4])')"): [
        Use(form, re.escape(form).replace("%Y", YEAR).replace("%q", QUARTER), re.IGNORECASE, "fullmatch")
        for form in QUARTERS
    ],
    Dynamic("data/csv_lines.py", r"b'\\n{%d,}' % (GAP + 1)"): [
        Use("data/csv_lines.py", b"\n{%d,}" % (GAP + 1), 0, "finditer"),
    ],
    Dynamic("data/numbers.py", "number"): [
        Use("data/numbers.py", style.pattern.pattern, re.IGNORECASE, "fullmatch") for style in (POINT, COMMA)
    ],
    Dynamic("language/formats.py", "pattern"): [
        Use("language/formats.py", pattern, 0, "fullmatch")
        for pattern in (
            r"pytorch_model\.bin(\.index\.json)?",
            r"consolidated.*\.(safetensors|pth)",
            r".*\.gguf",
        )
    ],
}
"""What the regular expressions can be that are computed."""


@pytest.mark.parametrize("use", [*USES, *chain(*COMPUTED.values())], ids=lambda use: f"{use.where}-{use.method}")
def test_time_grows_no_faster_than_the_text(use):
    assert slow_text(use) is None


def test_computed_patterns_are_listed():
    assert set(DYNAMIC) == set(COMPUTED)


def test_all_modules_are_searched():
    """The control: as many uses as a search of the text finds."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    calls = re.findall(r"\bre\.(?:compile|match|search|fullmatch|subn?|split|findall|finditer)\(", text)
    assert len({use.where for use in USES}) + len(DYNAMIC) == len(calls) > 20


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", "fullmatch"),  # as the pattern of numbers once was
        (r"(?P<date>.*?[^\s\[])\s*\[?\b(?P<zone>[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+)\]?", "fullmatch"),
        (r"(?:\[[^\]]*\]|[^,])+", "findall"),
        (r"(a+)+b", "match"),
        (r"(a|aa)*!", "fullmatch"),
        (r"\s+$", "search"),
        (r"([A-Za-z][A-Za-z0-9+.-]+):/(?=[^/])", "sub"),
        (r"<.*?,.*?,.*?>", "match"),
        (rb"\d+x", "search"),
    ],
)
def test_superlinear_patterns_are_detected(pattern, method):
    assert slow_text(Use("planted", pattern, 0, method)) is not None


def test_patterns_are_found_by_their_uses(tmp_path):
    """A planted module whose pattern is used in another one."""
    (tmp_path / "one.py").write_text("import re\nWORD = re.compile('a+' r'\\d', re.IGNORECASE)\n")
    (tmp_path / "two.py").write_text(
        "import re\nfrom x.one import WORD\nWORD.sub('', '')\nre.split(WORD.pattern, '')\n"
    )
    uses, dynamic = find_patterns(tmp_path)
    assert uses == [Use("one.py:2:7", r"a+\d", re.IGNORECASE, "sub")]
    assert dynamic == [Dynamic("two.py", "WORD.pattern")]
