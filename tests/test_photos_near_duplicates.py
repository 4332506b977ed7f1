"""near_duplicates: copies of a photo are found however they were saved, and no other photo is taken for one."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tfod_helpers import photos, sources
from tfod_helpers.photos import Look, PhotoInfo, near_duplicates


def cropped(image: Image.Image, share: float) -> Image.Image:
    """A photo less a border of this share of its sides."""
    wide, high = image.width * share, image.height * share
    return image.crop(tuple(map(round, (wide, high, image.width - wide, image.height - high))))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved again": lambda image: image,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "an icon": lambda image: image.resize((image.width // 4, image.height // 4)),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "grey": lambda image: image.convert("L"),
    "border cut off": lambda image: cropped(image, 0.02),
}


def saved(image: Image.Image, **options: object) -> bytes:
    """The bytes of a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def look_of(data: bytes) -> Look:
    """What a photo looks like."""
    return photos.look(data)


def smooth(count: int, seed: int = 0) -> np.ndarray:
    """Different small grey pictures of a few soft spots: uint8, shape (count, 16, 16)."""
    random = np.random.default_rng(seed)
    spots = np.kron(random.normal(size=(count, 4, 4)), np.ones((1, 4, 4)))
    return np.clip(128 + 40 * spots + 8 * random.normal(size=(count, 16, 16)), 0, 255).astype(np.uint8)


def look_like(digest: bytes, square: np.ndarray) -> Look:
    """The look of a file with this digest and small picture."""
    return Look(digest, square, 1, PhotoInfo("JPEG", "RGB", 16, 16, 1))


def looks(squares: np.ndarray) -> list[Look]:
    """The looks of files that all differ."""
    return [look_like(str(number).encode(), square) for number, square in enumerate(squares)]


@pytest.fixture(scope="module")
def asirra(shared: Path) -> dict[str, Look]:
    """What the 995 photos of the real training set look like, by name."""
    return {path.name: look_of(path.read_bytes()) for path in sorted((shared / "data/asirra/train").glob("*.jpg"))}


def test_real_photos_are_all_different_but_two(asirra: dict[str, Look]) -> None:
    """Among 995 real photos only the two are found that show the same four puppies in the same moment."""
    names = list(asirra)
    found = near_duplicates.groups(list(asirra.values()))
    assert len(names) == 995
    assert [{names[one] for one in group} for group in found] == [{"dog.180.jpg", "dog.74.jpg"}]


def test_drawn_photos_are_all_different() -> None:
    """The flat drawings of the sample, which share their colours, are not taken for each other."""
    paths = sorted(sources.local("sample").glob("t*/*.jpg"))
    assert len(paths) == 250
    assert near_duplicates.groups([look_of(path.read_bytes()) for path in paths]) == []


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copy_is_found(shared: Path, asirra: dict[str, Look], change: str) -> None:
    """Of 50 photos each changed copy is found among all 995, as a near one, and is taken for no other photo."""
    names = [name for name in asirra if name not in ("dog.180.jpg", "dog.74.jpg")]
    chosen = names[::20]
    copies = []
    for name in chosen:
        with Image.open(shared / "data/asirra/train" / name) as image:
            copies.append(look_of(saved(CHANGES[change](image.convert("RGB")), quality=60)))
    found = near_duplicates.groups([*(asirra[name] for name in names), *copies])
    expected = {(names.index(name), len(names) + number) for number, name in enumerate(chosen)}
    assert len(chosen) == 50
    assert {tuple(group) for group in found} <= expected
    missed = len(expected) - len(found)
    assert missed == 0 if change != "border cut off" else missed <= 1


