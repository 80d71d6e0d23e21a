"""Numbers in sentences, and what is wrong with a value that was to be one."""

import re


def number_of(count: int, noun: str, plural: str | None = None) -> str:
    """Write a number of things: ``1 tomogram``, ``3 tomograms``, ``2 boxes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or f'{noun}s'}"


def wrong_value(kind: str, value: object, message: str) -> str:
    """Describe what is wrong with a value that pydantic refuses.

    Parameters
    ----------
    kind : str
        Pydantic's name of the error, such as ``float_parsing``.
    value : object
        What was given.
    message : str
        Pydantic's own words, kept for anything but a value that is no number.
    """
    wanted = {"float": "a number", "int": "a whole number"}.get(kind.partition("_")[0])
    if wanted is None or not kind.endswith(("_parsing", "_type", "_from_float")):
        return message
    text = str(value)
    if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?\s*[^\W\d][\w/²³^-]*|[-+]?[\d.]+\s*[°%]", text):
        return f"'{text}' is not {wanted}; give the number alone, in the option's own unit"
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        return f"'{text}' is not {wanted}; write {text.replace(',', '.')}"
    return f"'{text}' is not {wanted}"
