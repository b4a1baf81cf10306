"""Who may look at whom. Pure functions over positions; nothing here knows a cache's layout or a model.

Every place of a sequence, cached or new, is told by four numbers: its position in the row's text, whether it holds
anything (padding and rejected drafts do not), the picture whose soft token it is (`TEXT` for words), and the branch
to which it belongs (`SHARED` for what all branches of the row see). Masks follow from these alone, so places may lie
in any order and with any holes, and several answers about the same pictures grow side by side in one row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

TEXT = -1
"""Block of a place that is not part of a picture."""
SHARED = -1
"""Branch of a place that every branch of its row sees."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places of a batch of rows, each tensor ``(rows, places)``."""

    positions: torch.Tensor
    """int64; counts from 0 within the row's text. Anything where not ``valid``."""
    valid: torch.Tensor
    """bool, or numbers of which 0 is False."""
    blocks: torch.Tensor
    """int64: number of the picture within the row, or `TEXT`."""
    branches: torch.Tensor
    """int64: number of the branch within the row, or `SHARED`."""

    def __len__(self) -> int:
        """Places a row."""
        return self.positions.shape[1]

    def parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The four tensors in the order of the fields."""
        return self.positions, self.valid, self.blocks, self.branches

    def followed_by(self, later: Places) -> Places:
        """These places, then ``later``, for the same rows."""
        return Places(*(torch.cat(pair, dim=1) for pair in zip(self.parts(), later.parts(), strict=True)))

    def rows(self, chosen: torch.Tensor) -> Places:
        """The rows with the numbers ``chosen`` ``(n,)``, in that order, repeated where it repeats."""
        return Places(*(part[chosen] for part in self.parts()))

    def columns(self, chosen: torch.Tensor | slice) -> Places:
        """The columns ``chosen``: a slice, or ``(rows, n)`` numbers, each row its own."""
        if isinstance(chosen, slice):
            return Places(*(part[:, chosen] for part in self.parts()))
        return Places(*(part.gather(1, chosen) for part in self.parts()))

    def to(self, device: torch.device) -> Places:
        """The same on that device."""
        return Places(*(part.to(device, non_blocking=True) for part in self.parts()))


def global_mask(queries: Places, keys: Places, own: torch.Tensor) -> torch.Tensor:
    """``(rows, 1, queries, keys)`` bool for global layers: everything up to itself, pictures too.

    ``own``: ``(queries,)`` int64, where among the ``keys`` the ``queries`` themselves are. A query without content
    looks at itself alone, so that no row of the softmax is empty (it would give NaN, and NaN times a masked 0 is NaN
    again).
    """
    return _with_holes(_causal(queries, keys), queries, keys, own)


def sliding_mask(queries: Places, keys: Places, own: torch.Tensor, window: int, *, bidirectional: bool) -> torch.Tensor:
    """``(rows, 1, queries, keys)`` bool for local layers.

    The last ``window`` positions (itself included) and, of these, what is earlier, or with ``bidirectional`` also
    what is later in the same picture. ``own`` and empty queries as for `global_mask`.
    """
    allowed = _causal(queries, keys)
    if bidirectional:
        same = queries.blocks[:, :, None] == keys.blocks[:, None, :]
        allowed |= same & (queries.blocks != TEXT)[:, :, None]
    allowed &= keys.positions[:, None, :] > queries.positions[:, :, None] - window
    return _with_holes(allowed, queries, keys, own)


def additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The mask as numbers to add to attention scores: 0 where allowed, the lowest finite number elsewhere."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


def _causal(queries: Places, keys: Places) -> torch.Tensor:
    return keys.positions[:, None, :] <= queries.positions[:, :, None]


def _with_holes(allowed: torch.Tensor, queries: Places, keys: Places, own: torch.Tensor) -> torch.Tensor:
    theirs = keys.branches[:, None, :]
    allowed &= (theirs == SHARED) | (theirs == queries.branches[:, :, None])
    allowed &= keys.valid[:, None, :].bool()
    allowed &= queries.valid[:, :, None].bool()
    allowed[:, torch.arange(len(queries), device=allowed.device), own] = True
    return allowed[:, None]
