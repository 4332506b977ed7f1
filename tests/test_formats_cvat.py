"""formats.cvat: what CVAT exports is read exactly, every shape, and what is broken or hostile is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import broken_json
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tfod_helpers.formats import cvat
from tfod_helpers.formats.folders import Listing
from tfod_helpers.problems import DatasetError

FUZZ = settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# As CVAT 2.x dumps a task (cvat/apps/dataset_manager/formats/cvat.py), what does not matter here left out.
TASK = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id>
      <name>pets</name>
      <size>2</size>
      <mode>annotation</mode>
      <subset>default</subset>
      <labels>
        <label><name>dog</name><color>#ff6037</color><type>any</type><attributes></attributes></label>
        <label><name>cat</name><color>#32b7fa</color><type>rectangle</type>
          <attributes><attribute><name>age</name><mutable>False</mutable></attribute></attributes></label>
        <label><name>background</name><color>#000000</color><type>any</type><attributes></attributes></label>
        <label><name>indoor</name><color>#000001</color><type>tag</type><attributes></attributes></label>
        <label><name>pose</name><color>#000002</color><type>skeleton</type><attributes></attributes></label>
        <label><name>nose</name><color>#000003</color><type>points</type><attributes></attributes>
          <parent>pose</parent></label>
      </labels>
    </task>
    <dumped>2024-05-01 10:00:00.000000+00:00</dumped>
  </meta>
  {images}
</annotations>
"""
BOX = '<box label="cat" source="manual" occluded="0" xtl="5.25" ytl="6.50" xbr="30.00" ybr="20.00" z_order="0"></box>'
IMAGE = '<image id="{id}" name="{name}" {more}width="60" height="40">\n    {shapes}\n  </image>'
TRACK = '<track id="{id}" label="cat" source="manual">{shapes}</track>'


