"""Model files: what is saved comes back bit by bit, and anything else is one line that names the file."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tomopicker.config import resolve
from tomopicker.errors import TomoPickerError
from tomopicker.pu.particle_scores import ParticleScores, from_clicks
from tomopicker.training.checkpoint import (
    CHECKPOINT,
    MODEL,
    VERSION,
    Model,
    build_network,
    load_model,
    load_tensors,
    save_model,
    save_tensors,
)


@pytest.fixture
def model():
    settings = resolve({"particle_diameter": 320.0, "network": {"channels": (4, 6, 8)}})
    torch.manual_seed(0)
    network = build_network(settings)
    network(torch.randn(2, 1, 8, 8, 8))  # running statistics of its own
    return Model(
        network.eval(), settings, 13.48, -1.25, None, {"tomopicker": "0.1.0", "clicks": 20, "priors": [0.1, 1e-3]},
        displacement=(1.5, 0.0, -2.25),
    )  # fmt: skip


def refused(path, load=load_model):
    with pytest.raises(TomoPickerError) as error:
        load(path)
    text = str(error.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_round_trip(tmp_path, model):
    path = tmp_path / "ribosome.model"
    save_model(path, model)
    back = load_model(path)
    state, again = model.network.state_dict(), back.network.state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) and state[name].dtype == again[name].dtype for name in state)
    assert back.settings == model.settings
    assert (back.voxel_size, back.offset, back.threshold) == (13.48, -1.25, None)
    assert back.displacement == (1.5, 0.0, -2.25)
    assert back.provenance == model.provenance
    assert not back.network.training
    patches = torch.randn(1, 1, 8, 8, 8)
    assert torch.equal(model.network(patches), back.network(patches))
    assert [p.name for p in tmp_path.iterdir()] == ["ribosome.model"]


def test_calibration_and_warnings_come_back(tmp_path, model):
    path = tmp_path / "m"
    assert model.particle_scores is None
    scores = ParticleScores(4.5, 1.25, 0.5, 0.1, 0.02, 1e-4, np.array([3.25, -1.5, 1 / 3]), 1234.0, 0.25)
    save_model(path, replace(model, particle_scores=scores, warnings=("doubtful",)))
    back = load_model(path)
    assert (back.displacement, back.warnings) == ((1.5, 0.0, -2.25), ("doubtful",))
    assert {**vars(back.particle_scores), "rejected": None} == {**vars(scores), "rejected": None}
    assert (back.particle_scores.rejected == scores.rejected).all()
    tensors, facts = load_tensors(path, MODEL)
    save_tensors(path, MODEL, tensors, {**facts, "particle_scores": None})
    assert "damaged" in refused(path)


def test_radius_in_working_voxels(model):
    assert model.radius == pytest.approx(160 / 13.48)


@pytest.mark.parametrize("block", ["unet", "multires"])
def test_the_network_of_the_settings_is_built(tmp_path, block):
    settings = resolve({"particle_diameter": 320.0, "network": {"channels": (4, 8), "block": block, "dropout": 0.25}})
    save_model(tmp_path / "m", Model(build_network(settings), settings, 10.0, 0.0, 0.5, {}))
    assert load_model(tmp_path / "m").settings.network == settings.network


def test_tensors_in_any_layout_and_type(tmp_path):
    tensors = {
        "a": torch.randn(2, 3, 4, 4, 4).to(memory_format=torch.channels_last_3d),
        "b": torch.arange(5),
        "c": torch.tensor(3.5, dtype=torch.float64),
        "d": torch.tensor([float("inf"), -0.0]),
    }
    save_tensors(tmp_path / "c", CHECKPOINT, tensors, {"step": 7, "rate": 0.1, "nested": [{"x": None}]})
    back, facts = load_tensors(tmp_path / "c", CHECKPOINT)
    assert all(torch.equal(tensors[n], back[n]) and tensors[n].dtype == back[n].dtype for n in tensors)
    assert facts == {"step": 7, "rate": 0.1, "nested": [{"x": None}]}


def test_missing_file(tmp_path):
    assert "no such model" in refused(tmp_path / "nothing.model")


def test_a_folder(tmp_path):
    refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 100, b"\xff" * 1000, b"data_particles\nloop_\n", b"{}" * 50])
def test_not_a_model(tmp_path, content):
    path = tmp_path / "odd.model"
    path.write_bytes(content)
    assert "not a tomopicker model" in refused(path)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_pickles_are_never_opened(tmp_path, write):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    path = tmp_path / "network.pt"
    if write is torch.save:
        torch.save({"weight": torch.zeros(3)}, path)
    else:
        write(Bomb(), path)
    refused(path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_truncated(tmp_path, model, share):
    path = tmp_path / "cut.model"
    save_model(path, model)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path)


def test_a_corrupted_header(tmp_path, model):
    path = tmp_path / "odd.model"
    save_model(path, model)
    content = bytearray(path.read_bytes())
    content[20:40] = b"\0" * 20
    path.write_bytes(content)
    refused(path)


def test_someone_elses_safetensors(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert "not a tomopicker model" in refused(path)


def test_a_checkpoint_is_no_model_and_a_model_no_checkpoint(tmp_path, model):
    save_tensors(tmp_path / "c", CHECKPOINT, {"a": torch.zeros(1)}, {})
    refused(tmp_path / "c")
    save_model(tmp_path / "m", model)
    assert "training checkpoint" in refused(tmp_path / "m", lambda path: load_tensors(path, CHECKPOINT))


def test_a_newer_version(tmp_path):
    path = tmp_path / "new.model"
    save_file({}, path, {"format": MODEL, "version": str(VERSION + 1), "facts": "{}"})
    assert "newer" in refused(path)


@pytest.mark.parametrize("version", ["", "one", "-1"])
def test_no_version(tmp_path, version):
    path = tmp_path / "odd.model"
    save_file({}, path, {"format": MODEL, "version": version, "facts": "{}"})
    refused(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("threshold"),
        lambda facts: facts.pop("provenance"),
        lambda facts: facts.update(voxel_size=None),
        lambda facts: facts.update(threshold="high"),
        lambda facts: facts["settings"].update(preset="nature"),
        lambda facts: facts["settings"]["network"].update(channels=[4, 8]),
        lambda facts: facts["settings"].update(colour="blue"),
        lambda facts: facts.update(settings="default"),
    ],
)
def test_facts_that_cannot_be(tmp_path, model, change):
    path = tmp_path / "odd.model"
    save_model(path, model)
    tensors, facts = load_tensors(path, MODEL)
    change(facts)
    save_tensors(path, MODEL, tensors, facts)
    refused(path)


@pytest.mark.parametrize("facts", ["", "{", "[1, 2]", "3", "null"])
def test_facts_that_are_not_json_or_not_a_mapping(tmp_path, facts):
    path = tmp_path / "odd.model"
    save_file({}, path, {"format": MODEL, "version": str(VERSION), "facts": facts})
    refused(path)


def test_missing_and_misshapen_weights(tmp_path, model):
    path = tmp_path / "odd.model"
    save_model(path, model)
    tensors, facts = load_tensors(path, MODEL)
    save_tensors(path, MODEL, {n: t for n, t in tensors.items() if n != "head.bias"}, facts)
    refused(path)
    save_tensors(path, MODEL, tensors | {"head.bias": torch.zeros(7)}, facts)
    refused(path)


@pytest.mark.parametrize("damage", [{"mean": "much"}, {"sd": [1]}, {"deviation": 1.0}, {"mean": None}])
def test_particle_scores_that_are_no_numbers(tmp_path, model, damage):
    path = tmp_path / "odd.model"
    save_model(path, replace(model, particle_scores=from_clicks(np.array([3.0, 4.0]))))
    assert load_model(path).particle_scores.mean == pytest.approx(from_clicks(np.array([3.0, 4.0])).mean)
    tensors, facts = load_tensors(path, MODEL)
    save_tensors(path, MODEL, tensors, {**facts, "particle_scores": {**facts["particle_scores"], **damage}})
    refused(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, model, monkeypatch):
    path = tmp_path / "ribosome.model"
    save_model(path, model)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tomopicker.training.checkpoint.save_file", full)
    assert "No space left" in refused(path, lambda p: save_model(p, model))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_settings_are_readable_without_tomopicker(tmp_path, model):
    """The header of a safetensors file is JSON after eight bytes: provenance can be read in years to come."""
    path = tmp_path / "ribosome.model"
    save_model(path, model)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["facts"])["settings"]["particle_diameter"] == 320
