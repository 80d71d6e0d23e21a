"""A page of tables and pictures, as Markdown for a repository and as HTML for a browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tomopicker.report.benchmark_tables import Table
from tomopicker.report.tables import markdown_table


@dataclass(frozen=True)
class Picture:
    """A picture beside the page, what it shows, and how many of its kind go side by side."""

    file: str
    caption: str
    beside: int = 2


@dataclass(frozen=True)
class Part:
    """A headed part of a page: words, then tables, each with a line above it, then pictures."""

    title: str
    words: Sequence[str] = ()
    tables: Sequence[tuple[str, Table]] = ()
    pictures: Sequence[Picture] = ()

    @property
    def rows(self) -> list[tuple[int, list[Picture]]]:
        """Pictures that follow each other and are as many in a row, and how many that is."""
        return [(beside, list(alike)) for beside, alike in groupby(self.pictures, lambda picture: picture.beside)]


def markdown_page(title: str, parts: Sequence[Part]) -> str:
    """Write a page as Markdown."""
    blocks = [f"# {title}"]
    for part in parts:
        blocks += [f"## {part.title}", *part.words]
        for words, table in part.tables:
            blocks += [words, markdown_table(table.header, table.rows, left=table.left)]
        blocks += [f"![{picture.caption}]({picture.file})" for picture in part.pictures]
    return "\n\n".join(blocks) + "\n"


def html_page(title: str, parts: Sequence[Part]) -> str:
    """Write a page as HTML that needs nothing but its pictures."""
    folder = Path(__file__).with_name("templates")
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("benchmark.html").render(title=title, parts=parts)
