"""``tomopicker formats`` on a narrow terminal."""

import pytest

from tomopicker.io.registry import FORMATS


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_no_word_is_broken(cli, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    out = cli("formats").out
    assert max(map(len, out.splitlines())) <= int(width)
    said = set(out.split())
    for entry in FORMATS:
        facts = (entry.name, entry.title, entry.unit, "" if entry.kind == "volume" else entry.origin)
        missing = {word.rstrip(";") for fact in facts for word in fact.split()} - {word.rstrip(";") for word in said}
        assert not missing, entry.name


def test_a_part_of_the_list(cli):
    assert cli("formats", "volume").out.split()[:2] == ["em", "r-"]
    assert "mrc" not in cli("formats", "picks").out.split()
