"""Eight neighbouring entries of an array at once: one or two vector instructions each.

LLVM unrolls a loop of eight turns before it looks for vectors, and vectorises longer ones for long runs only.
So these say in LLVM's own terms what is meant; interpreted, they are the loops. All eight must be there.
"""

from __future__ import annotations

from typing import Any, cast

import numba
from llvmlite import ir

from memqos.sim.kernels.cells import apart, either, pointer
from memqos.sim.kernels.mem import Row

PAGES = 8
_types: Any = cast(Any, numba).types
_words = ir.VectorType(ir.IntType(64), PAGES)


def _splat(builder: Any, value: Any) -> Any:
    lane = builder.insert_element(ir.Constant(_words, ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), PAGES), [0] * PAGES)
    return builder.shuffle_vector(lane, ir.Constant(_words, ir.Undefined), zeros)


def _rising(builder: Any, value: Any) -> Any:
    return builder.add(_splat(builder, value), ir.Constant(_words, list(range(PAGES))))


def _place(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    vector = ir.VectorType(ir.IntType(sig.args[0].bits), PAGES)
    return builder.bitcast(pointer(context, builder, sig, args), vector.as_pointer())


def _load(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    bits = sig.args[0].bits
    value = builder.load(_place(context, builder, sig, args), align=bits // 8)
    apart(builder, value, sig.args[0].field)
    return value if bits == 64 else builder.sext(value, _words)


def _store(context: Any, builder: Any, sig: Any, args: Any, value: Any) -> Any:
    bits = sig.args[0].bits
    value = value if bits == 64 else builder.trunc(value, ir.VectorType(ir.IntType(bits), PAGES))
    stored = builder.store(value, _place(context, builder, sig, args), align=bits // 8)
    apart(builder, stored, sig.args[0].field)
    return context.get_dummy_value()


def _all(builder: Any, how: str, words: Any, than: Any) -> Any:
    return builder.icmp_signed(
        "==", builder.bitcast(builder.icmp_signed(how, words, than), ir.IntType(PAGES)), ir.IntType(PAGES)(-1)
    )


def _alike(_: Any, cells: Any, at: Any, word: Any, mask: Any) -> Any:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        apart_by = builder.xor(_load(context, builder, sig, args), _splat(builder, args[2]))
        none = ir.Constant(_words, [0] * PAGES)
        return _all(builder, "==", builder.and_(apart_by, _splat(builder, args[3])), none)

    return _types.boolean(cells, _types.int64, _types.int64, _types.int64), code


def _in_order(_: Any, cells: Any, at: Any, first: Any) -> Any:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _all(builder, "==", _load(context, builder, sig, args), _rising(builder, args[2]))

    return _types.boolean(cells, _types.int64, _types.int64), code


def _distances(how: str, cells: Any) -> Any:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        distances = builder.sub(_splat(builder, args[2]), _load(context, builder, sig, args))
        distances = builder.and_(distances, _splat(builder, args[3]))
        return _all(builder, how, distances, _splat(builder, args[4]))

    return _types.boolean(cells, *[_types.int64] * 4), code


def _all_farther(_: Any, cells: Any, at: Any, age: Any, mask: Any, than: Any) -> Any:
    return _distances(">", cells)


def _all_nearer(_: Any, cells: Any, at: Any, age: Any, mask: Any, than: Any) -> Any:
    return _distances("<", cells)


def _write(_: Any, cells: Any, at: Any, keep: Any, word: Any, first: Any, mask: Any, some: Any) -> Any:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        old = _load(context, builder, sig, args)
        count = builder.and_(_rising(builder, args[4]), _splat(builder, args[5]))
        words = builder.and_(old, _splat(builder, args[2]))
        words = builder.or_(builder.or_(words, _splat(builder, args[3])), count)
        others = builder.icmp_signed(">=", _rising(builder, ir.IntType(64)(0)), _splat(builder, args[6]))
        return _store(context, builder, sig, args, builder.select(others, old, words))

    return _types.void(cells, *[_types.int64] * 6), code


def _change(_: Any, cells: Any, at: Any, more: Any) -> Any:
    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        words = builder.add(_load(context, builder, sig, args), _splat(builder, args[2]))
        return _store(context, builder, sig, args, words)

    return _types.void(cells, _types.int64, _types.int64), code


def _plain_alike(row: Row, at: int, word: int, mask: int) -> bool:
    return not any((row[at + i] ^ word) & mask for i in range(PAGES))


def _plain_in_order(row: Row, at: int, first: int) -> bool:
    return all(row[at + i] == first + i for i in range(PAGES))


def _plain_all_farther(row: Row, at: int, age: int, mask: int, than: int) -> bool:
    return all((age - row[at + i]) & mask > than for i in range(PAGES))


def _plain_all_nearer(row: Row, at: int, age: int, mask: int, than: int) -> bool:
    return all((age - row[at + i]) & mask < than for i in range(PAGES))


def _plain_write(row: Row, at: int, keep: int, word: int, first: int, mask: int, some: int) -> None:
    for i in range(min(some, PAGES)):
        row[at + i] = row[at + i] & keep | word | (first + i) & mask


def _plain_change(row: Row, at: int, more: int) -> None:
    for i in range(PAGES):
        row[at + i] += more


alike = either(_plain_alike, _alike)
"""`(row, at, word, mask)`: whether all eight agree with `word` in the bits of `mask`."""
in_order = either(_plain_in_order, _in_order)
"""`(row, at, first)`: whether they count up by one from `first`."""
all_farther = either(_plain_all_farther, _all_farther)
"""`(row, at, age, mask, than)`: whether all are farther than so much behind `age`."""
all_nearer = either(_plain_all_nearer, _all_nearer)
"""`(row, at, age, mask, than)`: whether all are nearer than so much behind `age`."""
write = either(_plain_write, _write)
"""`(row, at, keep, word, first, mask, some)`: each of the first `some`, or of all eight if it is more, keeps
some bits, gets those of `word`, and counts up from `first`."""
change = either(_plain_change, _change)
"""`(row, at, more)`: add the same to each."""
