"""The box editor in JupyterLab and a headless Chromium: what a hand draws is what the file says."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image, ImageDraw

from tfod_helpers import formats
from tfod_helpers.annotations import LabelMap
from tfod_helpers.detector.runtimes import browser

pytestmark = [
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="this machine has no Chromium with its driver"),
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="JupyterLab is not installed"),
]
ROOT = Path(__file__).parents[1]
TIMEOUT = 40  # seconds; a loaded machine takes long to start JupyterLab
MAGENTA = (255, 0, 255)
CODE = "from tfod_helpers import labelling\nlabelling.editor({photos!r}, {folder!r}, {classes!r})"
CONTROL, SHIFT = 2, 8  # of Chromium's input events
Corners = tuple[float, float, float, float]
Zoom = float | Literal["css"]  # the browser's own, or 1.5 by a style of the page


class Notebook:
    """JupyterLab with a notebook of one cell, and somebody at its mouse and keyboard."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        language = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(new_notebook(cells=[new_code_cell("")], metadata=language), folder / "one.ipynb")
        own = {f"JUPYTER_{name}_DIR": str(folder / f".{name}") for name in ("CONFIG", "DATA", "RUNTIME")}
        own |= {"IPYTHONDIR": str(folder / ".ipython"), "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONPATH": str(ROOT)}
        # The kernel's command is "python".
        own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", f"--ServerApp.root_dir={folder}"]
        options += ["--IdentityProvider.token=open", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url="]
        with (folder / ".log").open("wb") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options], env=os.environ | own, stdout=log, stderr=log
            )
        self.address = f"http://127.0.0.1:{port}/doc/tree/one.ipynb?token=open"
        self.driver = browser.start()
        self.driver.set_window_size(1250, 1100)
        self.until(lambda: self.answers(f"http://127.0.0.1:{port}/api?token=open"))
        self.open()

    def answers(self, address: str) -> bool:
        """Whether the server is there."""
        assert self.server.poll() is None, "JupyterLab ended"
        try:
            return urllib.request.urlopen(address, timeout=5).status == 200
        except OSError:
            return False

    def open(self) -> None:
        """Open the notebook anew, as after closing the browser."""
        self.driver.get(self.address)
        ready = (
            "const one = window.jupyterapp?.shell.currentWidget; return one?.context?.isReady && one.content.widgets"
        )
        self.until(lambda: self.run(f"{ready}.length > 0 && one.sessionContext.session?.kernel?.status === 'idle'"))

    def close(self) -> None:
        """End the browser and the server with its kernels."""
        self.driver.quit()
        self.server.terminate()
        self.server.wait(timeout=20)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript on the page."""
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: Callable[[], object]) -> Any:
        """Wait until something holds, and return what it is."""
        end = time.monotonic() + TIMEOUT
        while not (found := holds()):
            assert time.monotonic() < end, self.run("return document.querySelector('.jp-Notebook')?.innerText")
            time.sleep(0.03)
        return found

    def edit(self, photos: Any, folder: Path, classes: tuple[str, ...] = ("cat", "dog")) -> None:
        """Run the cell with an editor for these photos, and wait until the first is shown."""
        given = [str(one) for one in photos] if isinstance(photos, list) else str(photos)
        source = CODE.format(photos=given, folder=str(folder), classes=classes)
        self.run(
            "const one = jupyterapp.shell.currentWidget.content; one.activeCellIndex = 0;"
            "one.activeCell.model.sharedModel.setSource(arguments[0]); one.activeCell.model.clearExecution();"
            "return jupyterapp.commands.execute('notebook:run-cell');",
            source,
        )
        self.shown()

    def shown(self) -> None:
        """Wait until a photo is on the screen, and bring it into view."""
        loaded = "const i = document.querySelector('.tfod-photo img'); return i && i.complete && i.naturalWidth > 0"
        self.until(lambda: self.run(loaded))
        self.run("document.querySelector('.tfod-bar').scrollIntoView()")

    def text(self, part: str) -> str:
        """What a part of the editor says."""
        found = self.run("return document.querySelector(arguments[0])?.textContent", f".tfod-{part}")
        return str(found or "")

    def frame(self) -> tuple[float, float, float, float]:
        """Where the photo is on the page: left, top, width, height in CSS pixels."""
        script = "const r = document.querySelector('.tfod-photo img').getBoundingClientRect();"
        left, top, width, height = self.run(f"{script} return [r.left, r.top, r.width, r.height]")
        return left, top, width, height

    def mouse(self, *points: tuple[float, float], shift: bool = False) -> None:
        """Press at the first point, go over the others, and let go."""
        kinds = ["mousePressed", *["mouseMoved"] * len(points), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [points[0], *points, points[-1]], strict=True):
            event = {
                "type": kind,
                "x": x,
                "y": y,
                "button": "left",
                "buttons": 1,
                "clickCount": 1,
                "modifiers": SHIFT * shift,
            }
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def drag(self, box_xyxy: Corners, size: tuple[int, int], *, shift: bool = False) -> None:
        """Draw a box from corner to corner, given in true pixels of the photo."""
        left, top, width, height = self.frame()
        scale = width / size[0], height / size[1]
        x0, y0, x1, y1 = (value * scale[side % 2] + (left, top)[side % 2] for side, value in enumerate(box_xyxy))
        self.mouse((x0, y0), ((x0 + x1) / 2, (y0 + y1) / 2), (x1, y1), shift=shift)

    def click(self, at: tuple[float, float], size: tuple[int, int]) -> None:
        """Click a point, given in true pixels of the photo."""
        self.drag((*at, *at), size)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key: a letter, a digit, or its name, such as ``ArrowRight``."""
        code = {"Delete": 46, "ArrowRight": 39, "ArrowLeft": 37, "Escape": 27, "Enter": 13}.get(key) or ord(key.upper())
        event = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        if len(key) == 1 and not modifiers:
            event["text"] = key
        for kind in ("keyDown", "keyUp"):
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", event | {"type": kind})

    @contextlib.contextmanager
    def zoomed(self, zoom: Zoom) -> Iterator[None]:
        """Look at the page enlarged, for the block."""
        if zoom == "css":
            self.run("document.body.style.zoom = 1.5")
        else:
            size = {"width": int(1250 / zoom), "height": int(1100 / zoom)}
            metrics = size | {"deviceScaleFactor": zoom, "mobile": False}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            yield
        finally:
            self.run("document.body.style.zoom = ''")
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def looks(self) -> np.ndarray:
        """What is on the screen: uint8, shape (h, w, 3)."""
        return np.asarray(
            Image.open(io.BytesIO(base64.b64decode(self.driver.get_screenshot_as_base64()))).convert("RGB")
        )

    def seen(self, colour: tuple[int, int, int]) -> Corners:
        """Where on the page a colour is seen, in CSS pixels."""
        rows, columns = np.nonzero((np.abs(self.looks().astype(int) - colour) < 40).all(axis=2))
        ratio = self.run("return window.devicePixelRatio")
        return tuple(float(edge) / ratio for edge in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """One server and one browser for all tests."""
    one = Notebook(tmp_path_factory.mktemp("jupyter"))
    yield one
    one.close()


def draw_photo(path: Path, size: tuple[int, int], box_xyxy: Corners, orientation: int = 1) -> Path:
    """Write a photo whose upright picture of this size shows a rectangle, stored as its EXIF orientation says."""
    image = Image.new("RGB", size, (90, 120, 90))
    xmin, ymin, xmax, ymax = box_xyxy
    ImageDraw.Draw(image).rectangle((xmin, ymin, xmax - 1, ymax - 1), MAGENTA)
    exif = image.getexif()
    exif[0x0112] = orientation
    stored = image.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else image
    stored.save(path, exif=exif, quality=95)
    return path


def boxes_in(folder: Path, classes: tuple[str, ...] = ("cat", "dog")) -> dict[str, list[list[Any]]]:
    """The photos that have a file: their boxes, each with its class in front."""
    if not any(folder.glob("*.xml")):
        return {}
    dataset = formats.read(folder, label_map=LabelMap(classes))
    return {
        image.path.name: [
            [dataset.label_map.name(label), *box]
            for label, box in zip(image.labels.tolist(), image.boxes_xyxy.tolist(), strict=True)
        ]
        for image in dataset
    }


@pytest.mark.parametrize(
    ("size", "box_xyxy", "orientation", "zoom"),
    [
        pytest.param((800, 600), (200, 150, 500, 450), 1, 1.0, id="plain"),
        pytest.param((800, 600), (200, 150, 500, 450), 1, 1.5, id="at 150 %"),
        pytest.param((800, 600), (200, 150, 500, 450), 1, "css", id="zoomed by CSS"),
        pytest.param((4000, 3000), (1000, 700, 2600, 2300), 1, 1.0, id="4000 px"),
        pytest.param((1200, 1600), (300, 400, 700, 1300), 6, 1.5, id="turned, at 150 %"),
    ],
)
def test_a_drag_lands_in_the_file(
    notebook: Notebook, tmp_path: Path, size: tuple[int, int], box_xyxy: Corners, orientation: int, zoom: Zoom
) -> None:
    """A box drawn around what is seen is the object in the file: two pixels off the drag, a screen's off the truth."""
    photo = draw_photo(tmp_path / "photo.jpg", size, box_xyxy, orientation)
    with notebook.zoomed(zoom):
        notebook.edit([photo], tmp_path / "labels")
        left, top, width, _ = notebook.frame()
        x0, y0, x1, y1 = notebook.seen(MAGENTA)
        dragged = [(edge - (left, top)[side % 2]) * size[0] / width for side, edge in enumerate((x0, y0, x1, y1))]
        notebook.mouse((x0, y0), (x1 - 30, y1 - 9), (x1, y1))
        notebook.press("ArrowRight")
        (found,) = notebook.until(lambda: boxes_in(tmp_path / "labels").get("photo.jpg"))
    assert found[0] == "cat"
    assert np.abs(np.subtract(found[1:], dragged)).max() <= 2
    assert np.abs(np.subtract(found[1:], box_xyxy)).max() <= 2 + size[0] / width


def test_keys_correct_save_and_go_back(notebook: Notebook, tmp_path: Path) -> None:
    """Keys give the class, delete, undo and redo; the next photo comes when this one is saved, and back shows it."""
    photos = [draw_photo(tmp_path / f"{name}.jpg", (400, 300), (50, 50, 150, 150)) for name in "abc"]
    labels = tmp_path / "labels"
    notebook.edit(photos, labels)
    notebook.drag((50, 50, 150, 150), (400, 300))
    notebook.press("2")  # the box is still selected
    notebook.drag((200, 60, 300, 200), (400, 300))
    notebook.press("1")
    notebook.press("Delete")
    notebook.press("z", CONTROL)
    notebook.press("z", CONTROL)  # the delete, and then the class
    notebook.press("y", CONTROL)
    assert not boxes_in(labels)
    notebook.press("ArrowRight")
    notebook.until(lambda: "Photo 2 of 3" in notebook.text("where"))
    ((first, *a), (second, *b)) = boxes_in(labels)["a.jpg"]
    assert (first, second) == ("dog", "cat")
    assert np.abs(np.subtract(a, (50, 50, 150, 150))).max() <= 2
    assert np.abs(np.subtract(b, (200, 60, 300, 200))).max() <= 2
    notebook.press("ArrowRight")  # nothing was drawn and nothing said
    notebook.until(lambda: "b.jpg has no boxes and stays to do" in notebook.text("note"))
    notebook.press("n")
    notebook.until(lambda: "1 photo is still to do" in notebook.text("note"))
    assert boxes_in(labels)["c.jpg"] == []
    notebook.press("ArrowLeft")
    notebook.until(lambda: "Photo 1 of 3" in notebook.text("where"))
    assert notebook.run("return document.querySelectorAll('.tfod-boxes text').length") == 2
    assert "labelled" in notebook.text("mark")


def test_a_box_is_moved_and_resized(notebook: Notebook, tmp_path: Path) -> None:
    """A selected box moves with the hand and keeps its size; an edge or corner that is held follows; arrows nudge."""
    photo = draw_photo(tmp_path / "a.jpg", (800, 600), (100, 100, 300, 300))
    notebook.edit([photo], tmp_path / "labels")
    notebook.drag((100, 100, 300, 300), (800, 600))
    notebook.drag((200, 200, 350, 260), (800, 600))  # from its middle
    notebook.drag((450, 260, 500, 260), (800, 600))  # its right edge
    notebook.drag((250, 360, 240, 400), (800, 600))  # a corner
    notebook.press("ArrowRight", SHIFT)
    notebook.press("ArrowRight")
    ((_, *found),) = notebook.until(lambda: boxes_in(tmp_path / "labels").get("a.jpg"))
    assert np.abs(np.subtract(found, (241, 160, 501, 400))).max() <= 2


def test_small_objects_and_boxes_within_boxes(notebook: Notebook, tmp_path: Path) -> None:
    """Enlarged, a box of a few pixels is drawn exactly, over the edge of another and within it; clicks take each."""
    photo = draw_photo(tmp_path / "a.jpg", (1600, 1200), (790, 590, 806, 602))
    notebook.edit([photo], tmp_path / "labels")
    notebook.drag((400, 300, 1200, 900), (1600, 1200))
    for _ in range(4):
        notebook.press("+")
    notebook.drag((790, 590, 806, 602), (1600, 1200), shift=True)  # within the box that is selected
    notebook.press("0")
    notebook.click((500, 400), (1600, 1200))
    notebook.press("2")
    notebook.click((100, 1100), (1600, 1200))  # beside them: nothing is selected now
    notebook.press("Delete")
    notebook.drag((30, 20, 60, 40), (1600, 1200))
    notebook.press("Delete")
    notebook.press("ArrowRight")
    (large, *a), (small, *b) = notebook.until(lambda: boxes_in(tmp_path / "labels").get("a.jpg"))
    assert (large, small) == ("dog", "cat")
    assert np.abs(np.subtract(a, (400, 300, 1200, 900))).max() <= 2
    assert np.abs(np.subtract(b, (790, 590, 806, 602))).max() <= 1


def test_a_class_is_typed_in_and_used(notebook: Notebook, tmp_path: Path) -> None:
    """A class typed into its field is there at once, with its key, and in the file; its letters are no commands."""
    photo = draw_photo(tmp_path / "a.jpg", (400, 300), (50, 50, 150, 150))
    notebook.edit([photo], tmp_path / "labels")
    notebook.run("document.querySelector('.tfod-chips input').focus()")
    for letter in "snail":
        notebook.press(letter)
    notebook.press("Enter")
    notebook.until(lambda: notebook.text("chips") == "1cat2dog3snail")
    notebook.press("3")
    notebook.drag((50, 50, 150, 150), (400, 300))
    notebook.press("ArrowRight")
    classes = ("cat", "dog", "snail")
    assert notebook.until(lambda: boxes_in(tmp_path / "labels", classes).get("a.jpg"))[0][0] == "snail"


def begun(notebook: Notebook, folder: Path) -> Path:
    """A photo on which a box was drawn that is not saved yet."""
    photo = draw_photo(folder / "a.jpg", (400, 300), (50, 50, 150, 150))
    notebook.edit([photo], folder / "labels")
    notebook.drag((50, 50, 150, 150), (400, 300))
    notebook.until(lambda: "not saved yet" in notebook.text("mark"))
    return photo


def test_reloading_the_page_loses_nothing(notebook: Notebook, tmp_path: Path) -> None:
    """What was drawn and not saved is there after the page was loaded anew, and when the cell runs again."""
    photo = begun(notebook, tmp_path)
    notebook.run("return jupyterapp.commands.execute('docmanager:save')")
    notebook.open()
    notebook.shown()
    count = "return document.querySelectorAll('.tfod-boxes text').length"
    assert notebook.until(lambda: notebook.run(count)) == 1
    notebook.edit([photo], tmp_path / "labels")
    assert notebook.until(lambda: notebook.run(count)) == 1
    assert "begun earlier" in notebook.text("note")
    assert not boxes_in(tmp_path / "labels")


def test_a_restart_of_python_is_said(notebook: Notebook, tmp_path: Path) -> None:
    """After a restart the editor says what to do at once; run again, it shows what was drawn before."""
    photo = begun(notebook, tmp_path)
    notebook.run("return jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    notebook.drag((200, 50, 350, 250), (400, 300))
    notebook.until(lambda: "Python does not answer" in notebook.text("note"))
    notebook.edit([photo], tmp_path / "labels")
    notebook.until(lambda: "begun earlier" in notebook.text("note"))
    assert notebook.run("return document.querySelectorAll('.tfod-boxes text').length") == 1


def test_keys_stay_where_they_belong(notebook: Notebook, tmp_path: Path) -> None:
    """The notebook's one-letter commands do nothing from within the editor, and the editor hears none from outside."""
    photo = draw_photo(tmp_path / "a.jpg", (400, 300), (50, 50, 150, 150))
    notebook.edit([photo], tmp_path / "labels")
    cells = "return jupyterapp.shell.currentWidget.content.widgets.map((one) => one.model.sharedModel.source)"
    before = notebook.run(cells)
    notebook.drag((50, 50, 150, 150), (400, 300))
    for key in "ddabxmyv":
        notebook.press(key)
    notebook.press("Enter")
    notebook.press("z", CONTROL)
    notebook.until(lambda: notebook.run("return document.querySelectorAll('.tfod-boxes text').length") == 0)
    assert notebook.run(cells) == before
    notebook.press("Escape")  # the keyboard is the notebook's again
    notebook.run("jupyterapp.shell.currentWidget.content.node.focus()")
    notebook.run("jupyterapp.shell.currentWidget.content.mode = 'command'")
    notebook.press("b")
    notebook.until(lambda: len(notebook.run(cells)) == len(before) + 1)
    notebook.press("n")
    assert not boxes_in(tmp_path / "labels")
