"""What a viewer's connection takes: values in, values out."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamer.display import MOST_WISHES, WIDTHS, Wish
from streamer.server.link import LONGEST_PATIENCE_SECONDS, PATIENCE_SECONDS, STEPS, Link


def test_losses_make_pictures_plainer_then_smaller_and_their_end_makes_them_better() -> None:
    link = Link()
    wishes = [link.wish(960)]
    for second in range(1, 6):
        link.judge(second, offered=12, lost=6)
        wishes.append(link.wish(960))
    assert wishes[0] == Wish(960, 80)
    assert wishes == sorted(wishes, reverse=True), "never better on the way down"
    assert wishes[-1].width == 480
    assert wishes[-1].quality < 50
    for second in range(6, 60):
        link.judge(second, offered=12, lost=0)
    assert link.wish(960) == Wish(960, 80)


def test_a_few_lost_pictures_change_nothing() -> None:
    link = Link()
    assert not any(link.judge(second, offered=12, lost=2) for second in range(60))
    assert link.step == 0


def test_a_step_that_does_not_hold_is_tried_ever_less_often() -> None:
    """A link that takes the second step for good and never the first."""
    link, tries = Link(), []
    for second in range(400):
        before = link.step
        link.judge(second, offered=12, lost=12 if link.step == 0 else 0)
        if link.step < before:
            tries.append(second)
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 2.5 * PATIENCE_SECONDS
    assert LONGEST_PATIENCE_SECONDS <= pauses[-1] < LONGEST_PATIENCE_SECONDS + 5


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1)), max_size=200))
def test_the_step_stays_among_those_there_are(seconds: list[tuple[int, float]]) -> None:
    link = Link()
    for now, (offered, part) in enumerate(seconds):
        before = link.step
        assert link.judge(now, offered, int(offered * part)) == (link.step != before)
        assert 0 <= link.step < len(STEPS)
        assert abs(link.step - before) <= 1


@given(st.integers(0, 9000), st.integers(1, 100))
def test_wishes_are_rounded_up_to_few_widths(width: int, quality: int) -> None:
    wish = Wish.at(width, quality)
    assert wish.width == 0 if width == 0 else wish.width in WIDTHS and wish.width >= min(width, WIDTHS[-1])


@given(st.sets(st.builds(Wish, st.sampled_from((0, *WIDTHS)), st.sampled_from((40, 60, 80))), max_size=12), st.data())
def test_beyond_so_many_wishes_one_that_is_there_is_shared(others: set[Wish], data: st.DataObject) -> None:
    wish = data.draw(st.builds(Wish, st.sampled_from(WIDTHS), st.sampled_from((40, 60, 80))))
    shared = wish.among(others)
    assert shared == wish if wish in others or len(others) < MOST_WISHES else shared in others
