"""Run-time checks of type annotations: lazily, for the first calls in each test.

The import hook of jaxtyping decorates every function, which takes five seconds per process, and checks every call,
which more than doubles the time of a fit that calls a small function 10,000 times. Here a function is decorated on its
first call, and `CALLS` calls of it are checked in each test.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

CALLS = 25
"""Number of calls of a function that are checked in each test or worker process."""

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""Accept an int for a float, as mypy does."""
_jaxtyped = jaxtyping.jaxtyped
_calls: dict[Callable, int] = {}


def start_again() -> None:
    """Reset the number of checked calls."""
    _calls.clear()


def lazily_jaxtyped(function: Any = None, *, typechecker: Any) -> Any:
    """Replacement of `jaxtyping.jaxtyped`."""
    if function is None:
        return functools.partial(lazily_jaxtyped, typechecker=typechecker)
    if inspect.isclass(function):
        # An inherited __init__ is already wrapped.
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


jaxtyping.jaxtyped = lazily_jaxtyped  # The decorator that the hook adds to each function and class.
