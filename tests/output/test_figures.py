"""What is drawn, and where: the pictures themselves are for people."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.geometry import Frame
from tomopicker.output.check_figure import HEIGHT, _draw_means, _figure
from tomopicker.output.figures import (
    PICK_COLOUR,
    TRUTH_COLOUR,
    Layer,
    best_section,
    compose_slice,
    fullest_section,
    slice_figure,
)
from tomopicker.tomogram import Tomogram

VOXEL = 10.0
SHAPE = (12, 40, 60)


def tomogram(data: np.ndarray | None = None) -> Tomogram:
    noise = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
    return Tomogram("TS_1", noise if data is None else data, VOXEL)


def layer(voxels: list[tuple[float, float, float]], colour: str = TRUTH_COLOUR, name: str = "truth") -> Layer:
    return Layer(name, np.array(voxels, dtype=np.float64).reshape(-1, 3) * VOXEL, colour)


def boxes(figure: Figure) -> list[PolyCollection]:
    return [item for item in figure.axes[0].collections if isinstance(item, PolyCollection)]


def test_a_box_of_the_diameter_stands_around_each_position_in_its_colour() -> None:
    figure = compose_slice(
        tomogram(), 5, [layer([(20, 10, 5), (31.5, 12.25, 6)]), layer([(50, 30, 5)], PICK_COLOUR, "picks")], 80.0
    )
    truth, picks = boxes(figure)
    extents = [path.get_extents().extents.tolist() for path in truth.get_paths()]
    assert extents == [[16, 6, 24, 14], [27.5, 8.25, 35.5, 16.25]]
    assert [path.get_extents().extents.tolist() for path in picks.get_paths()] == [[46, 26, 54, 34]]
    assert np.allclose(truth.get_edgecolor(), to_rgba(TRUTH_COLOUR))
    assert np.allclose(picks.get_edgecolor(), to_rgba(PICK_COLOUR))
    assert len(truth.get_facecolor()) == 0


@pytest.mark.parametrize(("depth", "drawn"), [(1.0, 1), (0.99, 0), (9.0, 1), (9.01, 0)])
def test_only_particles_within_their_radius_of_the_section_are_drawn(depth: float, drawn: int) -> None:
    figure = compose_slice(tomogram(), 5, [layer([(20, 10, depth)])], 80.0)
    assert len(boxes(figure)[0].get_paths()) == drawn
    assert figure.legends[0].get_texts()[0].get_text() == f"truth ({drawn})"


def test_layers_keep_their_order_and_lower_ones_show_next_to_the_ones_on_top() -> None:
    same = [(20.0, 10.0, 5.0)]
    truth, picks = boxes(compose_slice(tomogram(), 5, [layer(same), layer(same, PICK_COLOUR, "picks")], 80.0))
    assert (truth.get_label(), picks.get_label()) == ("truth", "picks")
    assert truth.get_linewidth()[0] > picks.get_linewidth()[0]


def test_no_layers_and_empty_layers_are_drawn_as_a_bare_section() -> None:
    assert compose_slice(tomogram(), 5, [], 80.0).legends == []
    assert len(boxes(compose_slice(tomogram(), 5, [layer([])], 80.0))[0].get_paths()) == 0


def test_axes_are_voxels_with_whole_voxels_at_the_rim_and_a_square_grid() -> None:
    axes = compose_slice(tomogram(), 5, [layer([(500, 10, 5)])], 80.0).axes[0]
    assert axes.get_xlim() == (-0.5, 59.5)
    assert axes.get_ylim() == (-0.5, 39.5)
    assert axes.get_aspect() == 1.0


def test_grey_is_the_mean_of_some_sections_from_percentile_1_to_99() -> None:
    given = tomogram()
    image = compose_slice(given, 5, [], 100.0).axes[0].images[0]  # 10 voxels wide: one section on either side
    expected = given.read()[4:7].mean(axis=0)
    assert np.allclose(image.get_array(), expected)
    assert np.allclose(image.get_clim(), np.percentile(expected, (1, 99)))


def test_averaging_stops_at_the_first_and_last_section() -> None:
    given = tomogram()
    for z, kept in ((0, slice(0, 2)), (11, slice(10, 12))):
        image = compose_slice(given, z, [], 100.0).axes[0].images[0]
        assert np.allclose(image.get_array(), given.read()[kept].mean(axis=0))


def test_an_inverted_tomogram_is_drawn_with_protein_dark() -> None:
    data = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
    flipped = Tomogram("TS_1", -data, VOXEL, inverted=True)
    one, other = (compose_slice(each, 5, [], 20.0).axes[0].images[0].get_array() for each in (tomogram(data), flipped))
    assert np.allclose(one, other)


def test_a_known_voxel_lands_inside_its_box_in_the_written_picture(tmp_path: Path) -> None:
    """Not swapped, not upside down: a dark voxel block lies in the picture where its box was drawn."""
    data = np.random.default_rng(0).normal(100, 1, SHAPE).astype(np.float32)
    data[:, 28:33, 8:13] = -100  # y = 30, x = 10
    path = tmp_path / "slice.png"
    slice_figure(tomogram(data), 5, [layer([(10, 30, 5)])], 120.0, path)
    from matplotlib.image import imread

    picture = imread(path)[..., :3]
    blue = np.argwhere(np.abs(picture - to_rgba(TRUTH_COLOUR)[:3]).max(axis=-1) < 0.1)
    blue = blue[blue[:, 0] < 0.85 * len(picture)]  # not the legend's
    top, left = blue.min(axis=0)
    bottom, right = blue.max(axis=0)
    middle = picture[(top + bottom) // 2, (left + right) // 2]
    rows, columns = picture.shape[:2]
    assert middle.max() < 0.1
    assert (top + bottom) / 2 < rows / 2, "large y is at the top"
    assert (left + right) / 2 < columns / 2, "small x is at the left"
    assert abs((bottom - top) - (right - left)) <= 2


def test_the_scale_bar_is_a_round_length_and_says_which() -> None:
    axes = compose_slice(tomogram(), 5, [], 80.0).axes[0]  # 60 nm wide: at most 12 nm
    (bar,) = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_gid() == "scale-bar"]
    assert bar.get_width() == pytest.approx(10)  # 10 nm in voxels of 10 Å
    assert [text.get_text() for text in axes.texts] == ["10 nm"]


@pytest.mark.parametrize("n_means", [1, 2, 3])
def test_scale_bars_and_their_numbers_lie_in_their_panels(n_means: int) -> None:
    """Small panels are less than an inch wide."""
    figure = _figure(HEIGHT)
    place = figure.subfigures(1, 2, squeeze=False)[0, 1] if n_means > 1 else figure
    means = {f"of {number}": np.zeros((35, 35, 35), np.float32) for number in range(n_means)}
    _draw_means(place, means, 13.48, 300.0)
    figure.draw_without_rendering()
    barred = [axes for axes in figure.get_axes() + place.get_axes() if axes.patches and axes.texts]
    assert barred
    for axes in barred:
        panel = axes.get_window_extent()
        for drawn in [*axes.patches, *axes.texts]:
            extent = drawn.get_window_extent()
            assert panel.x0 <= extent.x0 and extent.x1 <= panel.x1
            assert panel.y0 <= extent.y0 and extent.y1 <= panel.y1


def test_the_title_is_the_section_unless_another_is_given() -> None:
    assert compose_slice(tomogram(), 5, [], 80.0).texts[0].get_text() == "TS_1, section z = 5"
    assert compose_slice(tomogram(), 5, [], 80.0, "Mine").texts[0].get_text() == "Mine"


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_suffix_says_the_format_and_nothing_else_is_left(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / "pictures" / f"slice{suffix}"
    slice_figure(tomogram(), 5, [layer([(20, 10, 5)])], 80.0, path)
    assert path.read_bytes().startswith(start)
    assert list(path.parent.iterdir()) == [path]


def test_global_state_of_matplotlib_is_left_alone(tmp_path: Path) -> None:
    before, backend = dict(mpl.rcParams), mpl.get_backend(auto_select=False)
    slice_figure(tomogram(), 5, [layer([(20, 10, 5)])], 80.0, tmp_path / "slice.png")
    assert dict(mpl.rcParams) == before
    assert mpl.get_backend(auto_select=False) == backend


def test_what_cannot_be_drawn_is_one_line_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"slice\.bmp: .*\.png"):
        slice_figure(tomogram(), 5, [], 80.0, tmp_path / "slice.bmp")
    with pytest.raises(UsageError, match="sections 0 to 11, not 12"):
        slice_figure(tomogram(), 12, [], 80.0, tmp_path / "slice.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(TomoPickerError, match="cannot be written"):
        slice_figure(tomogram(), 5, [], 80.0, tmp_path / "file" / "slice.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_best_section_cuts_most_particles() -> None:
    depths = np.array([20.0, 22, 24, 50, 52])
    assert best_section(depths, 60, 2.0) == 22
    assert best_section(depths[3:], 60) == 42
    positions = np.stack([np.zeros(5), np.zeros(5), depths * VOXEL], axis=1)
    whole = Tomogram("a", np.zeros((60, 2, 2), dtype=np.float32), VOXEL)
    assert fullest_section(whole, positions, 40.0) == 22


def test_the_best_section_of_nothing_is_in_the_middle() -> None:
    assert best_section(np.empty(0), 61) == 30


def test_on_a_coarser_scale_boxes_stand_where_the_particle_is() -> None:
    """Its first voxel lies half a fine voxel from that of the finest, which positions count from."""
    coarse = replace(tomogram(), finest=Frame((24, 80, 120), VOXEL / 2), origin=(VOXEL / 4,) * 3)
    at = [(20, 10, 5)]
    assert compose_slice(coarse, 5, [layer(at)], 80.0).legends[0].get_texts()[0].get_text() == "truth (1)"
    (drawn,) = boxes(compose_slice(coarse, 5, [layer(at)], 80.0))
    assert drawn.get_paths()[0].get_extents().extents.tolist() == [15.75, 5.75, 23.75, 13.75]
    many = np.array([(0.0, 0.0, 2.4 * VOXEL), (0.0, 0.0, 3.4 * VOXEL)])
    assert fullest_section(coarse, many, 1.0 * VOXEL) == 3  # At 2.15 and 3.15 of its own sections.
