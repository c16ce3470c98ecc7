import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.compute.parcels import pack, unpack


def sent(value: object, protocol: int = 5) -> object:
    """Return a value packed, pickled as by dask, and unpacked."""
    arrays: list[pickle.PickleBuffer] = []
    options = {"buffer_callback": arrays.append} if protocol >= 5 else {}
    content = pickle.dumps(pack(value), protocol=protocol, **options)
    return unpack(pickle.loads(content, buffers=[bytes(a) for a in arrays]))


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.float32, np.int64, np.bool_]), hnp.array_shapes(max_dims=4)
    ),
    st.sampled_from([4, 5]),
)
def test_arrays_arrive_unchanged_and_writeable(array, protocol) -> None:
    other = sent({"a": array, "t": array.T}, protocol)
    np.testing.assert_array_equal(other["a"], array)
    np.testing.assert_array_equal(other["t"], array.T)
    assert other["a"].dtype == array.dtype
    other["a"][...] = 0


def test_arrays_are_not_copied_when_they_are_packed() -> None:
    array = np.zeros(1000)
    parcel = pack(array)
    array[0] = 7
    assert parcel.nbytes >= array.nbytes
    assert unpack(parcel)[0] == 7


def test_functions_outside_modules_can_be_sent() -> None:
    factor = 3
    assert sent(lambda x: factor * x)(5) == 15


def test_an_object_that_cannot_be_pickled_raises() -> None:
    import threading

    with pytest.raises(TypeError):
        pack(threading.Lock())
