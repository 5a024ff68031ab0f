"""The documentation site builds without warnings, dead links, or pages wider than the window.

Widths are measured in headless Chromium. No network: addresses of other hosts are not opened.
"""

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=60000",
]
WIDTHS = (400, 1280)
PACKAGES = ("furo", "myst_parser", "sphinx", "sphinx_copybutton")
# loads each page in a frame of each width; a box that is wider than its window has to scroll
MEASURE = """<!DOCTYPE html><title>measure</title><pre id="result"></pre><script>
function scrolls(box) {
  for (; box; box = box.parentElement) {
    const style = box.ownerDocument.defaultView.getComputedStyle(box);
    if (["auto", "scroll"].includes(style.overflowX)) return true;
  }
  return false;
}
function measure(page, width) {
  return new Promise(done => {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 900px; border: 0`;
    frame.onload = () => {
      const root = frame.contentDocument.documentElement;
      const cut = [...root.querySelectorAll("article table, article pre, article img")]
        .filter(box => box.getBoundingClientRect().right > width && !scrolls(box));
      const buttons = root.querySelectorAll("button.copybtn").length;
      const broken = [...root.querySelectorAll("article img")].filter(img => !img.naturalWidth);
      done({page, width, needs: root.scrollWidth, cut: cut.length, broken: broken.length,
            tables: root.querySelectorAll("article table").length, buttons});
      frame.remove();
    };
    frame.src = page;
    document.body.append(frame);
  });
}
(async () => {
  const results = [];
  for (const page of PAGES) for (const width of WIDTHS) results.push(await measure(page, width));
  document.getElementById("result").textContent = JSON.stringify(results);
})();
</script>"""

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f"needs a browser: one of {', '.join(BROWSERS)}"
)
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, PACKAGES)), reason="needs Sphinx and its parts: pip install '.[docs]'"
)


class SilentHandler(SimpleHTTPRequestHandler):
    """Handler that does not log requests."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site and return its folder. A warning of Sphinx is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]

    result = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), "docs", str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stderr
    return folder / "html"


def pages_of(site):
    """Return the paths of all pages except source code listings, relative to the site."""
    paths = (file.relative_to(site).as_posix() for file in site.rglob("*.html"))
    return sorted(path for path in paths if not path.startswith(("_modules/", "_static/")))


def dead_links(site, page):
    """Return the links of a page to files or anchors that do not exist."""
    dead = []
    for target in re.findall(r'(?:href|src)="([^"]+)"', (site / page).read_text()):
        if re.match(r"[a-z]+:|//", target) or target == "#":
            continue
        path, _, anchor = unescape(target).partition("#")
        file = (site / page).parent / path.partition("?")[0] if path else site / page
        if not file.is_file() or (anchor and f'id="{anchor}"' not in file.read_text()):
            dead.append(target)
    return dead


def measured(site):
    """Return a dict for each page and width: needed width, cut boxes, broken images."""
    script = MEASURE.replace("PAGES)", f"{pages_of(site)})").replace("WIDTHS)", f"{list(WIDTHS)})")
    (site / "_static/measure.html").write_text(script.replace("frame.src = ", "frame.src = '/' + "))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/_static/measure.html"
    profile = f"--user-data-dir={site / 'profile'}"
    try:
        dump = subprocess.run(
            [BROWSER, *FLAGS, profile, "--dump-dom", address],
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout
    finally:
        server.shutdown()
        server.server_close()
    return json.loads(unescape(re.search(r'<pre id="result">(.*?)</pre>', dump, re.S)[1]))


def test_every_page_is_built(site):
    sources = {file.relative_to(ROOT / "docs") for file in (ROOT / "docs").rglob("*.md")}

    assert {source.with_suffix(".html").as_posix() for source in sources} <= set(pages_of(site))


def test_no_link_of_the_site_is_dead(site):
    dead = {page: links for page in pages_of(site) if (links := dead_links(site, page))}

    assert dead == {}


def test_dead_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="#x">1</a><a href="b.html#y">2</a><a href="c.html">3</a><b id="z"></b>'
        '<a href="#z">4</a><a href="https://x.y">5</a>'
    )
    (tmp_path / "b.html").write_text("")

    assert dead_links(tmp_path, "a.html") == ["#x", "b.html#y", "c.html"]


def test_reference_documents_the_public_classes(site):
    text = "".join(file.read_text() for file in (site / "api").glob("*.html"))

    for name in ("algorithms.MixMAE", "backbones.MaskedSwin", "targets.TargetGenerator"):
        assert f'id="mim_plugins.{name}"' in text
    assert 'id="mim_plugins.apis.get_model"' in text


@needs_browser
def test_cut_tables_are_found(tmp_path):
    table = '<table style="width: 900px"><td>wide</td></table>'
    (tmp_path / "_static").mkdir()
    (tmp_path / "cut.html").write_text(f"<article>{table}</article>")
    (tmp_path / "fits.html").write_text(
        f'<article><div style="overflow-x: auto">{table}</div></article>'
    )

    found = {(each["page"], each["width"]): each for each in measured(tmp_path)}

    cut, laptop, fits = (
        found[key] for key in (("cut.html", 400), ("cut.html", 1280), ("fits.html", 400))
    )
    assert cut["cut"] == 1
    assert cut["needs"] > 400
    assert laptop["cut"] == fits["cut"] == 0
    assert fits["needs"] <= 400


@needs_browser
def test_pages_fit_a_phone_and_a_laptop(site):
    results = measured(site)

    assert len(results) == len(WIDTHS) * len(pages_of(site))
    assert [each for each in results if each["needs"] > each["width"]] == []
    assert [each for each in results if each["cut"] or each["broken"]] == []
    assert sum(each["tables"] for each in results) > 50
    assert all(each["buttons"] for each in results if each["page"] == "index.html")
