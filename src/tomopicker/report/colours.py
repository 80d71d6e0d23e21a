"""The colour of each method, the same in every figure of a benchmark."""

from collections.abc import Sequence

from tomopicker.benchmark.methods import CHEAP_EPOCHS, Method
from tomopicker.report.figures import PICK_COLOUR

_FIXED = {
    "default-pn": "#1a9641", "default-pu": "#8cc63f", "default-kl": "#00634a",
    "default-distpu": "#1f78b4", "default-pu-sigmoid": "#6fb7d6",
    "paper-pn": "#c2a5cf", "paper-pu": "#8e5bb5", "paper-kl": "#40126b",
    "fast": "#00a5cf", "best": "#b5502a",
    "all-labelled": "#111111", "dog": "#7f7f7f", "ball": "#b5b5b5", "template": "#e6762a",
    "deepetpicker": "#e0302a", "cryolo": "#e8c31a",
}  # fmt: skip
"""Ours green, the paper's purple, DeepETPicker red and crYOLO yellow as in the paper's figures."""
_FURTHER = ("#d6408c", "#8c564b", "#17a398", "#b03060", "#5b6abf")
_ON_GREY = {"dog": "#ff6ad5", "ball": "#c59bff", "template": "#ff9a3c"}
"""Greys would vanish on a tomogram's section."""


def method_colours(methods: Sequence[Method]) -> dict[str, str]:
    """Give a colour to each method, on white."""
    colours, further = {}, iter(_FURTHER * len(methods))
    for method in methods:
        plain = method.name.lower().removesuffix(f"-{CHEAP_EPOCHS}-epochs")
        colours[method.name] = _FIXED[plain] if plain in _FIXED else next(further)
    return colours


def box_colour(method: Method, colours: dict[str, str]) -> str:
    """Give the colour of a method's boxes on a section: green for the networks of this program, as in the paper."""
    return PICK_COLOUR if method.kind == "network" else _ON_GREY.get(method.name, colours[method.name])
