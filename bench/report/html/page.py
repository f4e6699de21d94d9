"""The reports as one HTML page that needs nothing else: pictures, data and evidence inside, no network.

The Markdown is the source, and the page says what it says: a command that writes one table has the other tables only as
their pages. In the page, tables sort by their heads (``page.js``) and are cards on a phone (``page.css``), pictures
follow the reader's colour scheme, a link to evidence opens the file, and a link to a CSV saves it. Its policy
(``page.html.jinja``) forbids the browser to load anything.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report.html.evidence import evidence_groups
from bench.report.html.labels import LEGEND
from bench.report.html.reports import EVIDENCE, read
from bench.report.html.sections import sections

_HERE = Path(__file__).parent

_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
"""the templates beside this file: all text is escaped but Markup, and a name that is not given is an error"""


def html_page(files: Mapping[str, bytes]) -> str:
    """Make the whole page: the same bytes for the same files.

    Args:
        files: of the reports folder by path relative to it, with slashes: Markdown pages, among them ``README.md``,
            the index; their pictures, an SVG in place of the PNG beside it; CSVs; and what lies in ``evidence/``.
            Others are left out.
    """
    reports = read(files)
    style, script = ((_HERE / name).read_text() for name in ("page.css", "page.js"))
    return _TEMPLATES.get_template("page.html.jinja").render(
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
        sections=sections(reports),
        evidence_id=EVIDENCE,
        evidence=evidence_groups(reports.evidence),
        tones=LEGEND,
    )


def _hash(text: str) -> str:
    """The hash by which a content security policy permits a style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
