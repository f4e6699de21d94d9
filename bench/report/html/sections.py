"""The sections of the HTML page, one for each page of Markdown: its text rendered, its tables as data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it.token import Token
from markupsafe import Markup

from bench.report.html.links import Links
from bench.report.html.reports import MARKDOWN, Page, Reports, plain
from bench.report.html.table import Cell, Table, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A page of Markdown inside the HTML page."""

    id: str
    title: str
    blocks: Sequence[Markup | Table]
    """text between tables, and tables, in the order of the page"""


def sections(reports: Reports) -> list[Section]:
    """All pages, with pictures and data inside; their tokens are used up."""
    links = Links(reports=reports)
    return [Section(id=page.id, title=page.title, blocks=list(_blocks(links, page))) for page in reports.pages.values()]


def _blocks(links: Links, page: Page) -> Iterator[Markup | Table]:
    text: list[Token] = []  # since the last table
    heading = page.title
    tokens = iter(enumerate(page.tokens))
    for place, token in tokens:
        if token.type == "heading_open":
            heading = plain(page.tokens[place + 1])
        if token.type == "inline":
            children = token.children or []
            if [child.type for child in children] == ["image"] and page.tokens[place - 1].tag == "p":
                page.tokens[place - 1].tag = page.tokens[place + 1].tag = "figure"
            token.children = list(links.inlined(page, children))
        if token.type != "table_open":
            text.append(token)
            continue
        inside = [token]
        while inside[-1].type != "table_close":
            inside.append(next(tokens)[1])
        yield _rendered(text)
        text = []
        caption = page.title if heading == page.title else f"{page.title}: {heading}"
        head, *rows = _lines(links, page, inside)
        aligned = [cell.attrs.get("style") == "text-align:right" for cell in inside if cell.type == "th_open"]
        yield table(caption, head, rows, aligned)
    yield _rendered(text)


def _lines(links: Links, page: Page, tokens: Sequence[Token]) -> Iterator[list[Cell]]:
    """The lines of a table, the head first."""
    line: list[Cell] = []
    for token in tokens:
        if token.type == "tr_open":
            line = []
        elif token.type == "inline":
            text = plain(token)
            token.children = list(links.inlined(page, token.children or []))
            line.append(Cell(text=text, html=_rendered([token])))
        elif token.type == "tr_close":
            yield line


def _rendered(tokens: Sequence[Token]) -> Markup:
    """HTML of the tokens, whose texts the renderer has escaped."""
    return Markup(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))
