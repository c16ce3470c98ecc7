"""Objects as bytes for the way between two processes, arrays without a copy.

Packing and unpacking happen where the caller says, not in the event loops that carry parcels.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

__all__ = ["Parcel", "pack", "unpack"]


@dataclass(frozen=True)
class Parcel:
    """A pickled object and the memory of its arrays."""

    content: bytes
    arrays: list[Any]

    @property
    def nbytes(self) -> int:
        """Size on the way."""
        return len(self.content) + sum(memoryview(a).nbytes for a in self.arrays)

    def __reduce_ex__(self, protocol: Any) -> tuple[type, tuple[bytes, list[Any]]]:
        # Some of dask's ways pickle with protocol 4, which cannot carry memory beside the pickle.
        arrays = self.arrays if protocol >= 5 else [memoryview(a).tobytes() for a in self.arrays]
        return Parcel, (self.content, arrays)


def pack(value: Any) -> Parcel:
    """Pack an object; functions and classes of scripts and notebooks travel with it.

    Raises
    ------
    Exception
        Whatever an object raises that cannot be pickled.
    """
    arrays: list[pickle.PickleBuffer] = []
    try:
        content = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
        if b"__main__" not in content:
            return Parcel(content, list(arrays))
    except Exception:  # a lambda, for example, raises what it likes
        pass
    import cloudpickle

    arrays.clear()
    content = cloudpickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    return Parcel(content, list(arrays))


def unpack(parcel: Parcel) -> Any:
    """Unpack an object; its arrays can be written to."""
    arrays = [a if not memoryview(a).readonly else bytearray(a) for a in parcel.arrays]
    return pickle.loads(parcel.content, buffers=arrays)
