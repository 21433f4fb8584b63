"""Frozen data: what was seen (`snapshot`, `view`), who runs (`pods`), what to do (`plan`).

Only data crosses a layer. Nothing here reads a clock or a file.
"""
