import json
import lzma
import os
from pathlib import Path

import pytest

from memqos.errors import LabError
from memqos.lab import apt, kernels
from memqos.lab.cache import cache_dir


def test_the_kernel_is_taken_out_of_its_package_image():
    elf = b"\x7fELF" + bytes(5000)
    packed = b"MZ" + bytes(300) + b"\xfd7zXZ\x00broken" + lzma.compress(elf) + b"trailing"
    assert kernels.extract_vmlinux(packed) == elf


def test_an_image_of_unknown_packing_is_booted_as_it_is():
    assert kernels.extract_vmlinux(b"MZ no magic at all") == b"MZ no magic at all"


def test_an_unknown_kernel_names_the_known_ones():
    with pytest.raises(LabError, match=r"6\.1, 6\.12, 7\.2"):
        kernels.cached("5.10")


def test_an_empty_cache_has_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEMQOS_CACHE", str(tmp_path))
    assert kernels.cached("6.1") is None


def test_a_kernel_unpacked_with_other_modules_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEMQOS_CACHE", str(tmp_path))
    (tmp_path / "kernels/6.1").mkdir(parents=True)
    facts = {"format": 1, "wanted": ["ext4"], "name": "6.1", "modules": []}
    (tmp_path / "kernels/6.1/kernel.json").write_text(json.dumps(facts))
    assert kernels.cached("6.1") is None


def test_the_mirror_can_be_chosen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEMQOS_DEBIAN_MIRROR", "http://mirror.example/debian")
    assert apt.mirror() == "http://mirror.example/debian"


def test_a_machine_without_a_debian_mirror_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MEMQOS_DEBIAN_MIRROR", raising=False)
    monkeypatch.setattr(apt.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(apt, "run_tool", lambda _: "http://archive.example/ubuntu|noble|main|\n")
    with pytest.raises(LabError, match="MEMQOS_DEBIAN_MIRROR"):
        apt.mirror()


def test_what_a_package_needs_is_read_from_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said = "x\n  PreDepends: linux-base\n |Depends: dracut\n  Depends: <none>\n  Depends: linux-modules-7\n"
    monkeypatch.setattr(apt, "run_tool", lambda _: said)
    assert apt.Suite("forky", tmp_path).depends("x") == ["linux-base", "dracut", "linux-modules-7"]


@pytest.mark.parametrize("home", ["/proc/none", None])
def test_a_cache_that_cannot_be_is_one_sentence_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, home: str | None
):
    for name in ("MEMQOS_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)  # nobody that /etc/passwd knows
    if home is not None:
        monkeypatch.setenv("HOME", home)
    with pytest.raises(LabError, match="set MEMQOS_CACHE to a writable directory"):
        cache_dir("kernels")
    assert kernels.cached("6.1") is None
