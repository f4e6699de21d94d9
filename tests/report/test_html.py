"""The HTML page: what the Markdown says is inside, links hold, and nothing is loaded. A browser's part comes after."""

import base64
import functools
import json
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote, unquote

import pytest
from matplotlib.colors import to_hex

from bench.cli.output import read_reports
from bench.report.figures.diagrams import INK
from bench.report.figures.plots import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from bench.report.html.labels import LEGEND, tone
from bench.report.html.page import html_page
from bench.report.html.schemes import DARK_PAGE, DARK_TEXT, in_both_schemes, in_the_dark
from bench.results.codec import sealed
from tests.conftest import ROOT

# A drawing of matplotlib's kind, and a picture of one pixel.
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt" viewBox="0 0 72 36"></svg>'
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)

INDEX = """# Reports

Raw <script>alert("no")</script> & [the claims](claims.md#what-holds) and [Table 10](table_10.md), as
[data](table_9.csv), once [more](table_9.csv), [elsewhere](https://example.org/a?b=c), [code](../bench/spec/run.py).

![Figure 1: a picture](figure_1.png)

![The same](figure_1.png) and ![none](no.png), for print [a drawing](figure_1.svg).

| Table  |   cells |
|:-------|--------:|
| one    |       3 |
| two    |       1 |
| all    |       4 |

See [the record](evidence/a%20run/record.json) and [another](evidence/edited.json), of [all](evidence/).
"""

TABLE = """# Table 9: A table

| Group | Model | Top-1 %: paper | Params M: paper | Params M: ours | Params: verdict | Kind |
|:------|:------|---:|---:|---:|:---|:---|
| first | B\\*  | ~9.5 | 21,545,550 | -27.1 | equal | 128-736 |
|       | A     | 54.00 ± 0.8 (n=3) | 5 | 44.2 % | differs | 1024 |
| last  | C     | - | 1e-4 | above 3.0 | - | - |
"""

RECORD = sealed({"value": 1, "text": "</pre><b>"})

FILES = {
    "README.md": INDEX.encode(),
    "table_10.md": b"# Table 10: Later\n",
    "table_9.md": TABLE.encode(),
    "claims.md": b"# Claims\n\n## What holds\n\n## What holds\n\nSee [above](#what-holds-1), [the index](README.md).\n",
    "beside.md": b"# Beside\n\nWritten by another hand: \xff.\n",
    "table_9.csv": b"model,top1\nA,1.0\n",
    "figure_1.png": PNG,
    "figure_1.svg": SVG,
    "figure_2.png": PNG,
    "evidence/a run/metrics.jsonl": b'{"epoch": 0}\n',
    "evidence/a run/record.json": RECORD.encode(),
    "evidence/edited.json": RECORD.replace("1", "2", 1).encode(),
    "evidence/large.json": sealed({"value": "x" * 200_000}).encode(),
    "evidence/old.json": b'{"value": 1}',
}


