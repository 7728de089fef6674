"""Each validation image stays unseen by one member, with all images of its patient."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pneumonia.crossfit import find_unseen

PATIENTS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 5)), min_size=2, max_size=40)


def make_rows(patients: list[tuple[int, int]]) -> pd.DataFrame:
    """Images of patients (label, number of images); both labels occur."""
    whose = [
        (f"p{index}", label)
        for index, (label, images) in enumerate([(0, 1), (1, 1), *patients])
        for _ in range(images)
    ]
    table = pd.DataFrame(whose, columns=["group", "label"])
    return table.assign(split="val", row=range(len(table)))


@given(PATIENTS, st.integers(2, 5))
def test_one_member_stays_without_a_patient(patients, members) -> None:
    rows = make_rows(patients)
    unseen = find_unseen(rows, members, enabled=True)
    assert unseen.shape == (len(rows), members)
    assert (unseen.sum(1) == 1).all()
    kept_from = rows.assign(member=unseen.argmax(1))
    assert (kept_from.groupby("group")["member"].nunique() == 1).all()
    classes = rows.groupby("label")["group"].nunique()
    shares = min(members, classes.min())
    for label in (0, 1):
        mine = kept_from[kept_from["label"] == label]
        counts = mine.groupby("member").size()
        assert len(counts) == shares
        assert counts.max() - counts.min() <= mine.groupby("group").size().max()


def test_the_order_of_images_changes_nothing() -> None:
    rows = make_rows([(0, 2), (1, 3), (0, 1), (1, 4), (1, 1)])
    turned = np.random.default_rng(0).permutation(len(rows))
    other = rows.iloc[turned].assign(row=range(len(rows)))
    np.testing.assert_array_equal(
        find_unseen(other, 3, enabled=True), find_unseen(rows, 3, enabled=True)[turned]
    )


def test_alone_or_not_asked_for_all_stay_without_all() -> None:
    rows = make_rows([(0, 2), (1, 3)])
    assert find_unseen(rows, 1, enabled=True).all()
    assert find_unseen(rows, 3, enabled=False).all()
