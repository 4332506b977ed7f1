"""The widget that carries messages between the browser and a `Session`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget

from tfod_helpers.labelling.editing.session import Session

_HERE = Path(__file__).parent


class Front(anywidget.AnyWidget):
    """The editor on the page: it keeps nothing, so that neither photos nor boxes end in the notebook's file.

    Args:
        session: what answers the browser.
    """

    # One module, since a page can load no second file; texts, since anywidget would watch files for changes.
    _esm = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("boxes.js", "editor.js"))
    _css = (_HERE / "editor.css").read_text(encoding="utf-8")

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.on_msg(self._answer)

    def _answer(self, _: Any, message: dict[str, Any], __: list[Any]) -> None:
        with self._session.alone:
            state, jpeg = self._session.handle(message)
        self.send(state, buffers=[] if jpeg is None else [jpeg])
