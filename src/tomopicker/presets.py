"""The numbers of the presets, nested like `tomopicker.config.Settings`."""

from typing import Any


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge nested settings; steps asked for put the base's epochs out of use, and the reverse."""
    result = dict(base)
    for key, value in over.items():
        result[key] = (
            merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
        )
    if over.get("steps") is not None and over.get("epochs") is None:
        result["epochs"] = None
    if over.get("epochs") is not None and over.get("steps") is None:
        result["steps"] = None
    return result


PRESETS: dict[str, dict[str, Any]] = {
    "default": {
        "preprocess": {"clip_sd": 4.0, "working_diameter": 12.0, "mask": "auto"},
        "labels": {"target_fraction": 0.5},
        "patches": {
            "sampling": "two-stream", "size": 24, "batch": 24, "augment": True, "turned": 0.5, "rejected": 0.05,
        },
        "network": {
            "block": "resunet", "channels": (32, 80, 160), "dropout": 0.0, "stride": 2,
            "start": "shipped", "head": "trained",
        },
        "objective": {
            "kind": "pn", "loss": "logistic", "balanced": True, "gamma": "none", "kl_weight": 1.0,
            "kl_direction": "prior-model", "entropy_weight": 0.01, "negative_weight": 0.1,
            "prior_denominator": "unlabelled", "running_mean": 0.9,
        },
        "training": {
            "steps": "by-clicks", "epochs": None, "rounds": 3, "teachers": 2, "rounds_from": 10,
            "last_round": 1.6, "growth": 2.0,
            "confident": 0.9, "doubtful": 0.2, "learning_rate": 3e-3, "head_rate": 3.0,
            "schedule": "one-cycle", "weight_decay": 1e-4, "ema": 0.98, "hold_out": 0.0, "fold_steps": 60,
        },
        "inference": {"tile": 192, "halo": 8, "half_turns": False, "adapt": True},
        "picking": {"peaks": "local", "min_distance_fraction": 1.4, "border_fraction": 0.4, "smoothing_fraction": 0.2},
    },
    "paper": {
        "preprocess": {"clip_sd": 3.0, "working_diameter": None, "mask": "none"},
        "labels": {"target_fraction": 1.0},
        "patches": {"sampling": "blocks", "size": 24, "batch": 8, "augment": False, "turned": 0.0, "rejected": 0.05},
        "network": {
            "block": "resunet", "channels": (32, 64, 128, 256), "dropout": 0.0, "stride": 1,
            "start": "scratch", "head": "trained",
        },
        "objective": {
            "kind": "kl", "loss": "logistic", "balanced": False, "gamma": "none", "kl_weight": 1.0,
            "kl_direction": "model-prior", "entropy_weight": 0.01, "negative_weight": 0.1,
            "prior_denominator": "all", "running_mean": 0.0,
        },
        "training": {
            "steps": None, "epochs": 20, "rounds": 1, "teachers": 1, "rounds_from": 10,
            "last_round": 1.6, "growth": 2.0,
            "confident": 0.9, "doubtful": 0.2, "learning_rate": 2e-3, "head_rate": 1.0,
            "schedule": "plateau", "weight_decay": 0.0, "ema": 0.0, "hold_out": 0.2, "fold_steps": 0,
        },
        "inference": {"tile": 24, "halo": 0, "half_turns": False, "adapt": False},
        "picking": {"peaks": "greedy", "min_distance_fraction": 1.0, "border_fraction": 0.0, "smoothing_fraction": 0.0},
    },
}  # fmt: skip


CHANGES: dict[str, dict[str, Any]] = {
    "fast": {"training": {"rounds": 1}},
    "instant": {"network": {"head": "discriminant"}, "training": {"rounds": 1}},
    "best": {"training": {"rounds": 4, "teachers": 1}, "inference": {"half_turns": True}},
}
"""Presets that are the default one but for these settings."""

PRESETS |= {name: merged(PRESETS["default"], changes) for name, changes in CHANGES.items()}
