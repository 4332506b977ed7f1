"""The exported web page in a headless Chromium: what it detects, shows and says, and that nothing leaves it."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import supervision as sv
from PIL import Image
from served import Handler, Listening
from small_training import Small
from web_exports import TITLE, assert_same, needs_browser

from tfod_helpers import photos
from tfod_helpers.detector import Detector, ExportFacts
from tfod_helpers.detector.runtimes import browser

pytestmark = [pytest.mark.tensorflow, needs_browser]
ROTATED = 0x0112, 6  # EXIF: the photo lies on its side
TIMEOUT = 30  # seconds


class Visitor:
    """Somebody who looks at the page."""

    def __init__(self, page: Path) -> None:
        self.address = (page / "index.html").as_uri()
        self.driver = browser.start("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        self.driver.set_window_size(1280, 800)

    def open(self, before: str = "") -> None:
        """Open the page anew; ``before`` is a script that runs ahead of its own."""
        self.driver.get("about:blank")
        added = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": before})
        self.driver.get(self.address)
        self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        self.until(lambda: self.text("status") in ("Ready.", "Not started."))

    def text(self, id: str) -> str:
        """What a part of the page says."""
        return str(self.run("return document.getElementById(arguments[0]).textContent", id)).strip()

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript on the page."""
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + TIMEOUT
        while not holds():
            assert time.monotonic() < end, f"{self.text('status')} {self.text('errors')}"
            time.sleep(0.05)

    def choose(self, *paths: Path) -> None:
        """Choose photos, and wait until all of them were looked at."""
        self.driver.find_element("id", "files").send_keys("\n".join(map(str, paths)))
        self.driver.execute_async_script("const done = arguments[0]; setTimeout(() => state.working.then(done), 50);")

    def rows(self) -> list[tuple[str, float, list[int]]]:
        """The table's class names, confidences and boxes."""
        cells = self.run("return [...found.tBodies[0].rows].map((row) => [...row.cells].map((one) => one.textContent))")
        return [
            (name, float(score), [int(x) for x in box.replace(" to ", ", ").split(", ")]) for name, score, box in cells
        ]


@pytest.fixture(scope="module")
def visitor(web_exports: Path) -> Iterator[Visitor]:
    """One browser for all tests."""
    one = Visitor(web_exports / "page")
    yield one
    one.driver.quit()