def on_white(shared: Path, count: int) -> list[Look]:
    """Cats and dogs, cut out and put into the middle of white pictures."""
    folder = shared / "data/oxford_pets"
    found = []
    for path in sorted((folder / "annotations/trimaps").glob("[A-Za-z]*.png"))[:count]:
        outline = Image.fromarray((np.asarray(Image.open(path)) != 2).astype(np.uint8) * 255)
        with Image.open((folder / "images" / path.name).with_suffix(".jpg")) as pet:
            pet, outline = pet.convert("RGB").crop(outline.getbbox()), outline.crop(outline.getbbox())
        for part in (pet, outline):
            part.thumbnail((170, 128))
        picture = Image.new("RGB", (200, 150), "white")
        picture.paste(pet, ((200 - pet.width) // 2, (150 - pet.height) // 2), outline)
        found.append(look_of(saved(picture)))
    return found


def board(random: np.random.Generator) -> Image.Image:
    """A photo of a chess board from above, always from one place, with its pieces put anew."""
    squares = np.add.outer(np.arange(8), np.arange(8)) % 2
    pixels = np.kron(np.where(squares, 235, 40), np.ones((20, 20)))
    y, x = np.mgrid[:160, :160]
    for cell in random.choice(64, 4, replace=False):
        piece = np.hypot(y - cell // 8 * 20 - 10, x - cell % 8 * 20 - 10) < 7
        pixels = np.where(piece, random.choice([0, 140]), pixels)
    return Image.fromarray(np.clip(pixels + random.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8))


def test_things_on_white_are_not_the_same(shared: Path) -> None:
    """Of 100 cats and dogs on white, which resemble each other as fruits do, only the set's real copies are found."""
    found = on_white(shared, 100)
    vectors = near_duplicates.frequencies(np.stack([look.thumbnail for look in found]))
    assert (np.triu(vectors @ vectors.T, 1) >= 0.86).sum() > 4  # their outlines resemble each other
    copies = {(76, 25), (81, 11)}  # Abyssinian_172 and _122, _177 and _11
    assert {pair[:2] for pair in near_duplicates.pairs(found)} == copies


def test_photos_of_one_scene_are_not_the_same() -> None:
    """Photos of a chess board whose pieces were moved are different; one that was saved again is not."""
    random = np.random.default_rng(0)
    boards = [board(random) for _ in range(60)]
    found = [look_of(saved(one)) for one in boards]
    vectors = near_duplicates.frequencies(np.stack([look.thumbnail for look in found]))
    assert (np.triu(vectors @ vectors.T, 1) >= 0.86).sum() > 100
    assert near_duplicates.pairs(found) == []
    copies = [look_of(saved(boards[number].resize((80, 80)), quality=60)) for number in range(0, 60, 6)]
    pairs = near_duplicates.pairs([*found, *copies])
    assert [pair[:2] for pair in pairs] == [(60 + number, 6 * number) for number in range(10)]
    assert min(pair.likeness for pair in pairs) > 0.98


def test_turned_photo_is_compared_as_viewers_show_it(shared: Path) -> None:
    """A photo whose pixels lie on their side, with an EXIF entry that says so, is the same as the upright one."""
    with Image.open(shared / "data/asirra/train/cat.1.jpg") as image:
        exif = image.getexif()
        exif[0x0112] = 6
        lying = saved(image.transpose(Image.Transpose.ROTATE_90), exif=exif)
        upright, aside = saved(image), saved(image.transpose(Image.Transpose.ROTATE_90))
    found = near_duplicates.groups([look_of(data) for data in (upright, aside, lying)])
    assert found == [[0, 2]]


def test_equal_files_are_together_and_unreadable_ones_alone(shared: Path) -> None:
    """Two equal files and one that was saved again are a group; one that cannot be read is in none."""
    data = (shared / "data/asirra/train/cat.1.jpg").read_bytes()
    again = saved(Image.open(io.BytesIO(data)), quality=70)
    assert near_duplicates.groups(
        [look_of(data), photos.PhotoError("a.jpg", "cut off", "Copy it again."), look_of(data)]
    ) == [[0, 2]]
    assert near_duplicates.groups([look_of(data), look_of(again), look_of(data)]) == [[0, 1, 2]]


def test_plain_pictures_are_the_same_only_as_files() -> None:
    """Photos without contrast, such as black ones, have nothing to compare but their bytes."""
    unlit = np.tile(np.arange(16, dtype=np.uint8) // 4, (16, 1))  # lighter to the right by three grey levels
    assert near_duplicates.groups(looks(np.stack([unlit, unlit + 9]))) == []
    black = [look_like(name, np.full((16, 16), level, np.uint8)) for name, level in ((b"a", 0), (b"b", 0), (b"c", 1))]
    assert near_duplicates.groups(black) == []
    assert near_duplicates.groups([black[0], *black]) == [[0, 1]]


def test_photo_that_cannot_be_decoded_is_refused() -> None:
    """Damage is an error, never a look."""
    data = saved(Image.fromarray(smooth(1)[0]).resize((200, 200)))
    with pytest.raises(photos.PhotoError, match="damaged or cut off"):
        photos.look(data[: len(data) // 2])


def test_groups_are_whole_and_have_no_member_in_common() -> None:
    """A copy of a copy is in the group of the first, and every photo is in one group at most."""
    squares = smooth(600)
    random = np.random.default_rng(1)
    noisy = [np.clip(squares.astype(int) + random.integers(-4, 5, squares.shape), 0, 255) for _ in range(2)]
    order = random.permutation(1800)
    mixed = np.concatenate([squares, *noisy]).astype(np.uint8)[order]
    found = near_duplicates.groups(looks(mixed))
    members = [one for group in found for one in group]
    assert len(members) == len(set(members)) == 1800
    group_of = {int(order[one]): number for number, group in enumerate(found) for one in group}
    assert all(group_of[one] == group_of[one + 600] == group_of[one + 1200] for one in range(600))


def between() -> np.ndarray:
    """Three small pictures: the first two are alike, and the last two, but not the first and the last."""
    base = smooth(1)[0].astype(float)
    low, high = base.copy(), base.copy()
    low[6:10, 6:10] -= 25
    high[6:10, 6:10] += 25
    return np.clip([low, base, high], 0, 255).astype(np.uint8)


def test_a_photo_between_two_does_not_link_them() -> None:
    """Two photos that are not alike are in two groups, although a third is like both; each has its real partner."""
    trio = between()
    found = {
        tuple(sorted(pair)): bool(near_duplicates.pairs(looks(trio[list(pair)]))) for pair in ((0, 1), (1, 2), (0, 2))
    }
    assert found == {(0, 1): True, (1, 2): True, (0, 2): False}
    for order in ([0, 1, 2], [2, 1, 0]):
        assert near_duplicates.groups(looks(trio[order])) == [[0, 1]]
        assert [pair[:2] for pair in near_duplicates.pairs(looks(trio[order]))] == [(1, 0), (2, 1)]
    assert near_duplicates.groups(looks(trio[[1, 0, 2]])) == [[0, 1, 2]]  # both are like the first
    chain = np.clip(
        [smooth(1)[0].astype(float) + 12 * step * (np.indices((16, 16)) > 7).all(axis=0) for step in range(9)], 0, 255
    )
    for group in near_duplicates.groups(looks(chain.astype(np.uint8))):
        pairs = [near_duplicates.pairs(looks(chain[[group[0], other]].astype(np.uint8))) for other in group[1:]]
        assert all(pairs)


@pytest.mark.parametrize(
    ("kind", "groups", "most"),
    [("different", None, 60), ("plain", 0, 0), ("one film", 1, 6_000), ("twenty of each", None, 400)],
)
def test_of_many_the_alike_are_found(kind: str, groups: int | None, most: int) -> None:
    """However many of 6,000 photos are alike, none or all, their groups are what there is, and no larger."""
    random = np.random.default_rng(2)
    base = {"different": smooth(6_000), "plain": np.full((6_000, 16, 16), 200, np.uint8)}
    base |= {"one film": np.repeat(smooth(1), 6_000, axis=0), "twenty of each": np.repeat(smooth(300), 20, axis=0)}
    noise = 0 if kind in ("different", "plain") else random.integers(-3, 4, (6_000, 16, 16))
    all_looks = looks(np.clip(base[kind].astype(int) + noise, 0, 255).astype(np.uint8))
    found = near_duplicates.groups(all_looks)
    assert max((len(group) for group in found), default=0) <= most
    assert groups is None or len(found) == groups
    if kind == "twenty of each":
        assert sum(len(group) for group in found) == 6_000


def test_photos_are_gathered_one_by_one(shared: Path) -> None:
    """Of photos that come one after the other those stay that are like none before; plain ones differ unless equal."""
    files = sorted((shared / "data" / "asirra" / "test").glob("*.jpg"))[:12]
    seen = near_duplicates.Different()
    for path in files:
        assert seen.add(look_of(path.read_bytes()))
    for path in files:
        with Image.open(path) as image:
            assert not any(seen.add(look_of(saved(changed(image), quality=80))) for changed in CHANGES.values())
    plain = [saved(Image.new("L", (64, 64), shade)) for shade in (0, 1, 255)]
    assert [seen.add(look_of(data)) for data in (*plain, *plain)] == [True] * 3 + [False] * 3


def test_more_photos_than_there_is_room_for_at_first() -> None:
    """Of 600 different photos all are kept, and each is known again, the last as the first."""
    seen = near_duplicates.Different()
    many = looks(smooth(600))
    assert all(seen.add(one) for one in many)
    again = [look_like(b"again", one.thumbnail) for one in many]
    assert not any(seen.add(one) for one in again)
