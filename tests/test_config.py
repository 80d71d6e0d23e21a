"""Settings: the paper's values, precedence, and errors that name the setting."""

from pathlib import Path
from typing import get_args

import pytest

from tomopicker.config import Objective, PresetName, Settings, Training, read_settings_file, resolve
from tomopicker.errors import UsageError
from tomopicker.presets import PRESETS

DIAMETER = {"particle_diameter": 320.0}


def refused(asked, config=None):
    with pytest.raises(UsageError) as error:
        resolve(DIAMETER | asked, config)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_papers_numbers():
    """Sections 3.1 to 3.4 and 4.3."""
    paper = resolve({"preset": "paper", **DIAMETER})
    assert (paper.preprocess.clip_sd, paper.preprocess.working_diameter) == (3, None)
    assert paper.labels.radius_fraction == 1
    assert (paper.patches.sampling, paper.patches.batch, paper.patches.augment) == ("blocks", 8, False)
    assert (paper.network.block, paper.network.channels, paper.network.dropout) == ("resunet", (32, 64, 128, 256), 0)
    assert (paper.training.steps, paper.training.epochs) == (None, 20)
    assert (paper.training.learning_rate, paper.training.schedule) == (2e-3, "plateau")
    assert (paper.training.weight_decay, paper.training.ema) == (0, 0)  # Adam, its last weights
    assert (paper.objective.kl_direction, paper.objective.prior_denominator) == ("model-prior", "all")
    assert (paper.objective.balanced, paper.objective.prior_momentum) == (False, 0)
    assert (paper.inference.tile, paper.inference.halo) == (paper.patches.size, 0)
    assert (paper.picking.method, paper.picking.min_distance_fraction, paper.picking.smoothing_fraction) == (
        "greedy", 1, 0,
    )  # fmt: skip


def test_the_presets_are_complete_and_the_default_is_the_default():
    for name in PRESETS:
        assert resolve({"preset": name, **DIAMETER}).preset == name
    assert resolve(DIAMETER).preset == "default"


def test_best_is_the_default_with_half_turns():
    changed = resolve(DIAMETER | {"inference": {"tta": True}})
    assert resolve({"preset": "best", **DIAMETER}) == changed.model_copy(update={"preset": "best"})


def test_what_is_offered_is_what_there_is():
    """Every choice that the command line offers for a setting is valid."""
    assert set(get_args(PresetName)) == set(PRESETS)
    words = 0
    for name, model in {"": Settings, "objective": Objective, "training": Training}.items():
        for key, field in model.model_fields.items():
            flag = (field.json_schema_extra or {}).get("flag")
            for word in get_args(flag.type) if flag else ():
                words += 1
                settings = resolve(DIAMETER | ({name: {key: word}} if name else {key: word}))
                assert getattr(getattr(settings, name) if name else settings, key) == word
    assert words == 8


@pytest.mark.parametrize(("clicks", "steps"), [(1, 40), (5, 57), (20, 114), (100, 255), (1000, 280)])
def test_the_steps_follow_the_clicks(clicks, steps):
    assert resolve(DIAMETER | {"pseudo_labels.source": "none"}).steps_for(clicks) == steps


def test_asked_wins_over_config_wins_over_preset():
    config = {"seed": 1, "patches": {"batch": 4, "size": 32}}
    settings = resolve(DIAMETER | {"patches": {"batch": 6}}, config)
    assert (settings.seed, settings.patches.batch, settings.patches.size) == (1, 6, 32)
    assert settings.patches.augment == resolve(DIAMETER).patches.augment


def test_either_may_name_the_preset():
    assert resolve(DIAMETER, {"preset": "paper"}).network.channels == (32, 64, 128, 256)
    assert resolve(DIAMETER | {"preset": "default"}, {"preset": "paper"}).preset == "default"


def test_presets_are_not_changed_by_resolving():
    before = repr(PRESETS)
    resolve(DIAMETER | {"patches": {"batch": 6}}, {"training": {"epochs": 3}})
    assert repr(PRESETS) == before