def photo(path: Path, width: int = 60, height: int = 40) -> Path:
    """Write a plain picture of the kind that its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 60)).save(path)
    return path


def image(shapes: str = BOX, name: str = "a.jpg", id: int = 0, more: str = "") -> str:
    """One image with its shapes."""
    return IMAGE.format(id=id, name=name, more=more, shapes=shapes)


def export(folder: Path, *images: str, photos: tuple[str, ...] = ("images/a.jpg",)) -> Path:
    """An export with its photos, unpacked."""
    for name in photos:
        photo(folder / name)
    text = TASK.format(images="\n  ".join(images))
    if "<track" in text:
        text = text.replace("<mode>annotation</mode>", "<mode>interpolation</mode>")  # as that of a video
    (folder / "annotations.xml").write_text(text, encoding="utf-8")
    return folder


def errors(caught: pytest.ExceptionInfo[DatasetError]) -> list[str]:
    """The errors for which a data set was refused."""
    return [str(problem) for problem in caught.value.problems if problem.severity == "error"]


def test_task_export(tmp_path: Path) -> None:
    """A task's export is found and read: photos in images/, classes in the order of the task, background kept."""
    bare = image('<tag label="indoor" source="manual"></tag>', "sub/b.png", 1)
    folder = export(tmp_path, image(), bare, photos=("images/a.jpg", "images/sub/b.png"))
    (part,) = cvat.FORMAT.find(Listing(folder))
    assert (part.images, part.annotations, part.split) == (folder / "images", folder / "annotations.xml", "")
    dataset = cvat.read(folder)
    assert list(dataset.label_map) == ["dog", "cat"]
    assert [(image.path.name, image.boxes_xyxy.tolist(), image.labels.tolist()) for image in dataset] == [
        ("a.jpg", [[5.25, 6.5, 30, 20]], [2]),
        ("b.png", [], []),
    ]
    assert [str(problem) for problem in dataset.problems] == [
        "annotations.xml, image 2: it has no objects. b.png is kept as background."
    ]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        # A box of 20 x 10 about (30, 20) on its end, and turned by 45 degrees: (20 + 10) / sqrt(2) to each side.
        ('<box label="cat" xtl="20" ytl="15" xbr="40" ybr="25" rotation="90.00"/>', [25, 10, 35, 30]),
        (
            '<box label="cat" xtl="20" ytl="15" xbr="40" ybr="25" rotation="45.00"/>',
            [19.3934, 9.3934, 40.6066, 30.6066],
        ),
        ('<box label="cat" xtl="0" ytl="15" xbr="20" ybr="25" rotation="45.00"/>', [0, 9.3934, 20.6066, 30.6066]),
        ('<polygon label="cat" points="10.00,5.50;40.00,8.00;20.00,30.00"/>', [10, 5.5, 40, 30]),
        ('<ellipse label="cat" cx="30.00" cy="20.00" rx="10.00" ry="5.00"/>', [20, 15, 40, 25]),
        ('<ellipse label="cat" cx="30.00" cy="20.00" rx="10.00" ry="5.00" rotation="90.00"/>', [25, 10, 35, 30]),
        ('<ellipse label="cat" cx="58.00" cy="20.00" rx="10.00" ry="5.00"/>', [48, 15, 60, 25]),
        ('<mask label="cat" rle="3, 10, 2" left="12" top="7" width="5" height="3"/>', [12, 7, 17, 10]),
        (
            '<cuboid label="cat" xtl1="10" ytl1="10" xbl1="10" ybl1="30" xtr1="20" ytr1="10" xbr1="20" ybr1="30" '
            'xtl2="15" ytl2="5" xbl2="15" ybl2="25" xtr2="25" ytr2="5" xbr2="25" ybr2="25"/>',
            [10, 5, 25, 30],
        ),
    ],
)
def test_shapes(shape: str, expected: list[float], tmp_path: Path) -> None:
    """Of every shape with an area the box around it is taken; a turned or round one stays inside the image."""
    dataset = cvat.read(export(tmp_path, image(shape)))
    assert dataset[0].boxes_xyxy[0] == pytest.approx(expected, abs=1e-4)
    assert dataset[0].labels.tolist() == [2]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ('<points label="cat" points="10.00,5.00"/>', "points 2 ('cat'): <points> has no box. Draw a rectangle"),
        ('<polyline label="cat" points="1,5;3,4;4,4"/>', "polyline 2 ('cat'): <polyline> has no box."),
        ('<skeleton label="cat"><points label="nose" outside="0" points="1,2"/></skeleton>', "<skeleton> has no box."),
        ('<box label="cat" xtl="5" ytl="x" xbr="7" ybr="9"/>', "box 2 ('cat'): ymin is 'x', not a number."),
        ('<box label="cat" xtl="5" ytl="6" xbr="7"/>', "box 2 ('cat'): ymax is missing."),
        (
            '<box label="cat" xtl="5" ytl="6" xbr="7" ybr="9" rotation="?"/>',
            "rotation is '?', not a number. Correct it",
        ),
        ('<box label="cat" xtl="5" ytl="6" xbr="5" ybr="9"/>', "xmax 5 is not right of xmin 5."),
        ('<polygon label="cat" points="1,2;3,4"/>', "a polygon cannot have 2 points. Correct it"),
        ('<polygon label="cat" points="1,2;3;5,6,7"/>', "point 2 is [3.0], not [x, y]."),
        ('<polygon label="cat"/>', "point 1 is [''], not [x, y]."),
        ('<ellipse label="cat" cx="1" cy="2" rx="inf" ry="3"/>', "rx is 'inf', not a number."),
        ('<mask label="cat" left="1" top="1_0" width="3" height="3"/>', "top is '1_0', not a number."),
        ('<box label="cow" xtl="5" ytl="6" xbr="9" ybr="9"/>', "class 'cow' is not in the label map (dog, cat)."),
        ('<box label="background" xtl="5" ytl="6" xbr="9" ybr="9"/>', "a class may not be called 'background'"),
        (
            '<box xtl="5" ytl="6" xbr="9" ybr="9"/>',
            "annotations.xml, image 1 (a.jpg), box 2: a class name must be a text",
        ),
    ],
)
def test_broken_shape(shape: str, expected: str, tmp_path: Path) -> None:
    """An error says which image, which shape, what is wrong and what to do; the others are kept in skip mode."""
    folder = export(tmp_path, image(BOX + shape))
    with pytest.raises(DatasetError) as caught:
        cvat.read(folder)
    assert len(errors(caught)) == 1
    assert errors(caught)[0].startswith("annotations.xml, image 1 (a.jpg), ")
    assert expected in errors(caught)[0]
    assert cvat.read(folder, on_problem="skip")[0].boxes_xyxy.tolist() == [[5.25, 6.5, 30, 20]]