@pytest.fixture(scope="module")
def photos_at_hand(small: Small, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten photos: the drawn ones, cats and dogs, and two that lie on their side but for their EXIF data."""
    folder = tmp_path_factory.mktemp("photos")
    real = sorted((shared / "data" / "asirra" / "test").glob("*.jpg"))[:4]
    turned = []
    for path in [real[0], small.dataset[0].path]:
        image = Image.open(path).convert("RGB")
        exif = image.getexif()
        exif[ROTATED[0]] = ROTATED[1]
        turned.append(folder / f"turned {path.stem}.jpg")
        image.save(turned[-1], exif=exif, quality=95)
    return [*(image.path for image in small.dataset), *real, *turned]


def test_the_page_detects_what_python_does(web_exports: Path, photos_at_hand: list[Path]) -> None:
    """Ten photos of many sizes, resized and decoded by the page: boxes to a pixel, scores to two hundredths.

    Pixels are given, since of a JPEG file Python decodes no more than it needs. The classifier of this model is spread
    five times, and so is what a pixel's value more or less makes of a score.
    """
    theirs, ours = Detector.load(web_exports / "float32"), Detector.load(web_exports / "page")
    assert len(photos_at_hand) == 10
    given = [photos.to_rgb(path) for path in photos_at_hand]
    expected, found = (one.detect(given, threshold=0.05) for one in (theirs, ours))
    for one, other in zip(expected, found, strict=True):
        assert_same(other, one, pixels=1, score=0.02, sure=0.3)
    assert sum((one.confidence >= 0.3).any() for one in expected) >= 4
    assert len({len(one) for one in expected}) > 1  # they are not all alike


def test_the_hosted_page_detects_the_same(web_exports: Path, photos_at_hand: list[Path]) -> None:
    """The page in several files, from a server of this machine, finds what the page in one file finds."""
    assert ExportFacts.read(web_exports / "hosted").precision == "float16"
    one, several = (Detector.load(web_exports / name) for name in ("page", "hosted"))
    expected, found = (each.detect(photos_at_hand[:6], threshold=0.05) for each in (one, several))
    for ours, theirs in zip(expected, found, strict=True):
        assert_same(theirs, ours, pixels=2, score=0.03, sure=0.3)  # weights of float32, and of float16
    assert sum((ours.confidence >= 0.3).any() for ours in expected) >= 4


def test_chosen_photos_are_shown_and_told(visitor: Visitor, web_exports: Path, photos_at_hand: list[Path]) -> None:
    """The table says what Python finds in the file, upright; the picture has its shape; others wait below it."""
    visitor.open()
    assert visitor.driver.title == visitor.run("return document.querySelector('h1').textContent") == TITLE
    turned = photos_at_hand[-1]
    expected = Detector.load(web_exports / "page").detect(turned)
    visitor.choose(turned, *photos_at_hand[:3])
    names, scores, boxes = zip(*visitor.rows(), strict=True)
    ids = np.array([{"red": 1, "blue": 2}[name] for name in names])
    assert_same(
        sv.Detections(np.array(boxes, float), None, np.array(scores), ids), expected, pixels=2, score=0.03, sure=0.3
    )
    assert visitor.text("status").startswith(f"{turned.name}: {names[0]} {scores[0]:.2f}, ")
    width, height = visitor.run("return [picture.width, picture.height]")
    stored = Image.open(turned).size
    assert width / height == pytest.approx(stored[1] / stored[0], abs=0.01)
    assert visitor.run("return strip.children.length") == 4


def test_a_file_that_is_no_photo_is_named_and_the_others_are_shown(
    visitor: Visitor, photos_at_hand: list[Path], tmp_path: Path
) -> None:
    """A cut JPEG, a text and a HEIC photo are told by their names; the photo among them is looked at."""
    cut, text, heic = (tmp_path / name for name in ("cut.jpg", "notes.txt", "IMG_1.HEIC"))
    cut.write_bytes(photos_at_hand[4].read_bytes()[:300])
    text.write_text("no photo")
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    visitor.open()
    visitor.choose(cut, text, photos_at_hand[0], heic)
    said = visitor.text("errors")
    assert all(f"{path.name}: no photo that this browser can read" in said for path in (cut, text, heic))
    assert visitor.text("status").startswith(photos_at_hand[0].name)


def test_keys_alone_reach_everything(visitor: Visitor, photos_at_hand: list[Path]) -> None:
    """Tab goes through buttons, small photos and the confidence, all named; the End key raises it to nothing."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    visitor.open()
    visitor.choose(*photos_at_hand[:2])
    assert visitor.rows()
    names = []
    for _ in range(6):
        ActionChains(visitor.driver).send_keys(Keys.TAB).perform()
        names.append(visitor.driver.switch_to.active_element.accessible_name)
    assert names[:3] == ["Choose photos", "Start camera", "Save picture"]
    assert [name.partition(",")[0] for name in names[3:5]] == [path.name for path in photos_at_hand[:2]]
    assert names[5].startswith("Least confidence")
    ActionChains(visitor.driver).send_keys(Keys.END).perform()
    assert not visitor.rows()
    assert "nothing found with a confidence of 0.99 or more. The surest guess" in visitor.text("status")


def test_the_camera_starts_and_stops(visitor: Visitor) -> None:
    """Frame after frame is looked at, at a rate that is told; afterwards no camera is held."""
    visitor.open()
    visitor.driver.find_element("id", "camera").click()
    visitor.until(lambda: "frames a second" in visitor.text("fps"))
    assert visitor.text("camera") == "Stop camera"
    width, height = visitor.run("return [picture.width, picture.height]")
    assert width * 3 == height * 4
    visitor.driver.find_element("id", "camera").click()
    assert visitor.run("return [camera.on, video.srcObject]") == [False, None]
    assert visitor.text("fps") == "off"


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (
            "MediaDevices.prototype.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'))",
            "was refused",
        ),
        (
            "MediaDevices.prototype.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))",
            "has no camera",
        ),
        (
            "Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined })",
            "opened from a file or over https",
        ),
    ],
    ids=["refused", "none", "insecure"],
)
def test_a_camera_that_does_not_come_is_explained(visitor: Visitor, before: str, said: str) -> None:
    """Refused, missing or not given to such pages: the page says which, and what to do."""
    visitor.open(before)
    visitor.driver.find_element("id", "camera").click()
    visitor.until(lambda: said in visitor.text("errors"))
    assert visitor.text("camera") == "Start camera"


