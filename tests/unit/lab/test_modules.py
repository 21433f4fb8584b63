import gzip
import lzma
from pathlib import Path

import pytest

from memqos.lab.modules import index, name_of, needs, read_module, resolve


def image(depends: str = "", soft: str = "") -> bytes:
    info = b"license=GPL\0depends=" + depends.encode() + b"\0"
    return b"\x7fELF\0" + (b"softdep=" + soft.encode() + b"\0" if soft else b"") + info + b"name=x\0"


def test_modinfo_names_what_comes_first():
    assert needs(image("a,b-c")) == ["a", "b_c"]
    assert needs(image("")) == []
    assert needs(image("jbd2", soft="pre: crc32c libfoo post: bar")) == ["crc32c", "libfoo", "jbd2"]


def test_a_module_comes_after_what_it_needs_and_once(tmp_path: Path):
    for name, depends in {"ext4": "jbd2,crc16", "jbd2": "crc16", "crc16": ""}.items():
        (tmp_path / f"{name}.ko").write_bytes(image(depends))
    found = index(tmp_path)
    assert list(resolve(["ext4", "crc16", "built-in"], found)) == ["crc16", "jbd2", "ext4"]


def test_modules_that_need_each_other_do_not_hang_it(tmp_path: Path):
    (tmp_path / "a.ko").write_bytes(image("b"))
    (tmp_path / "b.ko").write_bytes(image("a"))
    assert sorted(resolve(["a"], index(tmp_path))) == ["a", "b"]


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress)])
def test_modules_are_read_whatever_packs_them(tmp_path: Path, suffix, pack):
    path = tmp_path / f"virtio-blk.ko{suffix}"
    path.write_bytes(pack(image("virtio")))
    assert name_of(path) == "virtio_blk"
    assert read_module(path) == image("virtio")
