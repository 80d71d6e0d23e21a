"""Routes whose handlers declare the parameters of a request, checked by pydantic."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, create_model
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tomopicker.config import first_problem
from tomopicker.errors import UsageError
from tomopicker.studio.project import Kind

Name = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Length = Annotated[float, Field(ge=1, le=1e5)]


def _kind(name: Any, info: Any) -> Kind:
    kinds: dict[str, Kind] = info.context.project.kinds
    if str(name) not in kinds:
        raise UsageError("there is no such kind in this project; add it first")
    return kinds[str(name)]


KindOfProject = Annotated[Kind, BeforeValidator(_kind)]
"""A kind of the project, requested by its name."""

Handler = Callable[..., Awaitable[Any]]


class Routes(list[Route]):
    """The routes of a module, each declared at its handler.

    A handler takes the `Studio` and the parameters of the request: those of the query, or the members of the JSON
    object in the body of a POST request. It returns a response, or a value for JSON.
    """

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Declare the handler of a GET request."""
        return lambda handler: self._declare(path, "GET", handler)

    def post(self, path: str) -> Callable[[Handler], Handler]:
        """Declare the handler of a POST request; if it has a parameter ``content``, this is the body itself."""
        return lambda handler: self._declare(path, "POST", handler)

    def _declare(self, path: str, method: str, handler: Handler) -> Handler:
        fields: dict[str, Any] = {
            name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in list(inspect.signature(handler).parameters.items())[1:]
        }
        model = create_model(handler.__name__, **fields)

        async def handle(request: Request) -> Response:
            given: dict[str, Any] = dict(request.query_params)
            if "content" in fields:
                given["content"] = await request.body()
            elif fields and method == "POST":
                given = await _json_object(request)
            studio = request.app.state.studio
            try:
                values = model.model_validate(given, context=studio)
            except ValidationError as error:
                raise UsageError(f"{first_problem(error)}; reload the page") from error
            answer = await handler(studio, **{name: getattr(values, name) for name in fields})
            return answer if isinstance(answer, Response) else JSONResponse(answer)

        self.append(Route(path, handle, methods=[method]))
        return handler


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        value = await request.json()
    except (ValueError, RecursionError) as error:
        raise UsageError("the request has no JSON") from error
    if not isinstance(value, dict):
        raise UsageError("the request must be a JSON object")
    return value
