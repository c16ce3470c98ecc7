"""Objects packed as bytes to send them between processes, with arrays that are not copied.

Callers choose the thread that packs and unpacks, so that the event loops are not blocked.
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
        """Size in bytes."""
        return len(self.content) + sum(memoryview(a).nbytes for a in self.arrays)

    def __reduce_ex__(self, protocol: Any) -> tuple[type, tuple[bytes, list[Any]]]:
        # Parts of dask pickle with protocol 4, which does not support buffers outside the pickle.
        arrays = self.arrays if protocol >= 5 else [memoryview(a).tobytes() for a in self.arrays]
        return Parcel, (self.content, arrays)


def pack(value: Any) -> Parcel:
    """Pack an object, including functions and classes defined in scripts and notebooks.

    Raises
    ------
    Exception
        Of any type, if the object cannot be pickled.
    """
    arrays: list[pickle.PickleBuffer] = []
    try:
        content = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
        if b"__main__" not in content:
            return Parcel(content, list(arrays))
    except Exception:  # a lambda, for example, raises various types
        pass
    import cloudpickle

    arrays.clear()
    content = cloudpickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    return Parcel(content, list(arrays))


def unpack(parcel: Parcel) -> Any:
    """Unpack an object; its arrays are writeable."""
    arrays = [a if not memoryview(a).readonly else bytearray(a) for a in parcel.arrays]
    return pickle.loads(parcel.content, buffers=arrays)