def test_project_with_subsets(tmp_path: Path) -> None:
    """A project's subsets are the splits, and photos of one name are told apart by the subset's folder."""
    images = [
        image(name="a.jpg", more=f'subset="{subset}" task_id="{id}" ', id=id)
        for id, subset in enumerate(("Train", "Test"))
    ]
    folder = export(tmp_path, *images, photos=("images/Train/a.jpg", "images/Test/a.jpg", "images/Test/c.jpg"))
    text = (folder / "annotations.xml").read_text().replace("task>", "project>")
    (folder / "annotations.xml").write_text(text)
    dataset = cvat.read(folder)
    assert {image.path.parent.name: image.split for image in dataset} == {"Train": "Train", "Test": "Test"}
    assert list(dataset.label_map) == ["dog", "cat"]
    assert sorted(dataset.splits()) == ["Test", "Train"]
    assert [problem.photo[-10:] for problem in dataset.problems] == ["Test/c.jpg"]


def test_default_subset_is_no_split(tmp_path: Path) -> None:
    """Where nobody chose a subset, CVAT writes "default", which divides nothing."""
    more = 'subset="default" task_id="1" '
    dataset = cvat.read(export(tmp_path, image(more=more), photos=("images/default/a.jpg",)))
    assert [image.split for image in dataset] == [""]


def test_subset_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    """A subset that is a path to another folder finds no photo there."""
    photo(tmp_path / "other" / "a.jpg")
    folder = export(tmp_path / "export", image(more='subset="../../other" '), photos=("images/b.jpg",))
    with pytest.raises(DatasetError) as caught:
        cvat.read(folder)
    assert "its image is missing, there is no '../../other/a.jpg' (its filename) in images." in errors(caught)[0]


def test_several_tasks_over_one_folder(tmp_path: Path) -> None:
    """The files of several tasks beside one folder of photos are one dataset, with all classes."""
    export(tmp_path, image(), photos=("a.jpg", "b.jpg"))
    other = TASK.replace("<name>dog</name>", "<name>bird</name>").format(images=image(name="b.jpg"))
    (tmp_path / "task2.xml").write_text(other)
    dataset = cvat.read(tmp_path)
    assert [image.path.name for image in dataset] == ["a.jpg", "b.jpg"]
    assert list(dataset.label_map) == ["dog", "cat", "bird"]
    assert dataset.problems == ()


