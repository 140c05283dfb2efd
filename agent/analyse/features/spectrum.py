"""How the variance of a load is spread over frequencies, by one FFT of its hours."""

import numpy as np

from agent.analyse.features.robust import Floats, centred, mean, ratio

_MIN_KNOWN = 0.5  # of the values; what fills the gaps would make half of the spectrum
_FLOOR = 1e-12  # of the mean power of a bin: below it is the noise of rounding, whose logarithm is no fact
_HARMONICS = 6  # a working day is a pulse; four-hour structure is the sixth of its harmonics
_BAND = 2  # bins either side, which Hann's window smears a line over
_MIN_DAYS = 7  # with fewer, the bands of neighbouring harmonics overlap


def spectrum(series: Floats) -> Floats:
    """Power in each bin but that of the mean, (meters, n) to (meters, n // 2), of arbitrary scale.

    Mean removed, gaps filled with it, Hann's window. NaN where under half of the values are
    known, or the load is flat.

    >>> spectrum(np.array([np.sin(np.arange(64) * np.pi / 4)])).argmax().item() + 1  # cycles in 64 values
    8
    """
    known = np.isfinite(series).mean(axis=-1) >= _MIN_KNOWN
    lines = np.fft.rfft(centred(series) * np.hanning(series.shape[-1]))[..., 1:]
    power = lines.real**2 + lines.imag**2
    return np.where((known & power.any(axis=-1))[..., None], power, np.nan)


def spectral_flatness(spectrum: Floats) -> Floats:
    """Geometric over arithmetic mean of the spectrum, 0 to 1 (Johnston 1988): 0 for a tone, 0.56 for white noise.

    An ideal farm's hours are noise, 0.56, a rough one's 0.16; an office's days and weeks are lines, 0.04.
    NaN as the spectrum.

    >>> spectral_flatness(np.array([[1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0]])).round(6).tolist()
    [1.0, 0.0]
    """
    if not spectrum.shape[-1]:
        return np.full(len(spectrum), np.nan)
    middle = spectrum.mean(axis=-1)
    floored = np.maximum(spectrum, _FLOOR * middle[..., None])
    return ratio(np.exp(np.log(floored).mean(axis=-1)), middle)


def diurnal_share(spectrum: Floats, days: int) -> Floats:
    """Share of the variance at 1 to 6 cycles a day, 0 to 1, of the spectrum of ``days`` whole days.

    Each with two bins either side. Offices have 0.48 (0.09 to 0.77), noise 0.04 of 56 days.
    NaN for under seven days.

    >>> day = np.where((np.arange(24) > 7) & (np.arange(24) < 18), 2.0, 1.0)
    >>> diurnal_share(spectrum(np.tile(day, 14)[None]), 14).round(2).item()
    0.96
    """
    lines = np.arange(1, _HARMONICS + 1)[:, None] * days + np.arange(-_BAND, _BAND + 1) - 1  # bin 0 is gone
    if days < _MIN_DAYS:
        return np.full(len(spectrum), np.nan)
    return ratio(spectrum[:, lines.ravel()].sum(axis=-1), mean(spectrum) * spectrum.shape[-1])
