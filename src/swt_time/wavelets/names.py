"""The filters of a wavelet by its name, as plain numbers (filter values: PyWavelets)."""

import difflib

import pywt


def turn_to_newest(taps: tuple[float, ...]) -> tuple[bool, int]:
    """Return whether to reverse a filter so that its energy is at small delays, and its number of leading zeros then.

    Parameters
    ----------
    taps : tuple of float
        Impulse response: ``taps[k]`` is the weight of the sample ``k`` steps in the past.

    Returns
    -------
    turn : bool
        True if the centre of energy of the reversed filter is nearer to delay 0.
    lead : int
        Number of leading zeros after the reversal (PyWavelets pads biorthogonal filters with zeros).
    """
    nonzero = [k for k, tap in enumerate(taps) if tap != 0.0]
    first, last = nonzero[0], nonzero[-1]
    energy = sum(tap * tap for tap in taps)
    centre = sum(k * tap * tap for k, tap in enumerate(taps)) / energy
    turn = centre - first > last - centre
    return turn, (len(taps) - 1 - last) if turn else first


def named_filters(name: str) -> tuple[tuple[float, ...], ...]:
    """Return the four filters of a named wavelet as tuples of float."""
    known = pywt.wavelist(kind="discrete")
    name = str(name).lower() if str(name).lower() in known else name
    if name not in known:
        near = difflib.get_close_matches(str(name).lower(), known, n=4, cutoff=0.4)
        remedy = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"
        raise ValueError(f"expected the name of a discrete wavelet, got {name!r}; {remedy}")
    return tuple(tuple(taps) for taps in pywt.Wavelet(name).filter_bank)


# The attribute that torch.compiler.assume_constant_result sets; calling it would import the whole compiler.
named_filters._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001  see above