def test_video_with_its_frames(tmp_path: Path) -> None:
    """Tracks are read frame by frame where the export has the frames; what is outside is not there."""
    shape = '<box frame="{}" keyframe="1" outside="{}" occluded="0" xtl="{}.00" ytl="2.00" xbr="30.00" ybr="20.00"/>'
    tracks = [
        TRACK.format(id=0, shapes=shape.format(0, 0, 1) + shape.format(1, 0, 2) + shape.format(2, 1, 3)),
        TRACK.format(id=1, shapes=shape.format(1, 0, 9)),
    ]
    folder = export(tmp_path, *tracks, photos=tuple(f"images/frame_{number:06d}.PNG" for number in range(3)))
    text = (folder / "annotations.xml").read_text()
    dataset = cvat.read(folder)
    assert [(image.path.name, image.boxes_xyxy[:, 0].tolist()) for image in dataset] == [
        ("frame_000000.PNG", [1]),
        ("frame_000001.PNG", [2, 9]),
    ]
    assert [problem.kind for problem in dataset.problems] == ["size not given"] * 2 + ["photo not annotated"]
    size = "<original_size><width>60</width><height>40</height></original_size></task>"
    (folder / "annotations.xml").write_text(text.replace("</task>", size))
    assert [problem.kind for problem in cvat.read(folder).problems] == ["photo not annotated"]


SIZE = "<original_size>\n<width>{}</width>\n<height>40</height></original_size>"
VIDEO = "<start_frame>{}</start_frame><stop_frame>99</stop_frame><frame_filter>{}</frame_filter>" + SIZE.format(60)


@pytest.mark.parametrize("name", ["frame_000010", "frame_000010.PNG", "FRAME_000010"])
@pytest.mark.parametrize("place", ["task", "job", "project"])
def test_video_exported_for_images(name: str, place: str, tmp_path: Path) -> None:
    """The export for images of a video says its size and its start and step; its names have no ending."""
    folder = export(tmp_path, image(name=name), photos=("images/frame_000010.PNG", "images/frame_000001.PNG"))
    text = (folder / "annotations.xml").read_text()
    if place == "project":
        text = text.replace("task>", "project>").replace("<labels>", f"<tasks><task>{VIDEO}</task></tasks><labels>")
    else:
        text = text.replace("<labels>", VIDEO.format(10, "step=5") + "<labels>").replace("task>", f"{place}>")
    (folder / "annotations.xml").write_text(text)
    dataset = cvat.read(folder)
    assert [(image.path.name, image.boxes_xyxy.tolist()) for image in dataset] == [
        ("frame_000010.PNG", [[5.25, 6.5, 30, 20]])
    ]
    assert [problem.kind for problem in dataset.problems] == ["photo not annotated"]


@pytest.mark.parametrize("name", ["w01_cvat_original_size_images", "w01_cvat_frame_names_without_ending"])
def test_reported(name: str, shared: Path) -> None:
    """What users reported is read."""
    (image,) = cvat.read(shared / "data/reported" / name)
    assert (image.path.name, image.boxes_xyxy.tolist()) == ("frame_000000.PNG", [[10, 10, 30, 30]])


def test_each_video_of_a_project_has_its_own_size(tmp_path: Path) -> None:
    """The frames of each task are checked against the size of that task, and turned boxes are clipped to it."""
    box = '<box frame="0" outside="0" xtl="40" ytl="10" xbr="70" ybr="30" rotation="90"/>'
    tracks = [
        f'<track id="{task}" label="cat" task_id="{task}" subset="{subset}">{box}</track>'
        for task, subset in ((1, "Train"), (2, "Test"))
    ]
    folder = export(tmp_path, *tracks, photos=("images/Train/frame_000000.PNG",))
    photo(folder / "images/Test/frame_000000.PNG", 64)
    tasks = "".join(f"<task><id>{id}</id>{SIZE.format(width)}</task>" for id, width in ((1, 60), (2, 64)))
    text = (folder / "annotations.xml").read_text().replace("task>", "project>")
    text = text.replace("<labels>", f"<tasks>{tasks}</tasks><labels>")
    (folder / "annotations.xml").write_text(text)
    dataset = cvat.read(folder)
    found = {image.split: (image.width, image.boxes_xyxy.tolist()) for image in dataset}
    assert found == {"Train": (60, [[45, 5, 60, 35]]), "Test": (64, [[45, 5, 64, 35]])}