class Parsed(HTMLParser):
    """Ids, links, sources, headings, and tables as lines of (tag, attributes, text)."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.sources, self.headings, self.tables, self.text = [], [], [], [], [], ""
        self.cell, self.in_link = None, False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "a":
            self.in_link = True
            self.links.append(attrs | {"text": ""})
        self.sources += [attrs[name] for name in ("src", "srcset", "data", "action") if name in attrs]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = [tag, attrs, ""]
            self.tables[-1][-1].append(self.cell)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = None
        self.in_link &= tag != "a"

    def handle_data(self, data):
        self.text += data
        if self.in_link:
            self.links[-1]["text"] += data
        if self.cell:
            self.cell[2] += data


@pytest.fixture(scope="module")
def page():
    return html_page(FILES)


@pytest.fixture(scope="module")
def parsed(page):
    return Parsed(page)


@functools.cache
def real():
    """The page of the committed reports."""
    return html_page(read_reports(ROOT / "reports"))


@pytest.mark.parametrize("make", [lambda: html_page(FILES), real], ids=["made up", "committed"])
def test_links_hold_and_nothing_is_loaded(make):
    html = make()
    parsed = Parsed(html)
    assert len(parsed.ids) == len(set(parsed.ids))
    for link in parsed.links:
        inside = link["href"].startswith("#")
        assert not inside or unquote(link["href"][1:]) in parsed.ids, link
        assert inside or link["href"].startswith(("https://", "data:")), link
        assert link["href"].startswith("data:") == ("download" in link)
    assert all(source.startswith("data:image/") for source in parsed.sources)
    assert not re.search(r"@import|url\(|<link (?!rel=\"icon\" href=\"data:,\")", html)
    assert parsed.headings[0] == 1
    assert parsed.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(parsed.headings, parsed.headings[1:], strict=False))


def test_every_page_and_picture_is_inside_in_order(page, parsed):
    sections = [name for name in parsed.ids if ":" not in name and not name.endswith((".csv", ".json", ".jsonl"))]
    assert sections == ["README", "claims", "figure_2", "table_9", "table_10", "beside", "evidence/"]
    pictures = [base64.b64decode(source.partition(",")[2]) for source in parsed.sources]
    assert pictures == [
        in_both_schemes(SVG.decode()).encode(),
        PNG,
    ]  # each once: the drawing in place of its picture, and one that no page shows
    assert {"picture:figure_1", "picture:figure_2"} <= set(parsed.ids)
    assert 'width="96" height="48" alt="Figure 1: a picture"' in page
    contents = page.partition("</nav>")[0]
    assert re.findall(r'<li><a href="#([^"]+)"', contents) == sections


def test_every_report_of_the_repository_is_inside():
    files = read_reports(ROOT / "reports")
    parsed = Parsed(real())
    assert {name.removesuffix(".md") for name in files if name.endswith(".md")} <= set(parsed.ids)
    pictures = {name.rpartition(".")[0] for name in files if name.endswith((".png", ".svg"))}
    assert {f"picture:{name}" for name in pictures} <= set(parsed.ids)
    assert len(parsed.sources) == len(pictures)


def test_cells_are_those_of_the_markdown():
    """Of every table of every report: where the Markdown leaves a group's name out, the page repeats it."""
    files = {name: text.decode() for name, text in read_reports(ROOT / "reports").items() if name.endswith(".md")}
    lines = [line for name in files for line in files[name].splitlines() if re.match(r"\|(?!:?---)", line)]
    linked = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line) for line in lines]
    plain = [re.sub(r"\\(.)|`", r"\1", line) for line in linked]
    wanted = sorted(tuple(cell.strip() for cell in line.strip("|").split("|")) for line in plain)
    found = []
    for table in Parsed(real()).tables:
        heads = [cell for line in table for cell in line if cell[0] == "th" and "data-column" in cell[1]]
        heads.sort(key=lambda cell: int(cell[1]["data-column"]))
        found.append(tuple(attrs.get("aria-label") or text for _, attrs, text in heads))
        for line in table:
            if not any(attrs.get("scope", "").startswith("col") for _, attrs, _ in line):
                repeated = ("repeated" in attrs.get("class", "") for _, attrs, _ in line)
                texts = ("" if again else text for again, (_, _, text) in zip(repeated, line, strict=True))
                found.append(tuple(texts))
    found = [tuple("" if cell.startswith("Column ") else cell for cell in line) for line in found]
    assert len(wanted) > 300
    assert sorted(found) == wanted


def test_what_a_page_says_is_text_and_never_markup(page, parsed):
    assert "<script>alert" not in page
    assert 'Raw <script>alert("no")</script> &' in parsed.text
    assert "</pre><b>" in parsed.text
    assert "Written by another hand: \ufffd." in parsed.text
    assert "<b>" not in page


def test_templates_escape_whatever_they_are_given():
    """Each text tries to leave the element or the attribute that it stands in."""
    nasty = "\"'><b>&lt;"
    written = nasty.replace("<", "\\<").replace("&", "\\&")  # in Markdown
    index = f"""# {written}: title

| {written}: {written} | {written}: ours |
|:---|---:|
| {written} | 2 |
"""
    files = {
        "README.md": index.encode(),
        f"{nasty}.md": b"A page without a title.\n",
        f"evidence/{nasty}.json": json.dumps({"checksum": nasty}).encode(),
        f"evidence/{nasty}.jsonl": b"x" * 200_000,
    }
    html = html_page(files)
    parsed = Parsed(html)
    assert "<b>" not in html
    identifiers = ["README", nasty, "evidence/", f"evidence/{nasty}.json", f"evidence/{nasty}.jsonl"]
    assert [name for name in parsed.ids if not re.match("README:|evidence/:", name)] == identifiers
    assert f"#{quote(nasty)}" in [link["href"] for link in parsed.links]
    of_the_pages = 8  # title of the document, contents twice, heading, caption, group of columns, column, cell
    of_the_evidence = 5  # path of each file, checksum, text, and path again of the one that is too large
    assert parsed.text.count(nasty) == of_the_pages + of_the_evidence
    (((group, *_), (head, _), (cell, _)),) = parsed.tables
    assert head[1]["aria-label"] == f"{nasty}: {nasty}"
    assert group[2] == head[2] == cell[2] == nasty


