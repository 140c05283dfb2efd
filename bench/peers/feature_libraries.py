"""Compute features with tsfresh, TSFEL and pycatch22, under the Python that has them: FILE.npy → JSON.

Rows of the file are series. Each library gives the features that flatwatt has too, by flatwatt's
names, with the CPU seconds a row, and those of the library's own whole set. What is not installed is left out.
"""

import contextlib
import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import ModuleType
from typing import Any

import numpy as np

Series = np.ndarray[Any, np.dtype[np.float64]]
Way = Callable[[Series], float]
_REPEATS = 3  # the quickest counts: other programs run too
_ROWS_OF_A_SET = 3  # the whole sets take up to seconds a row


def tsfresh(module: ModuleType) -> tuple[Mapping[str, Way], Callable[[Series], int]]:
    """Give the features of tsfresh that are ours too, and its set for general use."""
    f = importlib.import_module("tsfresh.feature_extraction.feature_calculators")
    settings = importlib.import_module("tsfresh.feature_extraction").EfficientFCParameters()
    pandas = importlib.import_module("pandas")

    def whole(x: Series) -> int:
        frame = pandas.DataFrame({"id": 0, "value": x})
        found = module.extract_features(
            frame,
            column_id="id",
            column_value="value",
            default_fc_parameters=settings,
            n_jobs=0,
            disable_progressbar=True,
        )
        return len(found.columns)

    return {
        "load_factor": lambda x: f.mean(x) / f.quantile(x, 0.995),
        "coefficient_of_variation": f.variation_coefficient,
        "base_to_mean": lambda x: f.quantile(x, 0.025) / f.mean(x),
        "base_to_peak": lambda x: f.quantile(x, 0.025) / f.quantile(x, 0.975),
        "dwell": lambda x: f.range_count(x, 0.95 * f.median(x), 1.05 * f.median(x)) / len(x),
        "roughness": lambda x: f.mean_abs_change(x) / f.mean(x),
        "daily_correlation": lambda x: f.autocorrelation(x, 24),
        "weekly_correlation": lambda x: f.autocorrelation(x, 168),
    }, whole


def tsfel(module: ModuleType) -> tuple[Mapping[str, Way], Callable[[Series], int]]:
    """Give the features of TSFEL that are ours too, and its default set, at the 100 Hz that its names want."""
    settings = module.get_features_by_domain()

    def whole(x: Series) -> int:
        return len(module.time_series_features_extractor(settings, x, fs=100, verbose=0).columns)

    return {
        "coefficient_of_variation": lambda x: module.calc_std(x) / module.calc_mean(x),
        "roughness": lambda x: module.mean_abs_diff(x) / module.calc_mean(x),
        "base_to_mean": lambda x: module.ecdf_percentile(x, 0.025) / module.calc_mean(x),
    }, whole


def pycatch22(module: ModuleType) -> tuple[Mapping[str, Way], Callable[[Series], int]]:
    """Give the one feature of catch24 that is ours too, and the set."""

    def whole(x: Series) -> int:
        return len(module.catch22_all(list(x), catch24=True)["values"])

    return {
        "coefficient_of_variation": lambda x: module.DN_Spread_Std(list(x)) / module.DN_Mean(list(x)),
    }, whole


LIBRARIES = {"tsfresh": tsfresh, "tsfel": tsfel, "pycatch22": pycatch22}


def measured(name: str, rows: Series) -> dict[str, Any]:
    """Give what one library says of all rows, and how long it takes; raises ImportError where it is not installed."""
    ways, whole = LIBRARIES[name](importlib.import_module(name))
    some = rows[:_ROWS_OF_A_SET]
    return {
        "version": version(name),
        "values": {ours: [float(way(row)) for row in rows] for ours, way in ways.items()},
        "seconds": {ours: seconds(way, rows) for ours, way in ways.items()},
        "set_size": whole(rows[0]),
        "set_seconds": seconds(whole, some),
    }


def seconds(way: Callable[[Series], Any], rows: Series) -> float:
    """Give the CPU time a row, of the quickest of a few runs."""
    took = []
    for _ in range(_REPEATS):
        began = time.process_time()
        for row in rows:
            way(row)
        took.append((time.process_time() - began) / len(rows))
    return min(took)


def main() -> None:
    """Compute and print."""
    warnings.simplefilter("ignore")
    rows = np.load(sys.argv[1])
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            found[name] = measured(name, rows)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
