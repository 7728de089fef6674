"""Values of any depth onto 0 to 255, and no more pixels at once than memory holds."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumonia.data.pixels import DecodeError, PixelBudget, bound_pixels, stretch


@settings(deadline=None)
@given(
    st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32"]),
    st.lists(st.integers(-(2**15), 2**15 - 1), min_size=2, max_size=30, unique=True),
)
def test_stretch_is_linear_between_its_ends_for_all_types(dtype: str, numbers: list[int]) -> None:
    values = np.array([numbers]).astype(dtype)
    low, high = sorted([float(values[0, 0]), float(values[0, 1])])
    shown = stretch(values, low, high)
    assert shown.dtype == np.uint8
    exact = np.clip((values.astype(float) - low) / max(high - low, 1e-12), 0, 1) * 255
    np.testing.assert_allclose(shown, exact, atol=0.5)


def test_threads_together_stay_within_the_budget() -> None:
    budget, sizes = PixelBudget(100), [60, 50, 40, 100, 1] * 4
    held, greatest, lock = [0], [0], threading.Lock()

    def work(size: int) -> None:
        with budget.take(size):
            with lock:
                held[0] += size
                greatest[0] = max(greatest[0], held[0])
            with lock:
                held[0] -= size

    threads = [threading.Thread(target=work, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < greatest[0] <= 100
    assert budget.free == 100


def test_a_failed_decoding_gives_its_pixels_back() -> None:
    for _ in range(3):
        with pytest.raises(DecodeError, match="damaged"), bound_pixels(8192, 8192):
            raise DecodeError("damaged")
    with bound_pixels(8192, 8192):
        pass


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), (8193, 8192)])
def test_sizes_that_cannot_be_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(DecodeError, match="pixels"), bound_pixels(*size):
        pass
