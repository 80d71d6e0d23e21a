"""The registry: every row can be kept, and the package stays light until a file is opened."""

import subprocess
import sys

from tomopicker import formats
from tomopicker.formats.registry import FORMATS, module_of


def test_modules_have_what_their_row_promises():
    for entry in FORMATS:
        if entry.reader:
            reader = module_of(entry.reader)
            assert callable(reader.recognises)
            assert callable(reader.open_volume if entry.kind == "volume" else reader.read)
        if entry.writer and entry.kind == "picks":
            assert callable(module_of(entry.writer).write)


def test_names_are_unique_and_suffixes_have_dots():
    assert len({entry.name for entry in FORMATS}) == len(FORMATS)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for entry in FORMATS for suffix in entry.suffixes)


def test_everything_exported_is_there():
    for name in formats.__all__:
        assert getattr(formats, name) is not None


def loaded_after(code: str) -> set[str]:
    command = f"import sys; {code}; print(' '.join(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_after("import tomopicker.formats") & {"numpy", "pandas", "starfile", "mrcfile", "torch"}


def test_no_format_loads_torch():
    modules = sorted({name for entry in FORMATS for name in (entry.reader, entry.writer) if name})
    code = "from tomopicker.formats import *; " + "; ".join(f"import tomopicker.formats.{name}" for name in modules)
    assert "torch" not in loaded_after(code)
