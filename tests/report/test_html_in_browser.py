"""The HTML page in a real browser, headless, from a file as a reader opens it."""

import io
import json
import shutil
import time

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bench.cli.output import read_reports
from bench.report.html.page import html_page
from tests.conftest import ROOT
from tests.report.test_html import FILES

# By path, so that selenium fetches none.
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.extended,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no chromium or chromedriver: apt-get install chromium chromium-driver"
    ),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The committed reports with evidence, in a folder of their own."""
    evidence = {path: content for path, content in FILES.items() if path.startswith("evidence/")}
    beside = {"beside.md": b"# Beside\n\nSee [the record](evidence/a%20run/record.json) behind it.\n"}
    path = tmp_path_factory.mktemp("mailed") / "index.html"
    path.write_text(html_page(read_reports(ROOT / "reports") | beside | evidence))
    return path


@pytest.fixture(scope="module")
def made_up_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("made_up") / "index.html"
    path.write_text(html_page(FILES))
    return path


@pytest.fixture(scope="module")
def chromium(page):
    """A browser that has the page open, and whose log begins before that."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    browser.set_page_load_timeout(120)
    browser.set_script_timeout(120)
    browser.get(page.as_uri())
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium, page):
    """The page as it is opened on a wide light screen, wherever the test before left it."""
    return opened(chromium, page)


@pytest.fixture
def made_up(chromium, made_up_page):
    """A small page of made-up reports, likewise."""
    return opened(chromium, made_up_page)


def opened(browser, path):
    screen(browser, 1280, "light")
    browser.get("about:blank")  # or an address that differs in its fragment alone would load nothing
    browser.get(path.as_uri())
    return browser


def screen(browser, width, scheme, height=900):
    """A screen of that width, as the reader's system colours it."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def until(condition, seconds=60):
    """What the condition comes to, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


def settled(browser):
    """Give the browser two frames, for what follows a click or a scroll."""
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def requests(browser):
    """Addresses that were asked for."""
    events = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def test_the_page_loads_itself_alone_and_without_complaint(chromium, page):
    asked = [address for address in requests(chromium) if not address.startswith("data:")]
    assert asked == [page.as_uri()]
    assert chromium.get_log("browser") == []
    sizes = chromium.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert len(sizes) >= 6
    assert all(sizes)


def test_a_picture_is_shown_wherever_a_page_shows_it(made_up):
    again = made_up.find_element(By.CSS_SELECTOR, "#README img[alt='The same']")
    first = made_up.find_element(By.ID, "picture:figure_1")
    assert again.get_property("src") == first.get_property("src")
    assert again.get_attribute("id") == ""
    assert until(lambda: again.get_property("naturalWidth")) == 96


def test_nothing_can_be_loaded_even_by_what_is_put_into_it(made_up):
    blocked = made_up.execute_async_script("""
        const done = arguments[0];
        document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
        document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
    """)
    assert blocked == "img-src"


def table(browser, section):
    """The first table of a page."""
    return browser.find_element(By.CSS_SELECTOR, f"#{section} table")


def head(browser, section, column):
    """The button in the head of a column."""
    return table(browser, section).find_element(By.CSS_SELECTOR, f"th[data-column='{column}'] button")


def column(browser, section, number):
    """The texts of a column as they stand."""
    script = "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[arguments[1]].textContent)"
    return browser.execute_script(script, table(browser, section), number)


def order(browser, section, number):
    """How the head says that a column is sorted."""
    head_cell = head(browser, section, number).find_element(By.XPATH, "..")
    return head_cell.get_attribute("aria-sort")


@pytest.mark.parametrize(
    ("number", "ascending", "descending"),
    [
        (2, ["~9.5", "54.00 ± 0.8 (n=3)", "-"], ["54.00 ± 0.8 (n=3)", "~9.5", "-"]),
        (3, ["1e-4", "5", "21,545,550"], ["21,545,550", "5", "1e-4"]),
        (4, ["-27.1", "above 3.0", "44.2 %"], ["44.2 %", "above 3.0", "-27.1"]),
        (6, ["128-736", "1024", "-"], ["1024", "128-736", "-"]),
        (0, ["first", "first", "last"], ["last", "first", "first"]),
    ],
)
def test_a_click_sorts_and_a_third_restores(made_up, number, ascending, descending):
    original = column(made_up, "table_9", number)
    for direction, wanted in (("ascending", ascending), ("descending", descending), (None, original)):
        head(made_up, "table_9", number).click()
        assert column(made_up, "table_9", number) == wanted
        assert order(made_up, "table_9", number) == direction


