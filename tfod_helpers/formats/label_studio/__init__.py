"""Label Studio JSON: one list of tasks, as its exports "JSON" and "JSON-MIN" write it.

A task names its image in ``data`` and has ``annotations`` with a ``result``: shapes in percent of the image's
width and height. JSON-MIN has the image and the shapes side by side. Predictions are passed over, as nobody has
confirmed them; but beside a ``suggestions.json`` that `formats.write` made, a photo of a task that is not labelled yet
has the suggestions again.

A photo is found by the name that Label Studio gave it when it was uploaded (``1a2b3c4d-cat.jpg``) and by its own
(``cat.jpg``). Of a rotated rectangle, an ellipse, a polygon and a brush stroke the box around it is taken; key points
have no box, which is an error. Of several annotations of one image the first that was not cancelled is taken; where
they differ, that is a warning. Of a task with several images each has the regions that their ``to_name`` and
``item_index`` give; the task is refused where they do not. Images that were skipped, or not labelled yet, are
left out, and so is one of several on which nothing is drawn. Without annotations, `read` takes the Label Studio files
in the folder with the photos, or in its subfolders.
https://labelstud.io/guide/task_format and https://labelstud.io/guide/export

`write` makes ``tasks.json``, to be imported, and ``labeling_interface.xml``, to be pasted into the project's settings.
A detector's suggestions are predictions there, which a person corrects and submits. Label Studio serves the photos
where they are: start it with ``LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true`` and
``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT`` set to the folder around the written one, and add the written one as the
project's local storage. The format has no place for crowds, difficult objects, masks and the order of the classes.
https://labelstud.io/guide/predictions and https://labelstud.io/guide/storage#Local-storage
"""

from tfod_helpers.formats import one_file
from tfod_helpers.formats.label_studio import reading, writing

FORMAT = one_file.one_file_format(
    "Label Studio JSON", ".json", reading.is_ours, reading.read_file, write_annotations=writing.write, by_stem=False
)
read, write = FORMAT.read, FORMAT.write
