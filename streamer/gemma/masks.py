"""Who may look at whom. Pure functions over positions; nothing here knows a cache's layout or a model.

Every place of a sequence, cached or new, is told by three numbers: its position in the row's text, whether it holds
anything (padding and rejected drafts do not), and the picture whose soft token it is (`TEXT` for words). Masks follow
from these alone, so places may lie in any order and with any holes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

TEXT = -1
"""Block of a place that is not part of a picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places of a batch of rows, each tensor ``(rows, places)``."""

    positions: torch.Tensor
    """int64; counts from 0 within the row. Anything where not ``valid``."""
    valid: torch.Tensor
    """bool."""
    blocks: torch.Tensor
    """int64: number of the picture within the row, or `TEXT`."""

    def __len__(self) -> int:
        """Places a row."""
        return self.positions.shape[1]

    def followed_by(self, later: Places) -> Places:
        """These places, then ``later``, for the same rows."""
        return Places(
            torch.cat((self.positions, later.positions), dim=1),
            torch.cat((self.valid, later.valid), dim=1),
            torch.cat((self.blocks, later.blocks), dim=1),
        )

    def rows(self, chosen: torch.Tensor) -> Places:
        """The rows with the numbers ``chosen`` ``(n,)``, in that order, repeated where it repeats."""
        return Places(self.positions[chosen], self.valid[chosen], self.blocks[chosen])


def global_mask(queries: Places, keys: Places) -> torch.Tensor:
    """``(rows, 1, queries, keys)`` bool for global layers: everything up to itself, pictures too.

    ``keys`` end with the places of ``queries`` themselves. A query without content looks at itself alone, so that
    no row of the softmax is empty (it would give NaN, and NaN times a masked 0 is NaN again).
    """
    return _with_holes(_causal(queries, keys), queries, keys)


def sliding_mask(queries: Places, keys: Places, window: int, *, bidirectional: bool) -> torch.Tensor:
    """``(rows, 1, queries, keys)`` bool for local layers.

    The last ``window`` positions (itself included) and, of these, what is earlier, or with ``bidirectional`` also
    what is later in the same picture. ``keys`` and empty queries as for `global_mask`.
    """
    allowed = _causal(queries, keys)
    if bidirectional:
        same = queries.blocks[:, :, None] == keys.blocks[:, None, :]
        allowed |= same & (queries.blocks != TEXT)[:, :, None]
    allowed &= keys.positions[:, None, :] > queries.positions[:, :, None] - window
    return _with_holes(allowed, queries, keys)


def additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The mask as numbers to add to attention scores: 0 where allowed, the lowest finite number elsewhere."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


def _causal(queries: Places, keys: Places) -> torch.Tensor:
    return keys.positions[:, None, :] <= queries.positions[:, :, None]


def _with_holes(allowed: torch.Tensor, queries: Places, keys: Places) -> torch.Tensor:
    allowed &= keys.valid[:, None, :]
    allowed &= queries.valid[:, :, None]
    offset = len(keys) - len(queries)
    itself = torch.arange(len(queries), device=allowed.device)
    allowed[:, itself, itself + offset] = True
    return allowed[:, None]
