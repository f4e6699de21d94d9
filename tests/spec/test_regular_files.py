"""Regular files alone are opened: what waits for a writer or has no end is one line, and never waited for."""

import os
import socket
import sys

import pytest
from PIL import Image

from bench.launch.slurm.config import Settings
from bench.launch.slurm.submissions import planning
from bench.measure.feature_sources import open_photograph
from bench.results.files import sha256_of
from bench.results.run_folder import own
from bench.spec.errors import RequestError
from bench.spec.regular_files import open_regular, regular_file
from bench.training import data

KINDS = ("pipe", "socket", "device", "folder")


@pytest.fixture
def odd(tmp_path):
    """Puts a file of a kind at a path."""
    with socket.socket(socket.AF_UNIX) as listener:

        def put(kind, path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "socket":
                listener.bind(str(path))
            elif kind == "device":
                path.symlink_to("/dev/zero")
            else:
                path.mkdir()
            return path

        yield put


def words(kind):
    return "Is a directory" if kind == "folder" else "not a regular file"


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_are_not_opened(kind, odd, tmp_path):
    path = odd(kind, tmp_path / "odd")
    for mode in ("rb", "ab", "r+b"):
        with pytest.raises(OSError, match=words(kind)) as error:
            open_regular(path, mode)
        assert error.value.filename == str(path)


def test_a_link_is_followed_or_not_as_asked(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with regular_file(tmp_path / "link") as file:
        assert file.read() == b"content"
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(tmp_path / "link", "ab", follow=False)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="symbolic links"):
        open_regular(tmp_path / "loop")


@pytest.mark.skipif(sys.platform != "linux", reason="a regular file that cannot be read is in /proc")
def test_an_error_while_reading_names_the_file():
    with pytest.raises(OSError, match="/proc/self/mem") as error:
        sha256_of("/proc/self/mem")
    assert error.value.filename == "/proc/self/mem"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_user_names_is_one_line(kind, odd, tmp_path):
    with pytest.raises(RequestError, match=rf"^--image .*: {words(kind)}; give a photograph"):
        open_photograph(odd(kind, tmp_path / "image.jpg"))


@pytest.mark.parametrize("kind", [*KINDS, "gone"])
def test_settings_of_slurm_are_one_line(kind, odd, tmp_path):
    if kind == "gone":
        (tmp_path / "slurm.toml").symlink_to(tmp_path / "nowhere")
    else:
        odd(kind, tmp_path / "slurm.toml")
    expected = "No such file" if kind == "gone" else words(kind)
    with pytest.raises(RequestError, match=rf"slurm\.toml: {expected}.*; docs/slurm.md shows one"):
        Settings([], tmp_path / "slurm.toml")


@pytest.mark.parametrize("kind", [*KINDS, "link"])
def test_a_lock_is_a_file_of_its_own(kind, odd, tmp_path):
    (tmp_path / "precious").write_text("content")
    for folder, take in ((tmp_path / "run", own), (tmp_path / "jobs", lambda folder: planning(folder.parent))):
        path = folder / "lock"
        if kind == "link":
            folder.mkdir()
            path.symlink_to(tmp_path / "precious")
        elif kind == "socket" and folder.name == "jobs":
            continue  # one is bound
        else:
            odd(kind, path)
        with pytest.raises(RequestError, match=rf"lock: {words(kind)}; move it away"), take(folder):
            pass
    assert (tmp_path / "precious").read_text() == "content"


@pytest.mark.parametrize("name", ["imagenet", "torch/image_folder"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_an_image_that_is_no_file_is_counted_as_unreadable(kind, name, odd, tmp_path):
    folder = tmp_path / ("imagenet/val" if name == "imagenet" else "validation")
    (folder / "n01440764").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "n01440764" / "b.jpg")
    odd(kind, folder / "n01440764" / "a.jpg")
    images = data.open_images(name, "val", str(tmp_path))
    image, _, problem = data.read_image(images, 0)
    assert image is None
    assert "a.jpg" in problem
    assert "not a regular file" in problem
    assert str(tmp_path) not in problem  # which records keep
    assert data.read_image(images, 1)[0].size == (8, 8)
