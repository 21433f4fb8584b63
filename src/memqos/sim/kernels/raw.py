"""Array accesses that the hot loops make: no negative indices, no two-dimensional views, and prefetch.

A plain `row[i]` asks whether `i` is negative, which costs a conditional move each time and keeps a loop from
being vectorised. These do not: an index must be valid and not negative. Interpreted, they are plain accesses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from memqos.sim.kernels.jit import config
from memqos.sim.kernels.layout import Row

_types: Any = cast(Any, numba).types


def _peek(row: Row, index: int) -> int:
    return int(row[index])


def _poke(row: Row, index: int, value: int) -> None:
    row[index] = value


def _prefetch(row: Row, index: int) -> None:
    """Fetch what will be read soon."""


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index], inbounds=True)


def _peek_code(_: Any, row: Any, index: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_pointer(context, builder, signature.args[0], *args))
        return value if row.dtype.bitwidth == 64 else builder.sext(value, ir.IntType(64))

    return _types.int64(row, _types.int64), code


def _poke_code(_: Any, row: Any, index: Any, value: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, at, new = args
        pointer = _pointer(context, builder, signature.args[0], array, at)
        if row.dtype.bitwidth != 64:
            new = builder.trunc(new, ir.IntType(row.dtype.bitwidth))
        builder.store(new, pointer)
        return context.get_dummy_value()

    return _types.void(row, _types.int64, _types.int64), code


def _prefetch_code(_: Any, row: Any, index: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = ir.IntType(32)
        pointer = _pointer(context, builder, signature.args[0], *args)
        pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return _types.void(row, _types.int64), code


def _either(plain: Callable[..., Any], code: Callable[..., Any]) -> Callable[..., Any]:
    return plain if config.DISABLE_JIT else cast(Callable[..., Any], intrinsic(code))


peek: Callable[[Row, int], int] = _either(_peek, _peek_code)
"""Read `row[index]`."""
poke: Callable[[Row, int, int], None] = _either(_poke, _poke_code)
"""Write `row[index] = value`."""
prefetch: Callable[[Row, int], None] = _either(_prefetch, _prefetch_code)
"""Bring `row[index]` into the processor's cache, if there is such a place."""