def test_an_unknown_preset():
    text = refused({"preset": "nature"})
    assert "nature" in text
    assert "default" in text
    assert "paper" in text


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"colour": "blue"}, "colour"),
        ({"training": {"step": 5}}, "training.step"),
        ({"network": {"chanels": (8, 16)}}, "network.chanels"),
        ({"network": {"block": "transformer"}}, "network.block"),
        ({"patches": {"batch": 0}}, "patches.batch"),
        ({"patches": {"size": "large"}}, "patches.size"),
        ({"objective": {"loss": "topaz"}}, "objective.loss"),
        ({"labels": {"radius_fraction": 1.5}}, "labels.radius_fraction"),
        ({"training": 7}, "training"),
        ({"training": None}, "training"),
        ({"network": {"channels": (8,)}}, "network.channels"),
        ({"network": {"dropout": 1.0}}, "network.dropout"),
        ({"seed": -1}, "seed"),
        ({"particle_diameter": 0.0}, "particle_diameter"),
        ({"particle_diameter": float("nan")}, "particle_diameter"),
        ({"expected_particles": -3.0}, "expected_particles"),
    ],
)
def test_what_cannot_be_is_refused_by_name(asked, name):
    assert refused(asked).startswith(f"{name}:")
    if "particle_diameter" not in asked:
        assert refused({}, asked).startswith(f"{name}:")


def test_the_diameter_is_needed():
    with pytest.raises(UsageError, match="particle_diameter"):
        resolve({})


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"patches": {"size": 30}}, "patches.size"),
        ({"inference": {"tile": 50}}, "inference.tile"),
        ({"inference": {"halo": 6}}, "inference.halo"),
        ({"network": {"channels": (4, 8, 16, 32, 64)}}, "patches.size"),
    ],
)
def test_sizes_must_suit_the_poolings(asked, name):
    text = refused(asked)
    assert name in text
    assert "multiple of" in text


def test_two_streams_need_two_patches():
    assert "patches.batch" in refused({"patches": {"batch": 1}})
    assert resolve(DIAMETER | {"preset": "paper", "patches": {"batch": 1}}).patches.batch == 1


@pytest.mark.parametrize("where", ["asked", "config"])
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_steps_and_epochs_switch_each_other_off(preset, where):
    for training, expected in (({"steps": 7}, (7, None)), ({"epochs": 7}, (None, 7))):
        asked = DIAMETER | {"preset": preset}
        settings = (
            resolve(asked | {"training": training}) if where == "asked" else resolve(asked, {"training": training})
        )
        assert (settings.training.steps, settings.training.epochs) == expected


def test_asked_steps_win_over_configured_epochs():
    settings = resolve(DIAMETER | {"training": {"steps": 7}}, {"training": {"epochs": 3}})
    assert (settings.training.steps, settings.training.epochs) == (7, None)


@pytest.mark.parametrize("training", [{"steps": 7, "epochs": 3}, {"steps": None, "epochs": None}])
def test_both_or_neither_are_refused(training):
    assert "either steps or epochs" in refused({"training": training})


def test_settings_are_frozen_and_survive_json():
    settings = resolve(DIAMETER | {"expected_particles": 500.0})
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 3
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings


def test_every_knob_is_described():
    for name, field in type(resolve(DIAMETER)).model_fields.items():
        for inner, knob in getattr(field.annotation, "model_fields", {}).items():
            assert knob.description, f"{name}.{inner}"


def test_reading_a_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("preset: paper\nparticle_diameter: 250\ntraining:\n  steps: 9\nnetwork: {channels: [8, 16]}\n")
    settings = resolve({}, read_settings_file(path))
    assert (settings.preset, settings.particle_diameter, settings.training.steps) == ("paper", 250, 9)
    assert settings.network.channels == (8, 16)


def test_an_empty_file_changes_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_settings_file(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    "content",
    [b"- a\n- list\n", b"just words", b"a: [1, 2", b"\ta: 1", b"\xff\xfe\x00", b"!!python/object/apply:os.getcwd []"],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path, content):
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as error:
        read_settings_file(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(UsageError, match="--config"):
        read_settings_file(tmp_path / Path(name))
