"""Routes that show volumes: geometry, sections, the brick, single particles and means."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from starlette.responses import Response, StreamingResponse

from tomopicker.errors import UsageError
from tomopicker.output.particles import encode_jpeg, projections
from tomopicker.studio.context import Studio
from tomopicker.studio.deconvolution import Deconvolution
from tomopicker.studio.points import positions
from tomopicker.studio.routing import KindOfProject, Length, Name, Number, Routes
from tomopicker.studio.slabs import Plane, jpeg, mean_slab

CACHE_FOR_A_DAY = {"cache-control": "private, max-age=86400"}
"""Header of pictures whose address has all that they depend on."""
Filter = Annotated[Deconvolution | None, BeforeValidator(lambda text: Deconvolution.parse(text) if text else None)]
Thickness = Annotated[float, Field(gt=0, le=1e6)]

ROUTES = Routes()


@ROUTES.get("/api/tomogram")
async def tomogram(
    studio: Studio, name: Name, volume: Name, slab: Thickness, kind: str = "", deconvolve: Filter = None
) -> Any:
    """Open a tomogram, or another volume of it: geometry, grey values and brick."""
    opened = await asyncio.to_thread(studio.listing.tomogram, name, volume)
    grey = await asyncio.to_thread(studio.grey, opened, volume, slab, deconvolve)
    brick = studio.brick(opened, volume, slab)
    has_kind = kind in studio.project.kinds
    if has_kind:
        studio.instant.request_features(name, kind)
    return {
        "name": name,
        "volume": volume,
        "shape": list(opened.shape),
        "voxelSize": opened.voxel_size,
        "origin": list(opened.origin),
        "size": [(n - 1) * opened.frame.voxel_size for n in opened.frame.shape[::-1]],
        "quantiles": grey.quantiles,
        "deconvolution": None if deconvolve is None else asdict(deconvolve),
        "brick": {"factor": brick.factor, "shape": list(brick.shape), "order": brick.order},
        "warnings": list(opened.warnings),
        "features": studio.instant.state(name, kind) if has_kind else "none",
    }


@ROUTES.get("/api/section")
async def section(
    studio: Studio,
    name: Name,
    volume: Name,
    plane: Plane,
    position: Number,
    slab: Thickness,
    low: Number,
    high: Number,
    invert: bool = False,
    lowpass: Annotated[float, Field(ge=0, le=10_000)] = 0.0,
    deconvolve: Filter = None,
) -> Response:
    """Draw a slab as JPEG, at the sampling of the file."""

    def draw() -> bytes:
        opened = studio.listing.tomogram(name, volume)
        grey = studio.grey(opened, volume, slab)
        mean = mean_slab(opened, plane, position, slab)
        return jpeg(
            mean, grey, (low, high), opened.voxel_size, inverted=invert, low_pass=lowpass, deconvolution=deconvolve
        )

    return Response(await asyncio.to_thread(draw), media_type="image/jpeg", headers=CACHE_FOR_A_DAY)


@ROUTES.get("/api/brick")
async def brick(studio: Studio, name: Name, volume: Name, slab: Thickness) -> StreamingResponse:
    """Stream the bytes of the binned volume, section by section in the order that `tomogram` states."""
    opened = await asyncio.to_thread(studio.listing.tomogram, name, volume)
    brick = await asyncio.to_thread(studio.brick, opened, volume, slab)
    return StreamingResponse(brick.stream(), media_type="application/octet-stream")


@ROUTES.get("/api/thumb")
async def thumb(
    studio: Studio, name: Name, x: Number, y: Number, z: Number, diameter: Length, invert: bool = False
) -> Response:
    """Draw the three projections of a particle."""

    def draw() -> bytes:
        box = studio.boxes.get(name, (x, y, z), diameter)
        if box is None:
            raise UsageError("this place is outside the tomogram")
        return encode_jpeg(projections(box, inverted=invert))

    return Response(await asyncio.to_thread(draw), media_type="image/jpeg", headers=CACHE_FOR_A_DAY)


@ROUTES.get("/api/mean")
async def mean(studio: Studio, kind: KindOfProject, invert: bool = False) -> Response:
    """Draw the mean of a kind's clicked particles in three planes; the header ``x-particles`` has their number."""
    places = [
        (name, (x, y, z))
        for name, points in studio.project.all_points(kind.name).items()
        for x, y, z in positions(points, "particle").tolist()
    ]
    box, count = await asyncio.to_thread(studio.boxes.mean, places, kind.diameter)
    if box is None:
        return Response(status_code=204)
    drawn = encode_jpeg(projections(box, slab=0.12, inverted=invert))
    return Response(drawn, media_type="image/jpeg", headers={"x-particles": str(count)})