def test_images_exported_for_video(tmp_path: Path) -> None:
    """The numbers of a task's images are not those in their names, so that no box gets to the next photo."""
    track = TRACK.format(id=0, shapes='<box frame="1" keyframe="1" outside="0" xtl="1" ytl="2" xbr="30" ybr="20"/>')
    photos = tuple(f"images/frame_{number:06d}.jpg" for number in (1, 2))  # ffmpeg begins with 1, and CVAT with 0
    text = (export(tmp_path, track, photos=photos) / "annotations.xml").read_text()
    (tmp_path / "annotations.xml").write_text(text.replace("interpolation", "annotation"))
    for on_problem in ("raise", "skip"):
        with pytest.raises(DatasetError, match=r"export for video of a task of images, .*as 'CVAT for images 1\.1'"):
            cvat.read(tmp_path, on_problem=on_problem)


def test_videos_of_one_subset(tmp_path: Path) -> None:
    """Two videos in one subset of a project both have a frame 0 and only one file for it, which is told."""
    box = '<box frame="0" keyframe="1" outside="0" xtl="1" ytl="2" xbr="30" ybr="20"/>'
    tracks = [f'<track id="{task}" label="cat" task_id="{task}" subset="Train">{box}</track>' for task in (1, 2)]
    folder = export(tmp_path, *tracks, photos=("images/Train/frame_000000.PNG",))
    with pytest.raises(DatasetError) as caught:
        cvat.read(folder)
    assert errors(caught)[0].startswith("Train/frame_000000.PNG: 2 annotations describe this image: ")


def test_video_without_its_frames(tmp_path: Path) -> None:
    """Tracks whose frames have no name are refused, with what to export instead."""
    track = TRACK.format(id=0, shapes='<box frame="0" keyframe="1" outside="0" xtl="1" ytl="2" xbr="30" ybr="20"/>')
    with pytest.raises(DatasetError) as caught:
        cvat.read(export(tmp_path, track))
    assert errors(caught) == [
        "annotations.xml: it is an export for video, which numbers its frames, and no photo is called frame_000000 or "
        "alike. In CVAT, export the dataset as 'CVAT for images 1.1'."
    ]
    photo(tmp_path / "images" / "frame_000000.png")
    assert len(cvat.read(tmp_path)) == 1
    (tmp_path / "annotations.xml").write_text(
        TASK.format(images=track.replace('frame="0"', 'frame="-1"')).replace("<mode>annotation", "<mode>")
    )
    with pytest.raises(DatasetError, match="frame -1: '-1' is no number of a frame"):
        cvat.read(tmp_path)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><annotations><meta/>&b;</annotations>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "/etc/passwd">]><annotations><meta>&a;</meta></annotations>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "annotations.xml: the file is empty."),
        ("<annotations><image", "annotations.xml: it cannot be read as XML ("),
        ("<annotation/>", "annotations.xml: its root is <annotation>, not <annotations>."),
        (BOMB, "annotations.xml: it declares entities, which no labelling tool does and an attack would."),
        (OUTSIDE, "annotations.xml: it declares entities"),
        (OUTSIDE.replace("<meta>&a;</meta>", '<image name="&a;"/>'), "annotations.xml: it cannot be read as XML ("),
        ("<annotations/>", "no labelled image is left"),
        ("<annotations><image id='0'/></annotations>", "annotations.xml, image 1: it has no name."),
        (TASK.format(images=image(name="../../../etc/passwd")), "there is no '../../../etc/passwd' (its filename)"),
        (
            TASK.format(images=image().replace('"60"', '"6O"')),
            "image 1: the size has '6O', not a whole number of pixels",
        ),
        (
            TASK.format(images=image().replace('"60"', '"40"')),
            "image 1: the size 40 x 40 is not that of a.jpg, 60 x 40",
        ),
        ("<a>" * 5000, "annotations.xml: it cannot be read as XML ("),
    ],
)
def test_broken_or_hostile_file(text: str, expected: str, tmp_path: Path) -> None:
    """A file that cannot be used, or that would read or fetch something, is told by name in both modes."""
    photo(tmp_path / "a.jpg")
    path = tmp_path / "annotations.xml"
    path.write_text(text, encoding="utf-8")
    for on_problem in ("raise", "skip"):
        with pytest.raises(DatasetError) as caught:
            cvat.read(tmp_path, path, on_problem=on_problem)
        assert expected in str(caught.value)
        assert "root:" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    """A byte order mark and UTF-16 are understood, by find too; names are of any script."""
    photo(tmp_path / "猫.jpg")
    text = (
        TASK.format(images=image(name="猫.jpg")).replace("cat", "กแมว").replace("utf-8", encoding.removesuffix("-sig"))
    )
    (tmp_path / "x.xml").write_bytes(text.encode(encoding))
    assert len(cvat.FORMAT.find(Listing(tmp_path))) == 1
    assert list(cvat.read(tmp_path).label_map) == ["dog", "กแมว"]


