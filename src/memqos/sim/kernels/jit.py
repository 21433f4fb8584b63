"""How the kernels are compiled: many functions, one compile unit, one cache.

Left to itself numba links and optimises everything below a function again for each of its callers, which for
a hundred functions takes minutes. So an `@njit` function is typed and lowered alone, once, and only an
`@entry`, what the host calls, links everything below it, is optimised as a whole, becomes machine code, and
is cached.

numba's cache looks only at the file of the function itself, so the cache folder carries a hash of all kernel
sources. It lies below `NUMBA_CACHE_DIR`, or `~/.cache/memqos` (`XDG_CACHE_HOME` honoured).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from llvmlite.binding import Linkage
from numba.core import codegen
from numba.core import config as numba_config

config: Any = numba_config
_numba: Any = numba
_library: Any = codegen.CPUCodeLibrary
_codegen: Any = codegen.JITCPUCodegen

_F = TypeVar("_F", bound=Callable[..., Any])


def _cache_dir() -> Path:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(home) / "memqos" / "numba")
    return base / f"{numba.__version__}-{digest}"


_CACHE = str(_cache_dir())
# no reference counting: a kernel neither makes nor keeps an array
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}


def _compiled(function: _F, **more: Any) -> _F:
    if config.DISABLE_JIT:
        return function
    inner: Any = _numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS, **more)(function)
    resolve = inner.get_call_template
    # numba would compile a version for every constant passed
    inner.get_call_template = lambda args, kws: resolve(tuple(map(_numba.types.unliteral, args)), kws)

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(
            f"{function.__qualname__} is compiled for other kernels only: call it through an @entry"
        )

    # Python would call what has no wrapper for it, and crash
    inner._insert, inner._compile_for_args = lambda *_, **__: None, refuse
    return cast(_F, inner)


def njit(function: _F) -> _F:
    """Compile a kernel that only other kernels call."""
    return _compiled(function, forceinline=False)  # else it takes this from whoever calls it first


def inlined(function: _F) -> _F:
    """Compile a kernel into each of its callers: a call passes every array of the machine, some 15 ns."""
    return _compiled(function, forceinline=True)


_APART: set[str] = set()


def apart(function: _F) -> _F:
    """Compile a kernel that no caller may swallow: what is rare takes registers from a loop around it."""
    module = function.__module__.rpartition(".")[2]
    _APART.add("".join(f"{len(name)}{name}" for name in (module, function.__name__)) + "B")
    return njit(function)


@contextmanager
def _one_unit(name: str) -> Iterator[None]:
    """While this lasts, only the function called `name` links what it needs, all of it, and is finished.

    There everything else is made internal, so that LLVM drops unused arguments and inlines what is called
    once. Nobody calls the others from Python: they have no machine code, and no place for an environment.
    """
    methods = ("finalize", "_optimize_final_module", "_finalize_final_module")
    finalize, optimize, emit = (getattr(_library, method) for method in methods)
    set_env = _codegen.set_env

    def below(library: Any, found: dict[int, Any]) -> dict[int, Any]:
        for other in library._linking_libraries:
            if id(other) not in found:
                found[id(other)] = other
                below(other, found)
        return found

    def finalize_alone(library: Any) -> None:
        needed = library._linking_libraries
        library._linking_libraries = list(below(library, {}).values()) if library.name == name else []
        finalize(library)
        library._linking_libraries = needed

    def optimize_whole(library: Any) -> None:
        if library.name == name:
            for function in library._final_module.functions:
                if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                    function.linkage = Linkage.internal
                if any(name in function.name for name in _APART):
                    function.add_function_attribute("noinline")
            optimize(library)

    def emit_whole(library: Any) -> None:
        library._finalized = True
        if library.name == name:
            emit(library)
            _codegen.set_env = set_env

    def no_env(*_: Any) -> None:
        pass

    try:
        for method, replacement in zip(methods, (finalize_alone, optimize_whole, emit_whole), strict=True):
            setattr(_library, method, replacement)
        _codegen.set_env = no_env
        yield
    finally:
        for method, original in zip(methods, (finalize, optimize, emit), strict=True):
            setattr(_library, method, original)
        _codegen.set_env = set_env


def entry(function: _F) -> _F:
    """Compile, at its first call, a kernel that the host calls, with everything below it."""
    if config.DISABLE_JIT:
        return function
    saved, config.CACHE_DIR = config.CACHE_DIR, _CACHE
    try:
        dispatcher = _numba.njit(cache=True, **_OPTIONS)(function)
    finally:
        config.CACHE_DIR = saved

    ready = False

    def call(*args: Any) -> Any:
        nonlocal ready
        if not ready:
            with _one_unit(function.__qualname__):
                dispatcher.compile(tuple(_numba.typeof(arg) for arg in args))
            ready = True
        return dispatcher(*args)

    return cast(_F, call)