def test_links_lead_to_places_inside_or_say_that_they_do_not(page, parsed):
    by_text = {link["text"]: link["href"] for link in parsed.links}
    assert by_text["the claims"] == "#claims%3Awhat-holds"
    assert by_text["above"] == "#claims%3Awhat-holds-1"
    assert by_text["Table 10"] == "#table_10"
    assert by_text["the index"] == "#README"
    assert by_text["more"] == "#table_9.csv"  # which is inside once
    assert by_text["a drawing"] == by_text["The same"] == "#picture%3Afigure_1"
    assert by_text["the record"] == "#evidence/a%20run/record.json"
    assert by_text["all"] == "#evidence/"
    assert by_text["elsewhere"] == "https://example.org/a?b=c"
    assert '<span class="outside" title="not in this page: ../bench/spec/run.py">code</span>' in page
    assert '<span class="outside" title="not in this page: no.png">none</span>' in page
    (data,) = [link for link in parsed.links if "download" in link]
    assert data["download"] == "table_9.csv"
    assert base64.b64decode(data["href"].partition(",")[2]) == FILES["table_9.csv"]


def test_heads_values_and_labels_of_a_table(parsed):
    _, table = parsed.tables
    groups, heads = [[(cell[2], cell[1]) for cell in line] for line in table[:2]]
    assert [name for name, _ in groups] == ["Group", "Model", "Top-1 %: paper", "Params M", "Kind"]
    assert groups[3][1] == {"colspan": "3", "scope": "colgroup"}
    assert groups[0][1]["rowspan"] == "2"
    assert [(name, attrs["aria-label"]) for name, attrs in heads] == [
        ("paper", "Params M: paper"),
        ("ours", "Params M: ours"),
        ("verdict", "Params: verdict"),
    ]
    every = {attrs["data-column"]: attrs for _, attrs in groups + heads if "data-column" in attrs}
    assert [column for column in sorted(every) if "data-numeric" in every[column]] == ["2", "3", "4"]
    values = [[attrs.get("data-value") for _, attrs, _ in line[2:5]] for line in table[2:]]
    assert values == [["9.5", "21545550", "-27.1"], ["54.00", "5", "44.2"], [None, "1e-4", "3.0"]]
    assert [["data-missing" in attrs for _, attrs, _ in line] for line in table[2:]][2] == [0, 0, 1, 0, 0, 1, 1]
    assert [line[0][2] for line in table[2:]] == ["first", "first", "last"]
    assert [line[0][1]["class"] for line in table[2:]] == ["grouping", "grouping repeated", "grouping"]
    assert [line[1][:2] for line in table[2:]] == [["th", {"scope": "row"}]] * 3


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("completed", "good"),
        ("corrupt record", "bad"),
        ("running, epoch 3 of 310", "near"),
        ("diverged, epoch 2 of 310", "bad"),
        ("not begun", "none"),
        ("holdsfast", None),
    ],
)
def test_the_label_of_a_status(text, wanted):
    assert tone(text) == wanted


def test_verdicts_have_a_label_and_the_last_line_is_the_total(page):
    assert '<span class="label good">equal</span>' in page
    assert '<span class="label bad">differs</span>' in page
    assert re.search(r"<tfoot>\n<tr><th[^>]*>all</th>", page)


def test_evidence_shows_its_checksum(page):
    metrics, good, edited, large, old = page.split('<details class="file" id=')[1:]
    checksum = re.search('"checksum": "(.*?)"', RECORD)[1]
    assert good.startswith('"evidence/a run/record.json"')
    assert f'<p>checksum <code>{checksum}</code></p><pre tabindex="0">{{' in good
    assert "label" not in good + metrics
    assert '<pre tabindex="0">{"epoch": 0}' in unescape(metrics)
    assert '<span class="label bad">corrupt</span>' in edited
    assert "bytes, too large for this page; see <code>evidence/large.json</code> in the reports folder" in large
    assert "<pre" not in large
    assert "label" not in old.partition("</details>")[0]


def test_evidence_is_grouped_by_kind():
    paths = [
        "t2t_vit_7-cifar10-pilot-s1-ca1477ae/record.json",
        "complexity/resnet50-224px.json",
        "t2t_vit_7-tiny-imagenet-200-pilot-s0-1d870f22/record.json",
        "step.json",
        "t2t_vit_7-cifar10-pilot-s0-1d870f22/record.json",
        "recorded/predictions-1.json",
        "complexity/a-224px.json",
    ]
    page = html_page({"README.md": b"# Reports\n"} | {f"evidence/{path}": b"{}" for path in paths})
    groups = page.split('<details class="kind">')[1:]
    assert [re.search(r"<h3>(.*?)</h3> <small>(.*?)</small>", group).groups() for group in groups] == [
        ("Params and MACs", "2 files"),
        ("Published predictions", "1 file"),
        ("Training runs: cifar10-pilot", "2 files"),
        ("Training runs: tiny-imagenet-200-pilot", "1 file"),
        ("Other files", "1 file"),
    ]
    assert re.findall('class="file" id="evidence/(.*?)"', groups[2]) == [paths[4], paths[0]]