def test_sorting_moves_whole_rows_by_one_column_at_a_time(made_up):
    head(made_up, "table_9", 2).click()
    head(made_up, "table_9", 1).click()
    assert column(made_up, "table_9", 1) == ["A", "B*", "C"]
    assert column(made_up, "table_9", 3) == ["5", "21,545,550", "1e-4"]
    assert [order(made_up, "table_9", i) for i in (1, 2)] == ["ascending", None]


def test_accuracies_of_a_real_table_sort(browser):
    head(browser, "table_6", 6).click()
    found = [float(text) for text in column(browser, "table_6", 6)]
    assert found == sorted(found)
    assert len(found) == 23


def test_the_total_stays_last(made_up):
    head(made_up, "README", 1).click()
    assert column(made_up, "README", 0) == ["two", "one"]
    assert table(made_up, "README").find_element(By.CSS_SELECTOR, "tfoot").text == "all 4"


def test_the_keyboard_sorts(made_up):
    made_up.execute_script("arguments[0].focus()", head(made_up, "table_9", 0))
    made_up.switch_to.active_element.send_keys(Keys.TAB)
    made_up.switch_to.active_element.send_keys(Keys.ENTER)
    assert order(made_up, "table_9", 1) == "ascending"
    made_up.switch_to.active_element.send_keys(Keys.SPACE)
    assert order(made_up, "table_9", 1) == "descending"
    assert column(made_up, "table_9", 1) == ["C", "B*", "A"]


def test_a_link_opens_the_evidence_and_shows_it(browser):
    link = browser.find_element(By.CSS_SELECTOR, "#beside a[href='#evidence/a%20run/record.json']")
    details = browser.find_element(By.ID, "evidence/a run/record.json")
    for _ in range(2):  # again when the reader has closed it, though the address stays the same
        assert not details.get_property("open")
        link.click()
        until(lambda: details.get_property("open"))
        settled(browser)
        assert 0 <= browser.execute_script("return arguments[0].getBoundingClientRect().top", details) < 500
        assert '"text": "</pre><b>"' in details.text
        details.find_element(By.TAG_NAME, "summary").click()


def test_an_address_opens_the_evidence_that_it_names(made_up, made_up_page):
    made_up.get("about:blank")
    made_up.get(f"{made_up_page.as_uri()}#evidence/edited.json")
    assert made_up.find_element(By.ID, "evidence/edited.json").get_property("open")


def test_a_link_to_data_saves_the_file(made_up, tmp_path):
    allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
    made_up.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
    made_up.find_element(By.ID, "table_9.csv").click()
    saved = tmp_path / "table_9.csv"
    until(saved.exists)
    until(lambda: saved.read_bytes() == FILES["table_9.csv"])


def test_a_wide_table_scrolls_on_its_own_below_its_names(browser):
    screen(browser, 1280, "light")
    wide, inner = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= inner == 1280
    # The names of the rows, and the head above them, stay in view wherever a table is scrolled to.
    scrolled, *left = browser.execute_script("""
        const table = document.querySelector("#table_6 table"), frame = table.parentElement;
        frame.scrollLeft = 1e6;
        const names = [...table.querySelectorAll("tbody th, thead .names")];
        const lefts = names.map((name) => name.getBoundingClientRect().left);
        return [frame.scrollLeft, Math.min(...lefts), Math.max(...lefts), frame.getBoundingClientRect().left + 1];
    """)
    assert scrolled > 0
    assert len(set(left)) == 1


