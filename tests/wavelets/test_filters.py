"""Named filter banks: values from PyWavelets, and the time reversal for the causal transform."""

import pytest
import pywt
import torch

from swt_time.wavelets.filters import as_filter_bank, filter_bank, turn_to_newest


@pytest.mark.parametrize("name", pywt.wavelist(kind="discrete"))
def test_filters_equal_those_of_pywavelets(name):
    bank = filter_bank(name)
    ours = [bank.dec_lo, bank.dec_hi, bank.rec_lo, bank.rec_hi]
    assert [taps.tolist() for taps in ours] == [list(taps) for taps in pywt.Wavelet(name).filter_bank]
    assert len(bank) == pywt.Wavelet(name).dec_len


def test_as_filter_bank_accepts_a_bank_and_a_name():
    bank = filter_bank("db4")
    assert as_filter_bank(bank) is bank
    assert as_filter_bank("db4") is bank


@pytest.mark.parametrize(
    ("taps", "turn", "lead"),
    [
        ((0.9, 0.4, 0.1), False, 0),
        ((0.1, 0.4, 0.9), True, 0),
        ((0.0, 0.0, 0.9, 0.1, 0.0), False, 2),
        ((0.0, 0.1, 0.9, 0.0, 0.0), True, 2),
        ((0.0, 0.5, 0.5), False, 1),
    ],
)
def test_turn_to_newest(taps, turn, lead):
    assert turn_to_newest(taps) == (turn, lead)


def test_low_pass_and_high_pass_are_reversed_separately():
    """The filters of db4 have their energy at opposite ends."""
    assert filter_bank("db4").turned == (True, False)
    assert filter_bank("haar").turned == (False, False)


def test_unknown_names_are_refused_with_similar_ones():
    with pytest.raises(ValueError, match=r"got 'sim4'; did you mean .*sym4"):
        filter_bank("sim4")
    with pytest.raises(ValueError, match=r"got '\?\?\?'; choose one of bior1.1"):
        filter_bank("???")


def test_the_attribute_for_the_compiler_is_the_one_that_pytorch_sets():
    """`named_filters` sets a private attribute of PyTorch itself; it must be that of ``assume_constant_result``."""
    from swt_time.wavelets.filters import named_filters

    def plain():
        return 1

    marked = set(vars(torch.compiler.assume_constant_result(plain))) - {"__wrapped__"}
    assert marked <= set(vars(named_filters))
    assert marked
