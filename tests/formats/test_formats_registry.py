"""The registry: every row can be kept, and the package stays light until a file is opened."""

import subprocess
import sys

from tomopicker import formats
from tomopicker.formats.registry import FORMATS, function


def test_functions_that_a_row_names_are_there():
    for entry in FORMATS:
        for name in (entry.reader, entry.writer):
            assert name is None or callable(function(name))
        assert callable(entry.recognise)


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
    heavy = {"numpy", "pandas", "starfile", "mrcfile", "torch"}
    assert not loaded_after("import tomopicker.formats") & heavy
    assert not loaded_after("from tomopicker.formats.recognition import is_star") & (heavy - {"numpy", "pandas"})


def test_no_format_loads_torch_and_reading_text_no_starfile():
    modules = sorted({name.rpartition(".")[0] for entry in FORMATS for name in (entry.reader, entry.writer) if name})
    code = "from tomopicker.formats import *; " + "; ".join(f"import tomopicker.formats.{name}" for name in modules)
    assert not loaded_after(code) & {"torch", "starfile"}
