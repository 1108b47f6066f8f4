"""No text from a table or a checkpoint becomes markup, in any place of a report."""

import json
from html.parser import HTMLParser

import pytest

from support.injections import INJECTIONS
from support.report_facts import infected, small_facts
from swt_time.report.markup import element, embedded_json, joined, shown
from swt_time.report.page import page, script, style


@pytest.fixture(scope="module")
def plain():
    return small_facts()


class Structure(HTMLParser):
    """Tags and names of attributes of a page, and its texts."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple] = []
        self.texts: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.texts += [value or "" for _, value in attrs]

    def handle_endtag(self, tag):
        self.tags.append(("/" + tag,))

    def handle_comment(self, data):
        self.tags.append(("comment",))

    def handle_decl(self, decl):
        self.tags.append((decl,))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def expected(plain):
    return Structure(page(infected(plain, ["harmless"]))).tags


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_a_text_changes_no_tag_and_no_attribute_of_a_report(text, plain, expected):
    content = page(infected(plain, [text]))
    found = Structure(content)
    assert found.tags == expected
    assert sum(shown(text, 40)[:20] in one for one in found.texts) > 20 or len(text) < 3


def test_the_texts_stand_in_more_than_forty_places(plain):
    content = page(infected(plain, ["needle in a haystack"]))
    assert content.count("needle in a haystack") > 40


def test_a_report_without_escaping_would_change():
    """The control: markup put in as it is changes the structure that the test above compares."""
    text = INJECTIONS[0]
    assert Structure(f"<p>{text}</p>").tags != Structure(element("p", text)).tags
    assert Structure(element("p", text)).tags == [("p",), ("/p",)]


@pytest.mark.parametrize(
    "attributes", [{"onclick": "x"}, {"style": "x"}, {"src": "x"}, {"href": "javascript:x"}, {"x y": "z"}]
)
def test_attributes_that_run_or_load_are_refused(attributes):
    with pytest.raises(ValueError, match=r"of a report|leads to a place"):
        element("p", **attributes)


@pytest.mark.parametrize("tag", ["script", "iframe", "style", "p onclick=x", "object"])
def test_elements_that_run_or_load_are_refused(tag):
    with pytest.raises(ValueError, match="no element of a report"):
        element(tag)


def test_content_is_escaped_once():
    assert joined("<", element("b" if False else "p", "&"), None, ["'", 1]) == "&lt;<p>&amp;</p>&#x27;1"


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_embedded_json_holds_nothing_that_ends_a_script_and_reads_back(text):
    content = embedded_json({text: [text, 1.5, None]})
    assert not set("<>&'\u2028\u2029") & set(content)
    assert json.loads(content) == {text: [text, 1.5, None]}


def test_the_script_and_the_style_end_no_element():
    assert "</script" not in script().lower()
    assert "<!--" not in script()
    assert "</style" not in style().lower()
