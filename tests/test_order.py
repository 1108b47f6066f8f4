"""Modules of tests run longest first."""

from pathlib import Path

from support.order import LONGEST, longest_first

TESTS = Path(__file__).parent


def test_the_longest_modules_exist():
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_tests_of_a_module_stay_together_and_in_order():
    one, two, long = TESTS / "one.py", TESTS / "two.py", TESTS / LONGEST[0]
    assert longest_first([one, two, two, one, one, long], TESTS) == [5, 0, 3, 4, 1, 2]
    assert longest_first([one, two, one, two], TESTS) == [0, 2, 1, 3]
    assert longest_first([], TESTS) == []
