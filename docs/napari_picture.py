"""Draw napari.png for clicking.md: ``QT_API=pyqt6 xvfb-run python docs/napari_picture.py TOMOGRAM CLICKS Z``

In an environment with TomoPicker and ``napari[pyqt6]``; the page's is section 44 of the quick start's TS_0001.
"""

import sys
from pathlib import Path

import napari
from PIL import Image

IMAGE = Path(__file__).with_name("images") / "napari.png"
DIAMETER_VOXELS = 22


def main(tomogram: str, clicks: str, z: int) -> None:
    """Open both with the plugin, as circles of the particle's width in a slice as thick, and save the window."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1000, 720)
    (image,) = viewer.open(tomogram, plugin="tomopicker")
    (points,) = viewer.open(clicks, plugin="tomopicker")
    image.projection_mode = "none"
    points.size, points.border_width, points.mode = DIAMETER_VOXELS, 0.08, "add"
    points.current_size, points.border_color = DIAMETER_VOXELS, "#ffe14d"
    points.selected_data = set()
    viewer.dims.set_point(0, z)
    viewer.dims.margin_left = viewer.dims.margin_right = (DIAMETER_VOXELS / 2, 0, 0)
    viewer.reset_view()
    napari.qt.get_qapp().processEvents()
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
    picture.quantize(128).save(IMAGE, optimize=True)
    viewer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
