"""The form of a ladder file: its arrays, checked; the only thing that the judging of answers knows."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class InstanceError(ValueError):
    """A file is no ladder instance; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """The templates of one size: T of them over K stage kinds.

    Attributes:
        need: (T, K) stages of each kind in one replica.
        rate: (T,) requests/s of one replica.
    """

    need: Ints
    rate: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One instance as arrays: M served models, P pools, K stage kinds.

    Attributes:
        name: of the file, without its suffix.
        demand: (M,) requests/s.
        penalty: (M,) US$/h for each request/s that is not served.
        size: (M,) which menu each served model has.
        menus: by size.
        price: (P,) US$/h of a node.
        obtainable: (P,) most nodes.
        pool_kind: (P,) GPU kind of the nodes.
        pool_gpus: (P,) GPUs of a node.
        pool_region: (P,) number of the region.
        pool_spot: (P,) whether the nodes are spot nodes.
        kind_gpu: (K,) GPU kind of a stage kind.
        kind_width: (K,) GPUs of a stage.
        best_value: best known value, US$/h; not a number where the file has none.
        best_bound: best known bound, US$/h; likewise.
    """

    name: str
    demand: Floats
    penalty: Floats
    size: tuple[int, ...]
    menus: Mapping[int, Menu]
    price: Floats
    obtainable: Ints
    pool_kind: tuple[str, ...]
    pool_gpus: Ints
    pool_region: Ints
    pool_spot: Bools
    kind_gpu: tuple[str, ...]
    kind_width: Ints
    best_value: float
    best_bound: float

    def menu(self, model: int) -> Menu:
        """Templates of a served model."""
        return self.menus[self.size[model]]


def read_form(path: Path) -> Form:
    """Read and check a file of arrays (the form is described in the ladder's NOTICE).

    Raises:
        InstanceError: the file cannot be read, lacks an array, or has one of a wrong shape or value.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return form_of(path.stem, arrays)
    except KeyError as error:
        raise InstanceError(f"{path}: no ladder instance: array {error} is missing") from error
    except (OSError, EOFError, ValueError, TypeError, AttributeError, IndexError, zipfile.BadZipFile) as error:
        # np.load gives a bare array for .npy, which is no context manager: TypeError or AttributeError.
        raise InstanceError(f"{path}: no ladder instance: {error}") from error


def form_of(name: str, arrays: Mapping[str, np.ndarray]) -> Form:
    """Check arrays.

    Raises:
        KeyError: an array is missing.
        ValueError: an array has a wrong shape or value.
    """
    demand = _amounts(arrays, "demand")
    price = _amounts(arrays, "price")
    config_gpus = _counts(arrays, "cfg_n", len(arrays["cfg_gpu"]))
    configs = _counts(arrays, "pool_cfg", len(price))
    if configs.size and configs.max() >= len(config_gpus):
        raise ValueError(f"pool_cfg names configuration {configs.max()} of {len(config_gpus)}")
    kinds = tuple(map(str, arrays["kind_gpu"]))
    sizes = _counts(arrays, "sizes", len(demand))
    return Form(
        name=name,
        demand=demand,
        penalty=_amounts(arrays, "pen", len(demand)),
        size=tuple(sizes.tolist()),
        menus={size: _menu(arrays, size, len(kinds)) for size in sorted(set(sizes.tolist()))},
        price=price,
        obtainable=_counts(arrays, "avail", len(price)),
        pool_kind=tuple(str(arrays["cfg_gpu"][config]) for config in configs),
        pool_gpus=config_gpus[configs],
        pool_region=_counts(arrays, "pool_region", len(price)),
        pool_spot=_counts(arrays, "pool_spot", len(price)).astype(bool),
        kind_gpu=kinds,
        kind_width=_positive(_counts(arrays, "kind_tp", len(kinds)), "kind_tp"),
        best_value=float(arrays.get("best_obj", np.nan)),
        best_bound=float(arrays.get("best_bound", np.nan)),
    )


def _menu(arrays: Mapping[str, np.ndarray], size: int, kinds: int) -> Menu:
    rate = _amounts(arrays, f"thr_{size}")
    need = _counts(arrays, f"U_{size}", len(rate), kinds)
    if need.size and not need.any(axis=1).all():
        raise ValueError(f"U_{size} has a template without stages")
    return Menu(need=need, rate=_positive(rate, f"thr_{size}"))


def _amounts(arrays: Mapping[str, np.ndarray], name: str, length: int | None = None) -> Floats:
    values: Floats = np.asarray(arrays[name], dtype=np.float64)
    if values.ndim != 1 or (length is not None and len(values) != length):
        raise ValueError(f"{name} has shape {values.shape}, not ({'n' if length is None else length},)")
    if not np.isfinite(values).all() or (values < 0.0).any():
        raise ValueError(f"{name} has values that are negative or not finite")
    return values


def _counts(arrays: Mapping[str, np.ndarray], name: str, *shape: int) -> Ints:
    values = np.asarray(arrays[name])
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, not {shape}")
    whole: Ints = values.astype(np.int64)
    if (whole != values).any() or (whole < 0).any():
        raise ValueError(f"{name} has values that are negative or not whole")
    return whole


def _positive(values: Any, name: str) -> Any:
    if (values <= 0).any():
        raise ValueError(f"{name} has values that are not above zero")
    return values
