"""How annotations are checked in tests: lazily, the first calls in each test, and as mypy reads them.

The import hook of jaxtyping decorates every function of the program, which alone takes five seconds a process, and
checks every call of it, which more than doubles the time of a fit that calls a small function 10,000 times. Here a
function is decorated when it is called first; in each test, `CALLS` calls of it are checked.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

CALLS = 25
"""Calls of a function that are checked in a test, or in a worker process; later ones are not."""

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""An int is also a float."""
_jaxtyped = jaxtyping.jaxtyped
_calls: dict[Callable, int] = {}


def start_again() -> None:
    """Check the first calls of each function once more."""
    _calls.clear()


def lazily_jaxtyped(function: Any = None, *, typechecker: Any) -> Any:
    """Stand in for `jaxtyping.jaxtyped`."""
    if function is None:
        return functools.partial(lazily_jaxtyped, typechecker=typechecker)
    if inspect.isclass(function):
        # A class that inherits its __init__ has it wrapped already.
        if dataclasses.is_dataclass(function) and not hasattr(function.__init__, "lazily"):
            function.__init__ = lazily_jaxtyped(function.__init__, typechecker=typechecker)
        return function
    strict: Callable | None = None

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        nonlocal strict
        number = _calls.get(function, 0)
        if number >= CALLS:
            return function(*arguments, **options)
        _calls[function] = number + 1
        if strict is None:
            strict = _jaxtyped(function, typechecker=typechecker)
        return strict(*arguments, **options)

    call.lazily = True  # type: ignore[attr-defined]
    return call


jaxtyping.jaxtyped = lazily_jaxtyped  # What the hook writes before each function and class.
