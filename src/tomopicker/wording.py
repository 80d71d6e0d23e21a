"""Numbers in messages, and messages about values that are not numbers."""

import re


def number_of(count: int, noun: str, plural: str | None = None) -> str:
    """Format a count and its noun: ``1 tomogram``, ``3 tomograms``, ``2 boxes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or f'{noun}s'}"


def picks_of_tomograms(picks: int, tomograms: int) -> str:
    """Format two counts: ``56 picks of 2 tomograms``."""
    return f"{number_of(picks, 'pick')} of {number_of(tomograms, 'tomogram')}"


def wrong_value(kind: str, value: object, message: str) -> str:
    """Describe the error of a value that pydantic rejects.

    Parameters
    ----------
    kind : str
        Pydantic's name of the error, such as ``float_parsing``.
    value : object
        The invalid value.
    message : str
        Pydantic's message, returned unchanged unless the value should have been a number.
    """
    expected = {"float": "a number", "int": "a whole number"}.get(kind.partition("_")[0])
    if expected is None or not kind.endswith(("_parsing", "_type", "_from_float")):
        return message
    text = str(value)
    if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?\s*[^\W\d][\w/²³^-]*|[-+]?[\d.]+\s*[°%]", text):
        return f"'{text}' is not {expected}; give the number alone, in the option's own unit"
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        return f"'{text}' is not {expected}; write {text.replace(',', '.')}"
    return f"'{text}' is not {expected}"
