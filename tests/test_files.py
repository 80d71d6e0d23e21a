"""Files are written completely or not at all, and errors are one line that names the file."""

import errno
import os
from pathlib import Path

import pytest

from tomopicker import files
from tomopicker.errors import TomoPickerError
from tomopicker.files import atomic_path, make_durable, write_text

SYNC = files._sync


def refused(path, write=lambda path: write_text(path, "new")):
    with pytest.raises(TomoPickerError) as error:
        write(path)
    text = str(error.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_writes(tmp_path):
    write_text(tmp_path / "a.star", "Å\n")
    assert (tmp_path / "a.star").read_bytes() == "Å\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["a.star"]


def test_replaces(tmp_path):
    path = tmp_path / "a.star"
    path.write_text("old and long")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_makes_the_folder(tmp_path):
    write_text(tmp_path / "one" / "two" / "a.star", "new")
    assert (tmp_path / "one" / "two" / "a.star").read_text() == "new"


def test_the_temporary_file_is_next_to_and_has_the_suffixes(tmp_path):
    """In the same folder, so that a rename suffices; with the suffix, from which writers infer the format."""
    path = tmp_path / "volume.score.mrc"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".score.mrc")
        assert temporary != path
        assert temporary.name.startswith(".")
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.star", "new")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "a.star").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.star"
    path.write_text("old")
    expected = TomoPickerError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected), atomic_path(path) as temporary:
        temporary.write_text("half of the ne")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.star"]


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(self, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_text", full)
    text = refused(tmp_path / "a.star")
    assert "No space left on device" in text
    assert ".tmp-" not in text
    assert not list(tmp_path.iterdir())


def test_a_full_disk_on_opening_and_on_renaming(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("tempfile.mkstemp", full)
        assert "No space left" in refused(tmp_path / "a.star")
    monkeypatch.setattr(Path, "replace", full)
    assert "No space left" in refused(tmp_path / "a.star")
    assert not list(tmp_path.iterdir())


def test_a_forbidden_folder(tmp_path, monkeypatch):
    """Simulated, since tests may run as root."""

    def forbidden(*_, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(kwargs.get("dir")))

    monkeypatch.setattr("tempfile.mkstemp", forbidden)
    assert "Permission denied" in refused(tmp_path / "a.star")


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "a.star").mkdir()
    (tmp_path / "a.star" / "inside").write_text("kept")
    assert "folder" in refused(tmp_path / "a.star")
    assert (tmp_path / "a.star" / "inside").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("kept")
    refused(tmp_path / "file" / "a.star")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_missing_input_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), atomic_path(tmp_path / "a.star"):
        (tmp_path / "input.mrc").read_bytes()
    assert not list(tmp_path.iterdir())


def test_a_forbidden_input_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(PermissionError, match="input"), atomic_path(tmp_path / "a.star"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "input.mrc"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [200, 250])
def test_long_names(tmp_path, length):
    path = tmp_path / ("a" * (length - 5) + ".star")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_a_name_too_long(tmp_path):
    refused(tmp_path / ("a" * 300))


def test_what_is_durable_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "a.model", []

    def fsync(handle):
        synced.append((Path(f"/proc/self/fd/{handle}").resolve(), path.read_text()))

    monkeypatch.setattr(files, "_sync", SYNC)
    monkeypatch.setattr(os, "fsync", fsync)
    path.write_text("old")
    write_text(path, "new")
    assert not synced
    write_text(path, "newer", durable=True)
    (written, before), (folder, after) = synced
    assert written.parent == folder == tmp_path
    assert (before, after) == ("new", "newer")


def test_a_disk_that_is_full_only_when_asked(tmp_path, monkeypatch):
    """Network file systems may accept data and fail only when it is flushed."""

    def full(_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(files, "_sync", SYNC)
    path = tmp_path / "a.star"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    assert "quota" in refused(path, lambda path: write_text(path, "new", durable=True))
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    assert "quota" in refused(path, lambda path: make_durable([path]))
