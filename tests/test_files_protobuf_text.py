"""Protocol buffer text: read with all the looseness of real files, and every mistake named with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfod_helpers.files.protobuf_text import Setting, TextFormatError, read_settings
from tfod_helpers.pipeline_config.reading import decode

CONFIG = """# A comment, with "quotes" and { braces
model {
  ssd {
    num_classes: 3  # as in the label map
    anchor_generator: { aspect_ratios: [1.0, 2.0, 0.5] }
  }
}
train_config: <
  batch_size: 24; num_steps: 200,
  sync_replicas: true
  fine_tune_checkpoint: 'PATH_TO_BE_CONFIGURED/' "model.ckpt"
  data_augmentation_options { random_horizontal_flip { } }
  data_augmentation_options { ssd_random_crop {} }
>
"""
READ = {
    "model.ssd.num_classes": 3,
    "model.ssd.anchor_generator.aspect_ratios": (1.0, 2.0, 0.5),
    "train_config.batch_size": 24,
    "train_config.num_steps": 200,
    "train_config.sync_replicas": True,
    "train_config.fine_tune_checkpoint": "PATH_TO_BE_CONFIGURED/model.ckpt",
    "train_config.data_augmentation_options[0].random_horizontal_flip": "{}",
    "train_config.data_augmentation_options[1].ssd_random_crop": "{}",
}


def values(text: str) -> dict:
    """The settings of a text by their names."""
    return {one.name: one.value for one in read_settings(text)}


def attempt(read: Callable[[], list[Setting]]) -> tuple[list[Setting], TextFormatError | None]:
    """What was read, or the reader's own error; any other goes through."""
    try:
        return read(), None
    except TextFormatError as error:
        return [], error


def one(text: str) -> object:
    """The value of the text's only setting."""
    (setting,) = read_settings(text, windows_paths=True)
    return setting.value


def test_loose_text_is_read() -> None:
    """Commas, semicolons, comments, both brackets, lists, joined texts and repeated messages mean what they say."""
    assert values(CONFIG) == READ


@pytest.mark.parametrize(
    "data",
    [
        CONFIG.encode(),
        CONFIG.replace("\n", "\r\n").encode(),
        CONFIG.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + CONFIG.encode(),
        CONFIG.encode("utf-16"),
        re.sub(r" *#.*", "", CONFIG).replace("\n", " ").encode(),
    ],
    ids=["as it is", "CRLF", "CR", "byte order mark", "UTF-16", "one line"],
)
def test_bytes_of_every_editor_are_read_alike(data: bytes) -> None:
    """Line ends, a byte order mark, UTF-16 and no line ends at all change nothing."""
    assert values(decode(data)) == READ


def test_a_path_in_the_encoding_of_windows_is_read() -> None:
    """A file that is no UTF-8 is read in the encoding of Western Windows."""
    assert one(decode('label_map_path: "C:/Jos\u00e9/map.pbtxt"'.encode("cp1252"))) == "C:/Jos\u00e9/map.pbtxt"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("- 1", -1),
        ("+2", 2),
        ("0x1F", 31),
        (".08", 0.08),
        ("4.", 4.0),
        ("1e-8", 1e-8),
        ("1.0f", 1.0),
        ("0x" + "F" * 16, 2**64 - 1),
        ("inf", float("inf")),
        ("9" * 5000, float("inf")),
        ("-Infinity", float("-inf")),
        ("true", True),
        ("False", False),
        ("RELU_6", "RELU_6"),
        ("[]", ()),
        ("[3]", (3,)),
        (r'"say \"hi\""', 'say "hi"'),
        (r"'caf\303\251'", "caf\u00e9"),
        (r'"C:\\data\\train.record"', r"C:\data\train.record"),
        (r'"C:\data\train.record"', r"C:\data\train.record"),
        (r'"C:\new\x64\001"', r"C:\new\x64\001"),
        (r'"annotations\train.record"', r"annotations\train.record"),
        (r'"images\label_map.pbtxt"', r"images\label_map.pbtxt"),
        ('"# no comment"', "# no comment"),
    ],
)
def test_values_are_read(text: str, value: object) -> None:
    """Numbers, words, texts and the paths of Windows, escaped or not, come out as they were meant."""
    assert one(f"a: {text}") == value
    assert type(one(f"a: {text}")) is type(value)


def test_without_paths_of_windows_escapes_mean_what_they_say() -> None:
    """A class name's escapes are resolved, whatever they give; those that are no UTF-8 are refused with their place."""
    assert read_settings(r"a: 'x\tb'")[0].value == "x\tb"
    with pytest.raises(TextFormatError, match=r"line 1, column 4: .* holds escapes that are not UTF-8"):
        read_settings(r"a: 'caf\351'")


