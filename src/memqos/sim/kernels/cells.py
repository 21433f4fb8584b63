"""The machine's arrays as the kernels see them: behind one pointer, and without negative indices.

A kernel that is handed `mem.Mem` itself passes two dozen arrays to each function it calls. So the entry
`share`s it: the kernels get the address of a table of the arrays' addresses, and `m.w[page]` is a load from
where `w` lies. An index must be valid: a plain array asks whether it is negative, which costs a conditional
move each time and keeps loops from being vectorised. LLVM is told that no two of the arrays overlap, nor any
with the table. Interpreted, all this is plain arrays.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import numba
from llvmlite import ir
from numba.core import cgutils, imputils
from numba.core.datamodel import models
from numba.core.typing import templates
from numba.extending import intrinsic, register_model

from memqos.sim.kernels.jit import config
from memqos.sim.kernels.mem import COLUMNS, Mem, Row

_types: Any = cast(Any, numba).types
_helpers: Any = cgutils
_lower: Any = imputils
_typing: Any = templates
_TABLE = "table"


class Shared(_types.Type):  # type: ignore[misc]
    """A machine's arrays, by the address of the table of their addresses."""

    def __init__(self, bits: tuple[int, ...]) -> None:
        self.bits = bits
        super().__init__(name=f"Mem{bits}")


class Cells(_types.Type):  # type: ignore[misc]
    """One of them: field `name` of `Mem`, integers of so many bits."""

    def __init__(self, name: str, bits: int) -> None:
        self.field, self.bits = name, bits
        super().__init__(name=f"Cells({name}{bits})")


register_model(Shared)(models.OpaqueModel)
register_model(Cells)(models.OpaqueModel)


def apart(builder: Any, instruction: Any, name: str) -> None:
    """Say of a load or store that it is in array `name` and in no other."""
    add = builder.module.add_metadata
    domain = add(["memqos"])
    scopes = {each: add([each, domain]) for each in (*Mem._fields, _TABLE)}
    instruction.set_metadata("alias.scope", add([scopes[name]]))
    instruction.set_metadata("noalias", add([scope for each, scope in scopes.items() if each != name]))


def _share(_: Any, mem: Any) -> Any:
    shared = Shared(tuple(array.dtype.bitwidth for array in mem.types))

    def code(context: Any, builder: Any, __: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        table = _helpers.alloca_once(builder, pointer, len(mem.types))
        for i, kind in enumerate(mem.types):
            array = context.make_array(kind)(context, builder, builder.extract_value(args[0], i))
            place = builder.gep(table, [ir.IntType(64)(i)])
            apart(builder, builder.store(builder.bitcast(array.data, pointer), place), _TABLE)
        return builder.bitcast(table, pointer)

    return shared(mem), code


@_typing.infer_getattr
class _Field(_typing.AttributeTemplate):  # type: ignore[misc]
    key = Shared

    def generic_resolve(self, shared: Any, name: str) -> Any:
        return Cells(name, shared.bits[Mem._fields.index(name)]) if name in Mem._fields else None


def _field(_: Any, builder: Any, __: Any, table: Any, name: str) -> Any:
    pointer = ir.IntType(8).as_pointer()
    table = builder.bitcast(table, pointer.as_pointer())
    address = builder.load(builder.gep(table, [ir.IntType(64)(Mem._fields.index(name))]))
    apart(builder, address, _TABLE)
    return address


class _Place(_typing.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        if not isinstance(args[0], Cells):
            return None
        result = _types.void if len(args) == 3 else _types.int64
        return _typing.signature(result, args[0], args[1], *[_types.int64 for _ in args[2:]])


_typing.infer_global(operator.getitem)(_Place)
_typing.infer_global(operator.setitem)(type("_Store", (_Place,), {}))


def pointer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Where the entry lies that the first two arguments of a call name: an array and an index."""
    cells, kind = sig.args[:2]
    word = ir.IntType(64)
    if isinstance(kind, _types.BaseTuple):
        row, column = (
            context.cast(builder, builder.extract_value(args[1], i), kind[i], _types.int64) for i in (0, 1)
        )
        at = builder.add(builder.mul(row, word(COLUMNS[cells.field])), column)
    else:
        at = context.cast(builder, args[1], kind, _types.int64)
    base = builder.bitcast(args[0], ir.IntType(cells.bits).as_pointer())
    return builder.gep(base, [at], inbounds=True)


def _load(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    value = builder.load(pointer(context, builder, sig, args))
    apart(builder, value, sig.args[0].field)
    return value if sig.args[0].bits == 64 else builder.sext(value, ir.IntType(64))


def _store(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    value = args[2] if sig.args[0].bits == 64 else builder.trunc(args[2], ir.IntType(sig.args[0].bits))
    apart(builder, builder.store(value, pointer(context, builder, sig, args)), sig.args[0].field)
    return context.get_dummy_value()


_lower.lower_getattr_generic(Shared)(_field)
_lower.lower_builtin(operator.getitem, Cells, _types.Any)(_load)
_lower.lower_builtin(operator.setitem, Cells, _types.Any, _types.int64)(_store)


def _prefetch(_: Any, cells: Any, index: Any) -> Any:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = ir.IntType(32)
        place = builder.bitcast(pointer(context, builder, sig, args), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        builder.call(function, [place, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return _types.void(cells, _types.int64), code


def _as_it_is(mem: Mem) -> Mem:
    return mem


def _nothing(row: Row, index: int) -> None:
    pass


def either(plain: Callable[..., Any], code: Callable[..., Any]) -> Callable[..., Any]:
    """What stands for a function in the kernels: itself when interpreted, its LLVM code when compiled."""
    return plain if config.DISABLE_JIT else cast(Callable[..., Any], intrinsic(code))


share: Callable[[Mem], Mem] = either(_as_it_is, _share)
"""The machine as the kernels take it."""
prefetch: Callable[[Row, int], None] = either(_nothing, _prefetch)
"""Bring `row[index]` into the processor's second cache, if there is such a place.

The first waits for fewer of memory's answers at a time: there random accesses take up to twice as long.
"""