@pytest.mark.parametrize(
    "text",
    [
        "<annotation><filename>a.jpg</filename><object/></annotation>",
        "<!-- <annotations><meta/> --><annotation/>",
        "<annotations><note/></annotations>",
        "<annotations/>",
        "<html/>",
        "{}",
        "",
    ],
)
def test_find_leaves_other_xml_alone(text: str, tmp_path: Path) -> None:
    """XML of another format, Pascal VOC first of all, is not claimed."""
    photo(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(text)
    assert cvat.FORMAT.find(Listing(tmp_path)) == []


def test_missing(tmp_path: Path) -> None:
    """A folder or file that is not there, or is the other of the two, is said so."""
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        cvat.read(tmp_path / "nowhere")
    photo(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match="there is no such annotation file"):
        cvat.read(tmp_path, tmp_path / "x.xml")
    with pytest.raises(IsADirectoryError, match=r"Give one XML file; those in it: none\."):
        cvat.read(tmp_path, tmp_path)
    with pytest.raises(ValueError, match="on_problem must be"):
        cvat.read(tmp_path, tmp_path / "x.xml", on_problem="ignore")


PIECES = TASK.format(images=image(BOX + '<ellipse label="dog" cx="30" cy="20" rx="9" ry="5" rotation="3"/>'))
PIECES = PIECES.replace(
    "</annotations>", TRACK.format(id=0, shapes='<box frame="1" xtl="1" ytl="2" xbr="3" ybr="4"/>') + "</annotations>"
)
WORDS = [word for word in PIECES.replace("<", " <").replace('"', ' " ').split(" ") if word.strip()]


@FUZZ
@given(data=st.data())
def test_fuzz(data: Any, tmp_path: Path) -> None:
    """With any words of a valid file exchanged or left out, reading ends in a dataset or in one report."""
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "frame_000001.png")
    text = PIECES
    for _ in range(data.draw(st.integers(1, 3))):
        word = data.draw(st.sampled_from(WORDS))
        text = text.replace(word, data.draw(st.sampled_from(WORDS) | st.text(max_size=5)), 1)
    path = tmp_path / "x.xml"
    path.write_bytes(text.encode("utf-8", "replace"))
    cvat.FORMAT.find(Listing(tmp_path))
    names = {"x.xml", "a.jpg", "frame_000001.png", str(tmp_path)}
    broken_json.assert_told(lambda on_problem: cvat.read(tmp_path, path, on_problem=on_problem), names)


@FUZZ
@given(data=st.binary(max_size=60))
def test_fuzz_bytes(data: bytes, tmp_path: Path) -> None:
    """No bytes make find raise, and reading them ends in one report."""
    photo(tmp_path / "a.jpg")
    path = tmp_path / "x.xml"
    for start in (b"", b"<annotations><meta/>"):
        path.write_bytes(start + data)
        cvat.FORMAT.find(Listing(tmp_path))
        with pytest.raises(DatasetError):
            cvat.read(tmp_path, path)
