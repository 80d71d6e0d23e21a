"""Routes that show volumes: geometry, sections, the brick, single particles and means."""

import asyncio
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.output.particles import encoded, projections
from tomopicker.studio.context import Routes, Studio, number, word
from tomopicker.studio.deconvolution import Deconvolution
from tomopicker.studio.points import positions
from tomopicker.studio.slabs import PLANES, jpeg, mean_slab

DAY = {"cache-control": "private, max-age=86400"}
"""Of pictures whose address has all that they depend on."""

ROUTES = Routes()


@ROUTES.get("/api/tomogram")
async def tomogram(studio: Studio, request: Request) -> Any:
    """Describe a tomogram, or another volume of it: its geometry, grey values and brick; opens it for good."""
    name, volume = word(request, "name"), word(request, "volume")
    kind = request.query_params.get("kind", "")
    thickness, deconvolution = number(request, "slab"), _deconvolution(request)
    opened = await asyncio.to_thread(studio.listing.tomogram, name, volume)
    grey = await asyncio.to_thread(studio.grey, opened, volume, thickness, deconvolution)
    brick = studio.brick(opened, volume, thickness)
    if kind in studio.project.kinds:
        studio.work.want(name, kind)
    return {
        "name": name,
        "volume": volume,
        "shape": list(opened.shape),
        "voxelSize": opened.voxel_size,
        "origin": list(opened.origin),
        "size": [(n - 1) * opened.frame.voxel_size for n in opened.frame.shape[::-1]],
        "quantiles": grey.quantiles,
        "deconvolution": None if deconvolution is None else asdict(deconvolution),
        "brick": {"factor": brick.factor, "shape": list(brick.shape), "order": brick.order},
        "warnings": list(opened.warnings),
        "features": studio.work.state(name, kind) if kind in studio.project.kinds else "none",
    }


@ROUTES.get("/api/section")
async def section(studio: Studio, request: Request) -> Response:
    """Draw a slab as JPEG, at the sampling of the file."""
    plane, volume = word(request, "plane", PLANES), word(request, "volume")
    position, thickness = number(request, "position"), number(request, "slab")
    window = number(request, "low"), number(request, "high")
    inverted, low_pass = number(request, "invert", 0.0) > 0, number(request, "lowpass", 0.0)
    deconvolution = _deconvolution(request)
    if not 0 <= low_pass <= 10_000 or not 0 < thickness <= 1e6:
        raise UsageError("a slab and a low-pass filter are lengths in Å")

    def draw() -> bytes:
        opened = studio.listing.tomogram(word(request, "name"), volume)
        slab = mean_slab(opened, plane, position, thickness)  # type: ignore[arg-type]
        grey = studio.grey(opened, volume, thickness)
        return jpeg(
            slab, grey, window, opened.voxel_size, inverted=inverted, low_pass=low_pass, deconvolution=deconvolution
        )

    return Response(await asyncio.to_thread(draw), media_type="image/jpeg", headers=DAY)


@ROUTES.get("/api/brick")
async def brick(studio: Studio, request: Request) -> StreamingResponse:
    """Stream the bytes of the binned volume, section by section in the order that `tomogram` states."""
    volume = word(request, "volume")
    opened = await asyncio.to_thread(studio.listing.tomogram, word(request, "name"), volume)
    made = await asyncio.to_thread(studio.brick, opened, volume, number(request, "slab"))
    return StreamingResponse(made.stream(), media_type="application/octet-stream")


@ROUTES.get("/api/thumb")
async def thumb(studio: Studio, request: Request) -> Response:
    """Draw the three projections of a particle."""
    xyz = number(request, "x"), number(request, "y"), number(request, "z")
    diameter = number(request, "diameter")
    if not 1 <= diameter <= 1e5:
        raise TomoPickerError("a particle diameter is a length in Å")

    def draw() -> bytes:
        box = studio.boxes.get(studio.listing.tomogram(word(request, "name")), xyz, diameter)
        if box is None:
            raise UsageError("this place is outside the tomogram")
        return encoded(projections(box, inverted=number(request, "invert", 0.0) > 0))

    return Response(await asyncio.to_thread(draw), media_type="image/jpeg", headers=DAY)


@ROUTES.get("/api/mean")
async def mean(studio: Studio, request: Request) -> Response:
    """Draw the mean of a kind's clicked particles in three planes; the header ``x-particles`` has their number."""
    kind = word(request, "kind", tuple(studio.project.kinds) or ("a kind of the project",))
    diameter = studio.project.kinds[kind].diameter
    points = studio.project.all_points(kind)

    def draw() -> tuple[bytes, int]:
        wanted = [
            (studio.listing.tomogram(name), (x, y, z))
            for name, each in points.items()
            for x, y, z in positions(each, "particle").tolist()
        ]
        box, count = studio.boxes.mean(wanted, diameter)
        if box is None:
            return b"", 0
        return encoded(projections(box, slab=0.12, inverted=number(request, "invert", 0.0) > 0)), count

    drawn, count = await asyncio.to_thread(draw)
    if not count:
        return Response(status_code=204)
    return Response(drawn, media_type="image/jpeg", headers={"x-particles": str(count)})


def _deconvolution(request: Request) -> Deconvolution | None:
    text = request.query_params.get("deconvolve", "")
    return Deconvolution.parse(text) if text else None
