"""Write docs/reference/settings.md from the declarations in `tomopicker.config`; a test holds the two together.

Run it after a change of a setting or a preset: ``python docs/generate.py``.
"""

import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tomopicker.config import Flag, Settings
from tomopicker.presets import PRESETS

PAGE = Path(__file__).parent / "reference" / "settings.md"
WIDTH = 120
HEAD = """# Settings

Written by `python docs/generate.py` from the declarations in `tomopicker.config` and `tomopicker.presets`.

Every setting can be given in a YAML file (`tomopicker train --config FILE`, nested as below), by
`tomopicker train --set NAME=VALUE` and from Python:

```python
settings = api.settings(particle_diameter=300, training={"learning_rate": 0.001})
```

Settings with a flag have an option of their own. A flag wins over the file, and the file over the preset. Sections and
equations are those of the paper; [method.md](../method.md) explains the method. A working voxel is one of the resampled
tomogram."""
KINDS = {"float": "number", "int": "whole number", "str": "text", "bool": "true or false", "NoneType": "null"}


def page() -> str:
    """Lay out every setting, group by group."""
    groups = [(name, field) for name, field in Settings.model_fields.items() if _group(field)]
    single = [(name, field) for name, field in Settings.model_fields.items() if not _group(field)]
    parts = [HEAD, "## General", *_entries("", single)]
    for name, field in groups:
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        parts += [
            f"## `{name}`",
            (model.__doc__ or "").strip(),
            *_entries(f"{name}.", list(model.model_fields.items())),
        ]
    return "\n\n".join(parts) + "\n"


def _group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _entries(prefix: str, fields: list[tuple[str, FieldInfo]]) -> Iterator[str]:
    for name, field in fields:
        extra: dict[str, Any] = dict(field.json_schema_extra or {})  # type: ignore[arg-type]
        flag = extra["flag"]
        facts = [
            _kind(field.annotation) + (f" ({extra['unit']})" if extra["unit"] else ""),
            _default(prefix + name, field),
        ]
        if isinstance(flag, Flag):
            facts.append(f"flag `--{name.replace('_', '-')}`" + (f", `{flag.short}`" if flag.short else ""))
        text = f"- **`{prefix}{name}`**: {'; '.join(facts)}. {field.description}"
        yield textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _kind(annotation: Any) -> str:
    """Name a type: ``whole number or null``, ```auto` or `none```."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if origin is tuple:
        return f"list of {_kind(get_args(annotation)[0])}s"
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(each) for each in get_args(annotation))
    if origin is not None:  # Annotated: its limits are checked, and named by the error.
        return _kind(get_args(annotation)[0])
    return KINDS[annotation.__name__]


def _default(path: str, field: FieldInfo) -> str:
    """Give the default, and the value of each preset that differs."""
    if field.is_required():
        return "required"
    parts = [f"default {_value(field.default)}"]
    for preset, changes in PRESETS.items():
        inner: Any = changes
        for name in path.split("."):
            inner = inner.get(name, {}) if isinstance(inner, dict) else {}
        if inner != {}:
            parts.append(f"{preset} {_value(inner)}")
    return ", ".join(parts)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{'null' if value is None else list(value) if isinstance(value, tuple) else value}`"