def test_values_given_several_times_are_one_setting() -> None:
    """A repeated field is the same as a list, and keeps its first place."""
    assert values("a: 1 b: 2 a: 3 a: [4, 5]") == {"a": (1, 3, 4, 5), "b": 2}
    assert values("a: [{b: 1}, {b: 2}]") == {"a[0].b": 1, "a[1].b": 2}


def test_unknown_fields_are_read() -> None:
    """A name that nobody knows is a setting like any other."""
    assert values("my_ext { depth: 3 } new_thing: WORD") == {"my_ext.depth": 3, "new_thing": "WORD"}


def test_places_are_the_files_own() -> None:
    """Line and column count from 1, and point to the setting's name."""
    setting = next(one for one in read_settings(CONFIG.replace("\n", "\r\n")) if one.name == "train_config.num_steps")
    assert (setting.line, setting.column) == (9, 19)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("model {\n  ssd {\n    a: 1\n}\n", 1, 7, "never closed. Add a '}'"),
        ("model {\n}\n}\n", 3, 1, "closes nothing"),
        ("model <\n  a: 1\n}\n", 3, 1, "Write '>' here"),
        ("a: 1\nb 2\n", 2, 3, "expected ':' or '{' after 'b', got '2'"),
        ("a:", 1, 2, "expected a value for 'a', got the end of the file"),
        ("a: }", 1, 4, "expected a value for 'a', got '}'"),
        ("task:\n  model: 3\n", 2, 3, "expected a value for 'task', got 'model'"),
        ('{"model": 1}', 1, 1, "expected the name of a setting, got '{'"),
        ("a: [1, 2", 1, 1, "the list of 'a' is never closed"),
        ("a: [1, {b: 2}]", 1, 1, "mixes values and messages"),
        ("[my.ext] { a: 1 }", 1, 1, "expected the name of a setting, got '['"),
        ('path: "C:/data/x\nb: 1', 1, 7, "no closing quote"),
        ('path: "C:\\data\\"\nb: 1', 1, 7, "write / in paths"),
        ("a: 12ab", 1, 4, "cannot read '12ab'"),
        ("a: @", 1, 4, "cannot read '@'"),
        ("a: 0x" + "F" * 5000, 1, 4, "cannot read"),
        ("a { " * 200, 1, 259, "64 deep"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, line: int, column: int, message: str) -> None:
    """Each mistake says its line and column, what was found and what to do."""
    with pytest.raises(TextFormatError, match=re.escape(message)) as caught:
        read_settings(text)
    assert caught.value.where == f"line {line}, column {column}"
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("data", [b"", b" \n\t", b"\x00\x01\x02", b"\x08\x96\x01model", bytes(range(256))])
def test_no_text_is_refused(data: bytes) -> None:
    """Nothing at all, and bytes that are no text, are refused."""
    with pytest.raises(TextFormatError, match=r"empty|binary"):
        decode(data)


@given(st.one_of(st.binary(max_size=300), st.text(alphabet="ab:{}<>[],;#'\"\\ \n.1-x", max_size=80).map(str.encode)))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_settings_or_the_error(data: bytes) -> None:
    """Whatever the bytes are, reading ends in settings with a place, or in the reader's own error."""
    found, error = attempt(lambda: read_settings(decode(data)))
    assert all(one.line > 0 and one.column > 0 for one in found)
    assert error is None or (error.what and error.fix.endswith("."))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_damage_to_a_config_gives_settings_or_the_error(data: st.DataObject) -> None:
    """A config with a piece cut out or put in somewhere is read, or refused with a place within it."""
    start = data.draw(st.integers(0, len(CONFIG)))
    end = data.draw(st.integers(start, len(CONFIG)))
    text = CONFIG[:start] + data.draw(st.text(alphabet="{}<>[]:'\"#\\1a ", max_size=5)) + CONFIG[end:]
    _, error = attempt(lambda: read_settings(text))
    assert error is None or 1 <= int(error.where.split()[1].strip(",")) <= text.count("\n") + 1


def test_every_name_of_every_real_config_is_read(shared: Path) -> None:
    """All 108 configs are read, and every name with a value in their text is the last part of a setting."""
    files = sorted((shared / "data" / "tfod_configs").rglob("*.config"))
    assert len(files) == 108
    for path in files:
        text = path.read_text(encoding="utf-8")
        plain = re.sub(r'"[^"]*"|\'[^\']*\'', "'text'", re.sub(r"#.*", "", text))
        named = set(re.findall(r"(\w+)\s*:\s*[^\s{<]", plain))
        empty = set(re.findall(r"(\w+)\s*:?\s*\{\s*\}", plain))
        found = read_settings(text)
        assert {one.plain_name.split(".")[-1] for one in found} == named | empty, path.name
        assert len({one.name for one in found}) == len(found)
