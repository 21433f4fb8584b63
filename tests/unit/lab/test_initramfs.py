import shutil
import subprocess
from pathlib import Path

import pytest

from memqos.errors import ToolMissing
from memqos.lab import initramfs
from memqos.lab.initramfs import DIRECTORY, Entry, cpio


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed: apt-get install -y cpio")
def test_the_archive_unpacks_with_the_cpio_program(tmp_path: Path):
    entries = [
        Entry("dir", DIRECTORY),
        Entry("dir/odd", 0o100644, b"12345"),
        Entry("dir/empty", 0o100755),
        Entry("dir/link", initramfs.SYMLINK, b"odd"),
    ]
    subprocess.run(["cpio", "-i", "--quiet"], input=cpio(entries), cwd=tmp_path, check=True)
    assert (tmp_path / "dir/odd").read_bytes() == b"12345"
    assert (tmp_path / "dir/empty").stat().st_mode == 0o100755
    assert (tmp_path / "dir/link").readlink() == Path("odd")


def test_the_archive_is_newc_with_members_aligned_to_four_bytes():
    archive = cpio([Entry("a", 0o100644, b"xyz")])
    assert archive[:6] == b"070701"
    assert len(archive) % 4 == 0
    assert archive.count(b"070701") == 2
    assert b"TRAILER!!!\0" in archive


def test_the_init_quotes_the_command_and_the_environment():
    script = initramfs.init_script(["modules/a.ko"], ["echo", "a b; reboot"], {"KEY": "it's"})
    assert "echo 'a b; reboot'\n" in script
    assert "export KEY='it'\"'\"'s'\n" in script
    assert "insmod /modules/a.ko" in script


def test_a_missing_busybox_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(ToolMissing, match=r"apt-get install .*busybox-static"):
        initramfs.busybox()


def test_make_installs_what_the_error_names():
    script = Path(__file__).parents[3] / "requirements/system.sh"
    assert f'line="{initramfs.APT_LINE}"' in script.read_text()


def test_nothing_is_mounted_over_where_a_checkout_may_lie():
    script = initramfs.init_script([], ["true"], {})
    mounts = [line.split() for line in script.splitlines() if line.startswith("mount")]
    over = [words[-1].removeprefix("/root") for words in mounts]
    assert not {"/tmp", "/home", "/root", "/srv", "/opt", "/var/tmp"} & set(over)
