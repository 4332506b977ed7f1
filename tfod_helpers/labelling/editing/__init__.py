"""A box editor inside the notebook, which saves each photo as Pascal VOC XML.

The browser's part is small and our own, on anywidget, which shows in JupyterLab, Notebook 7, VS Code and Colab without
an extension of ours. Python keeps the state: `Session` what a person did, `LabelFolder` what is saved.
"""

from tfod_helpers.labelling.editing.opening import Editor, editor

__all__ = ["Editor", "editor"]
