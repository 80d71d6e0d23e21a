"""Markdown tables that are readable as text and cannot break."""

from tomopicker.benchmark.tables import markdown_table


def test_columns_are_aligned_and_as_wide_as_their_cells() -> None:
    assert markdown_table(["Tomogram", "Method", "F1"], [["TS_1", "KL", "0.86"], ["", "PU", "-"]], left=2) == "\n".join(
        [
            "| Tomogram | Method |   F1 |",
            "| -------- | ------ | ---: |",
            "| TS_1     | KL     | 0.86 |",
            "|          | PU     |    - |",
        ]
    )


def test_no_rows_are_a_header() -> None:
    assert markdown_table(["a", "b"], []).splitlines() == ["| a   |   b |", "| --- | --: |"]


def test_a_cell_cannot_break_the_table() -> None:
    assert markdown_table(["a"], [["x|y\nz"]]).splitlines()[2] == "| x\\|y z |"