def test_labels_are_explained_once_where_the_first_is():
    page = html_page(FILES | {"table_10.md": TABLE.encode()})
    assert page.count('class="legend"') == 1
    assert '<section id="table_9">' in page.partition('class="legend"')[0]  # the index has a table without labels
    for each in LEGEND:
        assert f'<span class="label {each.name}">{each.words[0]}</span> {", ".join(each.words[1:])}: ' in page


def luminance(color):
    """Relative luminance of ``#rrggbb``, as WCAG 2.2 defines it."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(part * c for part, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("color", [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, INK])
def test_words_in_pictures_stand_out_on_a_light_page_and_on_a_dark_one(color):
    color = to_hex(color)
    for ink, ground in ((color, "#ffffff"), (in_the_dark(color), in_the_dark("#ffffff"))):
        dark, light = sorted((luminance(ink), luminance(ground)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_drawings_have_the_colours_of_the_page_in_the_dark():
    style = (ROOT / "bench/report/html/page.css").read_text().partition("prefers-color-scheme: dark")[2]
    assert f"--page: {DARK_PAGE};" in style
    assert f"--text: {DARK_TEXT};" in style
    assert (in_the_dark("#ffffff"), in_the_dark("#000000")) == (DARK_PAGE, DARK_TEXT)


def test_a_drawing_is_itself_on_a_light_page():
    """With its variables put back, a real drawing is the file in the repository."""
    svg = (ROOT / "reports/table_3.svg").read_text()
    both = in_both_schemes(svg)
    style = re.search("<style>svg{(.*?)}@media screen and [(]prefers-color-scheme:dark[)]{svg{.*?}}</style>", both)
    colors = dict(entry.split(":") for entry in style[1].split(";"))
    assert len(colors) >= 5
    plain = re.sub(r"var[(](--[0-9a-f]{6})[)]", lambda match: colors[match[1]], both.replace(style[0], ""))
    assert plain == svg


def test_evidence_stops_where_the_page_would_be_too_large():
    many = {f"evidence/{i:03}.json": sealed({"value": "x" * 90_000}).encode() for i in range(100)}
    page = html_page({"README.md": b"# Reports\n"} | many)
    assert 2_500_000 < len(page) < 3_200_000
    assert all(f'id="{path}"' in page for path in many)


def test_a_drawing_full_of_pixels_gives_way_to_its_png():
    heavy = SVG.replace(b"></svg>", b">" + b"x" * 2_000_000 + b"</svg>")
    files = {"README.md": b"# Reports\n", "figure_2.png": PNG, "figure_2.svg": heavy, "figure_3.svg": heavy}
    kinds = [source[5:14] for source in Parsed(html_page(files)).sources]
    assert kinds == ["image/png", "image/svg"]


def test_the_same_files_give_the_same_bytes(page):
    assert html_page(dict(reversed(FILES.items()))) == page


def test_the_policy_lets_nothing_in_but_its_own(page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_all_writes_the_page_of_what_it_wrote(measured_once):
    first, _, reports = measured_once
    page = (reports / "index.html").read_text()
    assert page == html_page(read_reports(reports))
    assert first.stdout.splitlines()[-1].endswith(f", {reports / 'index.html'}")


def test_only_reports_are_read(tmp_path):
    reports = "a.md b.csv c.png d.svg evidence/x/y.json evidence/x/z.jsonl".split()
    for name in [*reports, "index.html", "e.txt", ".f.md", "evidence/z.txt"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert list(read_reports(tmp_path)) == reports


def test_a_baseline_is_a_change_of_nothing():
    lines = ["# Reports", "", "| Kind | Model | Change |", "|:--|:--|--:|", "| x | a | baseline |"]
    text = "\n".join([*lines, "| y | b | -0.1 |", "| y | c | - |"]).encode()
    (table,) = Parsed(html_page({"README.md": text})).tables
    assert [line[2][1].get("data-value") for line in table[1:]] == ["0", "-0.1", None]
    assert [[cell[0] for cell in line] for line in table[1:]] == [["td", "th", "td"]] * 3  # a row is its model's