def test_a_browser_without_webassembly_is_told_and_still_detects(visitor: Visitor, photos_at_hand: list[Path]) -> None:
    """Without WebAssembly it runs in plain JavaScript, says so, and finds the same."""
    visitor.open()
    visitor.choose(photos_at_hand[0])
    expected = visitor.rows()
    visitor.open("delete globalThis.WebAssembly")
    assert visitor.text("backend") == "processor (JavaScript)"
    visitor.choose(photos_at_hand[0])
    assert "no WebAssembly with SIMD" in visitor.driver.find_element("id", "slow").text  # and it is seen
    assert visitor.rows() == expected != []


def test_a_browser_that_is_too_old_is_told(visitor: Visitor) -> None:
    """Where the page cannot unpack its model, it says why nothing works, and its buttons are off."""
    visitor.open("delete globalThis.DecompressionStream")
    assert "This page cannot start here" in visitor.text("errors")
    assert not visitor.driver.find_element("id", "choose").is_enabled()


def test_nothing_leaves_the_page(visitor: Visitor, web_exports: Path) -> None:
    """Opened from a file it fetches nothing; its policy stops what would be sent; hosted, all comes from there."""
    visitor.open()
    loaded = "return performance.getEntriesByType('resource').map(({ name }) => name)"
    assert all(name.startswith("blob:") for name in visitor.run(loaded))
    asked: list[str] = []

    class Elsewhere(Handler):
        def answer(self) -> None:
            asked.append(self.path)
            self.give(200)

    with Listening(Elsewhere) as server:
        answer = visitor.driver.execute_async_script(
            "const [url, done] = arguments; const image = new Image(); image.onerror = () => fetch(url + '/fetched')"
            ".then(() => done('sent'), () => done('stopped')); image.onload = () => done('sent');"
            "image.src = url + '/it';",
            server.address,
        )
    assert (answer, asked) == ("stopped", [])
    hosted = browser.Page(host := browser.serve(web_exports / "hosted"))
    hosted.call("await window.detector")
    names = hosted.call(loaded)
    assert len(names) > 10
    assert all(name.startswith((host, "blob:")) for name in names)


def test_a_class_name_cannot_become_part_of_the_page(web_exports: Path) -> None:
    """What a name holds stays text: it cannot end the element that it stands in."""
    from tfod_helpers.exporting import web_page

    name = "</script><img src=x onerror=alert(1)> <!-- \" ' &"
    written = web_page._as_data({"classes": [{"name": name}]})
    assert "<" not in written
    assert json.loads(written)["classes"][0]["name"] == name
    assert web_page._title(["a", "b", "c", "d", "e"]) == "Detects a, b, c and 2 more"
    assert web_page._title(["a", "b"]) == "Detects a and b"


def test_a_notebook_shows_the_page(web_exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter gets a frame of a page that this process serves, with the camera allowed; Colab its own kind of frame."""
    from tfod_helpers.exporting import web_page

    frame = web_page.show(web_exports / "page", height=500)
    (address,) = re.findall('src="([^"]+)"', frame.data)
    with urllib.request.urlopen(address) as answer:
        assert b"<title>Finds &lt;b&gt;red" in answer.read()
    assert 'height="500"' in frame.data
    assert 'allow="camera"' in frame.data
    shown = []
    output = SimpleNamespace(serve_kernel_port_as_iframe=lambda port, height: shown.append((port, height)))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(output=output))
    assert web_page.show(web_exports / "page") is None
    (port, height) = shown[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/export.json") as answer:
        assert json.load(answer)["format"] == "web_page"
    assert height == "640"
    with pytest.raises(ValueError, match=r"an export of the format tfjs, which has no page\. Give the folder"):
        web_page.show(web_exports / "float32")