@pytest.mark.parametrize("number", [2, 3, 4, 5, 7])
def test_a_wide_screen_shows_all_verdicts_of_a_table(browser, number):
    screen(browser, 1280, "light")
    verdicts, frame = browser.execute_script(
        """
        const table = document.querySelector(arguments[0]);
        const rights = [...table.querySelectorAll(".label")].map((label) => label.getBoundingClientRect().right);
        return [rights, table.parentElement.getBoundingClientRect().right];
        """,
        f"#table_{number} table",
    )
    assert len(verdicts) >= 3
    assert max(verdicts) <= frame <= 1280


# Elements that lie, or whose content lies, outside of a phone's screen: what is folded has no box.
OUTSIDE = """
    return [...document.querySelectorAll("body, body *")].filter((element) => {
        const box = element.getBoundingClientRect();
        const isSeen = box.width > 1 && box.height > 1 && !element.closest("caption, .skip");
        const isClipped = getComputedStyle(element).overflowX !== "visible";
        const isCut = isClipped && element.scrollWidth > element.clientWidth + 1;
        return isSeen && (box.left < 0 || box.right > innerWidth || isCut);
    }).map((element) => `${element.closest("section")?.id} ${element.tagName} ${element.className}`);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_aside(browser, scheme):
    """Verdicts, pictures and commands are whole, and each cell has its head above it."""
    screen(browser, 390, scheme)
    until(lambda: not browser.find_element(By.CSS_SELECTOR, "nav details").get_property("open"))
    wide, inner = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= inner == 390
    assert browser.execute_script(OUTSIDE) == []
    verdicts, commands, pictures = browser.execute_script("""
        const wide = (element) => element.getBoundingClientRect().width;
        const sizes = (selector) => [...document.querySelectorAll(selector)].map(wide);
        return [sizes("td .label"), sizes("td code, pre"), sizes("figure > img")];
    """)
    assert min(verdicts) > 0
    assert len(verdicts) > 100
    assert len(commands) > 9
    assert min(pictures) > 300
    row = table(browser, "table_3").find_element(By.CSS_SELECTOR, "tbody tr")
    heads = browser.execute_script(
        """
        const shown = (cell) => getComputedStyle(cell, "::before").content;
        return [...arguments[0].cells].filter((cell) => shown(cell) !== "none").map((cell) => JSON.parse(shown(cell)));
        """,
        row,
    )
    assert heads[0] == "Top-1 %: paper"
    assert heads[-4:] == ["MACs G: paper", "ours", "difference", "verdict"]


def test_a_phone_enlarges_a_picture(browser):
    screen(browser, 390, "light")
    figure = browser.find_element(By.CSS_SELECTOR, "figure:has(> img)")
    picture, button = figure.find_element(By.TAG_NAME, "img"), figure.find_element(By.TAG_NAME, "button")
    assert picture.size["width"] < 390
    button.send_keys(Keys.ENTER)
    assert picture.size["width"] == int(picture.get_attribute("width")) > 800
    assert button.text == "Fit the screen"
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390  # the picture scrolls alone
    button.send_keys(Keys.ENTER)
    assert picture.size["width"] < 390
    screen(browser, 1280, "light")
    assert not button.is_displayed()  # where the picture is whole


def found(browser):
    """Paths of the files of evidence that are seen, and what is said about them."""
    files = [file for file in browser.find_elements(By.CSS_SELECTOR, ".file") if file.is_displayed()]
    return [file.get_attribute("id") for file in files], browser.find_element(By.CSS_SELECTOR, ".search output").text


@pytest.mark.parametrize("width", [390, 1280])
def test_evidence_is_searched_by_path_and_text(made_up, width):
    screen(made_up, width, "light")
    assert found(made_up) == ([], "")  # folded
    field = made_up.find_element(By.CSS_SELECTOR, ".search input")
    assert field.accessible_name == "Search the evidence"
    field.send_keys("RECORD")
    assert found(made_up) == (["evidence/a run/record.json"], "1 of 5 files")
    field.clear()
    field.send_keys("epoch metrics")  # words of its text and of its path
    assert found(made_up) == (["evidence/a run/metrics.jsonl"], "1 of 5 files")
    # A link to a file that the search left out shows it.
    link = made_up.find_element(By.CSS_SELECTOR, "#README a[href='#evidence/edited.json']")
    made_up.execute_script("arguments[0].click()", link)
    edited = made_up.find_element(By.ID, "evidence/edited.json")
    until(lambda: edited.get_property("open"))
    assert edited.is_displayed()
    assert field.get_property("value") == ""


def ground(element):
    """Colour of the left upper corner of what is seen of an element."""
    picture = Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB")
    return picture.getpixel((8, 8))  # beyond rounded corners


@pytest.mark.parametrize("width", [390, 1280])
def test_drawings_follow_the_scheme(made_up, made_up_page, width, tmp_path):
    drawing = (ROOT / "reports/figure_4.svg").read_bytes()
    page = tmp_path / "index.html"
    page.write_text(html_page({"README.md": b"# Reports\n\n![A drawing](figure_4.png)\n", "figure_4.svg": drawing}))
    for scheme, page_color in (("light", (255, 255, 255)), ("dark", (0x15, 0x18, 0x1C))):
        screen(made_up, width, scheme)
        made_up.get(page.as_uri())
        image = made_up.find_element(By.CSS_SELECTOR, "figure > img")
        until(lambda: image.get_property("complete"))  # noqa: B023  # it is called at once
        settled(made_up)
        assert ground(image) == page_color
        style = "return getComputedStyle(document.body).backgroundColor"
        assert made_up.execute_script(style) == f"rgb{page_color}"


def test_contents_stand_aside_and_fold_on_a_phone(browser):
    details = browser.find_element(By.CSS_SELECTOR, "nav details")
    assert details.get_property("open")
    screen(browser, 390, "light")
    until(lambda: not details.get_property("open"))
    details.find_element(By.TAG_NAME, "summary").click()
    link = details.find_element(By.CSS_SELECTOR, "a[href='#table_6']")
    until(link.is_displayed)
    link.click()
    until(lambda: not details.get_property("open"))
    settled(browser)
    bar, section = (
        browser.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector)
        for selector in ("nav", "#table_6 h2")
    )
    assert bar["bottom"] <= section["top"] < 300  # below the bar, not under it
    until(lambda: link.get_attribute("aria-current"))  # the contents say where the reader is
    screen(browser, 1280, "light")
    until(lambda: details.get_property("open"))


def test_contents_follow_the_reader(browser):
    screen(browser, 1280, "light", height=300)
    link = browser.find_element(By.CSS_SELECTOR, "nav a[href='#transfer']")
    browser.execute_script("document.getElementById('transfer').scrollIntoView()")
    until(lambda: link.get_attribute("aria-current"))
    assert browser.execute_script("return arguments[0].getBoundingClientRect().bottom", link) < 301  # half a pixel


CONTRASTS = """
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const found = channels(getComputedStyle(e).backgroundColor);
            if (found.length === 3 || found[3] > 0) return found;
        }
    };
    return ["body", "nav small", "a", ".good", ".near", ".bad", ".none", ".repeated", "thead button", "code",
            "nav [aria-current]", "[data-missing]", "main summary", ".legend", ".kind small", ".search input",
            ".search output"].map((selector) => {
        const element = document.querySelector(selector);
        const [a, b] = [light(channels(getComputedStyle(element).color)), light(ground(element))];
        return [selector, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser, scheme):
    screen(browser, 1280, scheme)
    until(lambda: browser.find_elements(By.CSS_SELECTOR, "nav [aria-current]"))
    contrasts = browser.execute_script(CONTRASTS)
    assert all(contrast >= 4.5 for _, contrast in contrasts), contrasts
    style = "getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    page_ground = browser.execute_script(f"return {style}", "body")
    assert (page_ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_without_scripts_it_is_a_plain_page(made_up, made_up_page):
    made_up.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        made_up.get(f"{made_up_page.as_uri()}?")
        assert made_up.find_element(By.CSS_SELECTOR, "nav details").get_property("open")
        assert "54.00 ± 0.8 (n=3)" in table(made_up, "table_9").text
        assert not made_up.find_elements(By.CSS_SELECTOR, "th button")
    finally:
        made_up.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
