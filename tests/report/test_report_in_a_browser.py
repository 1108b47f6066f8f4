"""Reports in a real browser: nothing runs or leaves; all can be used by mouse, by keyboard and without a script."""

from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pandas as pd
import pytest

import support.browser
from support.injections import INJECTIONS
from support.report_facts import infected, small_facts
from swt_time import Forecaster
from swt_time.report import write_report
from swt_time.report.markup import shown
from swt_time.report.page import page


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of ten hourly series, of which some have gaps, as the address of its file."""
    hours, noise = np.arange(24 * 12), np.random.default_rng(0)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=hours.size, freq="h")})
    for k in range(10):
        name = f"plant {k}" if k < 9 else INJECTIONS[0]
        table[name] = 20 + k + 5 * np.sin(2 * np.pi * (hours + k) / 24) + noise.normal(size=hours.size)
    table.loc[100:103, "plant 3"] = np.nan
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(Forecaster(horizon=12, fill="linear", model={"panel": True}).fit(table), table, path)
    return path.as_uri()


@pytest.mark.parametrize("part", range(3))
def test_no_text_runs_or_loads_anything(part, open_page, tmp_path):
    texts = INJECTIONS[part::3]
    (tmp_path / "report.html").write_text(page(infected(small_facts(len(texts)), texts)), encoding="utf-8")
    opened = open_page((tmp_path / "report.html").as_uri())
    page_ = opened.page
    listed = page_.locator("#viewer-list option").all_text_contents()
    assert listed == [shown(text, 120) for text in texts]
    for k in range(len(texts)):  # every name becomes a title, and its curves are drawn
        page_.select_option("#viewer-list", index=k)
        assert page_.locator("#viewer-title").text_content() == shown(texts[k], 120)
    page_.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page_.mouse.move(300, 300)
    page_.keyboard.press("Tab")
    assert page_.evaluate("window.pwned") is None
    assert page_.locator("script").count() == 2
    assert page_.locator("iframe, img, object, embed, base, form, link, video, math, animate, use").count() == 0
    opened.check()


def test_the_browser_notices_what_the_injections_do(open_page, tmp_path):
    """The control: the same texts as markup, without the policy of a report."""
    bad = "".join(text for text in INJECTIONS[:20] if "<!--" not in text)  # which would hide the others
    (tmp_path / "bad.html").write_text(f"<!doctype html><html lang=en><title>x</title>{bad}", encoding="utf-8")
    opened = open_page((tmp_path / "bad.html").as_uri())
    opened.page.wait_for_timeout(200)
    assert opened.dialogs
    assert opened.page.evaluate("window.pwned") == 1
    assert any("evil.test" in one for one in opened.requests)


def test_the_policy_stops_a_script_that_got_into_a_report(report, open_page, tmp_path):
    content = Path(urlparse(report).path).read_text(encoding="utf-8")
    planted = content.replace(
        "</main>", "<script>window.pwned=1</script><img src=x onerror='window.pwned=2'></main>", 1
    )
    assert planted != content
    (tmp_path / "planted.html").write_text(planted, encoding="utf-8")
    opened = open_page((tmp_path / "planted.html").as_uri())
    opened.page.wait_for_timeout(200)
    assert opened.page.evaluate("window.pwned") is None
    assert any("Content Security Policy" in one for one in opened.errors)


def test_tests_without_a_browser_say_so_and_fail_under_continuous_integration(monkeypatch):
    monkeypatch.setattr(support.browser, "CHROMIUM", "/nowhere/chromium")
    reason = support.browser.missing_browser()
    assert "apt-get install chromium" in reason
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="/nowhere/chromium"):
        support.browser.go_without(reason)
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="/nowhere/chromium"):
        support.browser.go_without(reason)


def shown_range(page_) -> tuple[float, float]:
    chart = page_.locator("#viewer-chart")
    return float(chart.get_attribute("data-from")), float(chart.get_attribute("data-to"))


def test_zoom_and_search_by_mouse(report, open_page):
    from playwright.sync_api import expect

    opened = open_page(report)
    page_ = opened.page
    assert page_.locator("#viewer-count").text_content() == "10 of 10 series match."
    page_.fill("#viewer-search", "plant 7")
    assert page_.locator("#viewer-title").text_content() == "plant 7"
    page_.fill("#viewer-search", "PLANT")
    page_.select_option("#viewer-list", label="plant 3")
    assert page_.locator("#viewer-title").text_content() == "plant 3"
    whole = shown_range(page_)
    over = page_.locator("#viewer-chart .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    middle = box["y"] + box["height"] / 2
    page_.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page_.mouse.down()
    page_.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=4)
    page_.mouse.up()
    low, high = shown_range(page_)
    width = whole[1] - whole[0]
    assert low == pytest.approx(whole[0] + 0.3 * width, abs=0.02 * width)
    assert high == pytest.approx(whole[0] + 0.6 * width, abs=0.02 * width)
    page_.dblclick("#viewer-chart .u-over")
    assert shown_range(page_) == whole
    page_.click("text=Zoom in")
    page_.click("text=Whole range")
    assert shown_range(page_) == whole
    page_.mouse.move(box["x"] + 0.99 * box["width"], middle)
    expect(page_.locator("#viewer-values")).to_contain_text("% interval")
    opened.check()


def test_zoom_and_search_by_keyboard(report, open_page):
    opened = open_page(report)
    page_, press = opened.page, opened.page.keyboard.press
    page_.focus("#viewer-search")
    page_.keyboard.type("plant 4")
    assert page_.locator("#viewer-title").text_content() == "plant 4"
    for _ in range(2):
        press("Backspace")
    press("ArrowDown")  # into the list
    press("ArrowDown")
    assert page_.locator("#viewer-title").text_content() == "plant 5"
    press("Tab")
    assert page_.evaluate("document.activeElement.id") == "viewer-chart"
    whole = shown_range(page_)
    press("+")
    low, high = shown_range(page_)
    assert high - low == pytest.approx((whole[1] - whole[0]) / 2)
    press("ArrowLeft")
    assert shown_range(page_)[0] < low
    for _ in range(12):
        press("+")
    assert shown_range(page_)[1] > shown_range(page_)[0]
    press("0")
    assert shown_range(page_) == whole
    press("Tab")
    press("Enter")  # the first button
    assert shown_range(page_)[1] - shown_range(page_)[0] == pytest.approx((whole[1] - whole[0]) / 2)
    opened.check()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_a_report_is_accessible_and_fits_into_its_window(width, scheme, report, open_page):
    opened = open_page(report, width=width, color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert opened.overflow() <= 0
    assert opened.serious() == []
    small = opened.page.evaluate(
        """Array.from(document.querySelectorAll("svg text")).map((one) => one.getBoundingClientRect().height)"""
    )
    assert min(small) > 8
    opened.check()


def test_without_a_script_the_pictures_and_tables_are_there(report, open_page):
    opened = open_page(report, script=False)
    page_ = opened.page
    assert page_.locator("#forecast ~ .figures svg path.yhat").count() == 6
    assert page_.locator("table").count() >= 8
    assert page_.locator("#viewer").is_hidden()
    assert page_.get_by_text("Errors over all cutoffs").is_visible()
    for name in ("data", "forecast", "accuracy", "calibration", "choice", "wavelets", "provenance"):
        assert page_.locator(f"h2#{name}").is_visible()
    assert [one for one in opened.errors if "script" not in one.lower()] == []


def test_paper_shows_pictures_and_folded_tables_and_no_controls(report, open_page):
    page_ = open_page(report).page
    page_.emulate_media(media="print")
    assert page_.locator("#viewer").is_hidden()
    assert page_.locator("#forecast ~ .figures svg").first.is_visible()
    assert page_.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
