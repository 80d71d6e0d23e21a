"""What methods expected of their picks, beside what came of it, as cells: on average, and tomogram by tomogram."""

import csv
import io
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields

from tomopicker.benchmark.expected import NEAR, Saying, Trust
from tomopicker.benchmark.tables import Spread
from tomopicker.report.benchmark_tables import DASH, Table, shown

__all__ = ["saying_table", "sayings_csv", "trust_table"]


def trust_table(rows: Sequence[Trust]) -> Table:
    """Lay out one data set's counts and expectations over unseen tomograms: a row a method and number of clicks."""
    header = [
        "Method", "Clicks", "Tomograms × seeds", f"Counts within {NEAR:.0%}", "90% intervals that hold", "Count error",
        "Count bias", "Precision bias", "Recall bias", "F1 bias", "F1 error",
    ]  # fmt: skip
    cells = [
        [
            row.method,
            DASH if row.clicks is None else str(row.clicks),
            str(row.sayings),
            f"{row.near:.0%}",
            DASH if row.holds is None else f"{row.holds:.0%}",
            f"{row.count_error:.0%}",
            f"{row.count_bias:+.0%}",
            *(f"{bias:+.3f}" for bias in (row.precision_bias, row.recall_bias, row.f1_bias)),
            f"{row.f1_error:.3f}",
        ]
        for row in rows
    ]
    return Table(header, cells, left=1)


def saying_table(sayings: Sequence[Saying]) -> Table:
    """Lay out one data set's counts and expectations tomogram by tomogram, averaged over seeds."""
    header = [
        "Tomogram", "Method", "Clicks", "Particles", "Counted", "90% interval", "Holds", "Precision", "expected",
        "Recall", "expected", "F1", "expected",
    ]  # fmt: skip
    groups: dict[str, dict[tuple[str, int | None], list[Saying]]] = {}
    for each in sayings:
        groups.setdefault(each.tomogram, {}).setdefault((each.method, each.clicks), []).append(each)
    cells = []
    for tomogram, methods in groups.items():
        for index, ((method, clicks), seeds) in enumerate(methods.items()):
            role = seeds[0].role
            named = f"{tomogram} ({role})" if role in {"training", "validation"} else tomogram
            cells.append([
                named if index == 0 else "", method, DASH if clicks is None else str(clicks), *_told(seeds),
            ])  # fmt: skip
    return Table(header, cells, left=2)


def _told(seeds: Sequence[Saying]) -> list[str]:
    def over(of: Callable[[Saying], float], digits: int = 2) -> str:
        return shown(Spread.of(of(each) for each in seeds), digits)

    ends = [(each.low, each.high) for each in seeds if each.low is not None and each.high is not None]
    held = [each.holds for each in seeds if each.holds is not None]
    return [
        str(seeds[0].particles),
        over(lambda each: each.expected_particles, 0),
        " to ".join(f"{statistics.fmean(end):.0f}" for end in zip(*ends, strict=True)) if ends else DASH,
        f"{sum(held)} of {len(held)}" if held else DASH,
        over(lambda each: each.precision), over(lambda each: each.expected_precision),
        over(lambda each: each.recall), over(lambda each: each.expected_recall),
        over(lambda each: each.f1), over(lambda each: each.expected_f1),
    ]  # fmt: skip


def sayings_csv(sayings: Iterable[Saying]) -> str:
    """Write every count and expectation beside the truth, a row a run and tomogram, as CSV."""
    text = io.StringIO()
    names = [field.name for field in fields(Saying)]
    writer = csv.DictWriter(text, fieldnames=[*names, "near", "holds"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(each.flat() for each in sayings)
    return text.getvalue()
