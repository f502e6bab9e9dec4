"""Which samples make a batch: the same in one process and in many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from lrpbook_lib.data import Augmented
from lrpbook_lib.data.augment import Transform


class Numbered(Dataset):
    """A dataset asked for whole batches, which tell positions as ``index``.

    They are read at once where the dataset has ``batch(positions)``, else one by one.
    """

    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, positions: Sequence[int]) -> dict[str, Any]:
        return self.batch(positions)

    def batch(self, positions: Sequence[int]) -> dict[str, Any]:
        """The items at these positions, stacked."""
        if hasattr(self.data, "batch"):
            found = self.data.batch(positions)
        else:
            found = default_collate([self.data[i] for i in positions])
        return {**found, "index": torch.tensor(positions)}


class EpochBatches(Sampler[list[int]]):
    """Batches of one epoch, for one of several processes.

    The order follows from seed and epoch alone. Each process takes every world-th
    sample of a batch, so that together they see the batch that one process would; a
    last batch too small to give each of them a sample is left out.

    Parameters
    ----------
    size : int
        Number of samples.
    batch_size : int
        Of all processes together.
    seed : int
    rank, world : int
        Which process this is, of how many.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        if batch_size < world:
            raise ValueError(
                f"batch_size={batch_size} leaves some of {world} processes without a "
                f"sample: use at least {world}."
            )
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.rank, self.world, self.epoch = rank, world, 0

    def whole(self) -> list[np.ndarray]:
        """The batches of all processes together."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        batches = np.split(order, range(self.batch_size, self.size, self.batch_size))
        return [batch for batch in batches if len(batch) >= self.world]

    def __len__(self) -> int:
        full, rest = divmod(self.size, self.batch_size)
        return full + (rest >= self.world)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.whole():
            yield batch[self.rank :: self.world].tolist()


class TrainLoader:
    """Batches of training samples, epoch by epoch, shuffled and augmented.

    Parameters
    ----------
    data : Dataset
        Of dictionaries such as a :class:`~lrpbook_lib.data.SliceSet` gives.
    batch_size, seed, rank, world : int
        See :class:`EpochBatches`.
    augment : Transform, optional
    workers : int
        Processes that load.
    pin : bool
        Whether to load into memory from which a GPU copies faster.
    """

    def __init__(
        self,
        data: Any,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        augment: Transform | None = None,
        workers: int = 0,
        pin: bool = False,
    ) -> None:
        source = Numbered(data)
        owner = getattr(data, "patient", None)
        self.augmented = Augmented(source, augment, seed, owner) if augment else None
        self.batches = EpochBatches(len(data), batch_size, seed, rank, world)
        # No worker outlives its epoch: each starts with the epoch's own number.
        self.loader: DataLoader = DataLoader(
            Numbered(self.augmented) if self.augmented else source,
            batch_size=None,
            sampler=self.batches,
            num_workers=workers,
            pin_memory=pin,
        )

    def epoch(self, number: int) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Pairs of the size of the whole batch and this process's part of it."""
        self.batches.epoch = number
        if self.augmented is not None:
            self.augmented.set_epoch(number)
        sizes = [len(batch) for batch in self.batches.whole()]
        yield from zip(sizes, self.loader, strict=True)


def ordered_loader(
    data: Any, batch_size: int, rank: int = 0, world: int = 1, workers: int = 0
) -> DataLoader:
    """Every world-th sample in order; processes with one less repeat the last one."""
    share = -(-len(data) // world)
    mine = [min(rank + i * world, len(data) - 1) for i in range(share)]
    batches = [mine[i : i + batch_size] for i in range(0, share, batch_size)]
    source = Numbered(data)
    return DataLoader(source, batch_size=None, sampler=batches, num_workers=workers)


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Start dropout's random numbers where this epoch's start, in this process.

    Not the state of a generator but where it starts decides: a resumed training needs
    nothing but the number of its epoch.
    """
    words = np.random.SeedSequence([seed, epoch, rank])
    torch.manual_seed(int(words.generate_state(1)[0]))
