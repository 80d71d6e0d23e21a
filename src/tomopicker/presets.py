"""Presets: their differences from the defaults of `tomopicker.config.Settings`, nested like it."""

from typing import Any


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge nested settings; steps in `over` unset the epochs of `base`, and the reverse."""
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key, {})
        result[key] = merged(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    if over.get("steps") is not None and over.get("epochs") is None:
        result["epochs"] = None
    if over.get("epochs") is not None and over.get("steps") is None:
        result["steps"] = None
    return result


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "instant": {"network": {"head": "discriminant"}},
    "best": {"inference": {"tta": True}},
    "paper": {
        "preprocess": {"clip_sd": 3.0, "working_diameter": None, "mask": "none"},
        "labels": {"radius_fraction": 1.0},
        "patches": {"sampling": "blocks", "batch": 8, "augment": False, "rotation_prob": 0.0},
        "network": {"channels": (32, 64, 128, 256), "stride": 1, "pretrained": "none"},
        "objective": {
            "loss": "kl", "balanced": False, "kl_direction": "model-prior", "prior_denominator": "all",
            "prior_momentum": 0.0,
        },
        "training": {
            "steps": None, "epochs": 20, "learning_rate": 2e-3, "head_lr_factor": 1.0, "schedule": "plateau",
            "weight_decay": 0.0, "ema": 0.0, "validation_fraction": 0.2,
        },
        "inference": {"tile": 24, "halo": 0, "adabn": False},
        "picking": {
            "method": "greedy", "min_distance_fraction": 1.0, "border_fraction": 0.0, "smoothing_fraction": 0.0,
        },
    },
}  # fmt: skip
