"""Drafts: what is proposed, how it is lined up again, how long a stretch pays."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from streamer.gemma.drafting import FREE, LONGEST_STRETCH, CostMeter, Drafter, StepCost

tokens = st.lists(st.integers(0, 9), max_size=40)


def play(drafter: Drafter, answer: list[int], cost: StepCost = FREE) -> int:
    """Steps until the whole ``answer`` is said, as an engine would; the number of steps."""
    steps, said = 0, 0
    while said < len(answer):
        proposed = drafter.propose(cost)[: len(answer) - said - 1]
        right = 0
        while right < len(proposed) and proposed[right] == answer[said + right]:
            right += 1
        drafter.verified(proposed, answer[said : said + right + 1])
        said += right + 1
        steps += 1
    return steps


def play_with_guesses(drafter: Drafter, answer: list[int], guess: Callable[[int], int]) -> int:
    """As `play`, of a model that would have said ``guess(place)`` behind a wrong token."""
    steps, said = 0, 0
    while said < len(answer):
        proposed = drafter.propose()[: len(answer) - said - 1]
        right = 0
        while right < len(proposed) and proposed[right] == answer[said + right]:
            right += 1
        beyond = [guess(place) for place in range(said + right + 1, said + len(proposed) + 1)]
        drafter.verified(proposed, answer[said : said + right + 1], beyond)
        said += right + 1
        steps += 1
    return steps


def test_a_model_that_sees_through_a_wrong_token_takes_two_steps() -> None:
    answer = list(range(100, 140))
    earlier = [token + 1000 if place % 3 else token for place, token in enumerate(answer)]
    assert play_with_guesses(Drafter(earlier), answer, lambda place: answer[place]) == 2
    assert play(Drafter(earlier), answer) > 20


def test_guesses_that_are_worse_than_the_draft_are_given_up() -> None:
    answer = list(range(100, 140))
    earlier = [1 if place == 5 else token for place, token in enumerate(answer)]
    assert play_with_guesses(Drafter(earlier), answer, lambda place: 7) == 3


@given(tokens, tokens, st.lists(st.integers(0, 9), min_size=60, max_size=60))
def test_any_guesses_come_to_an_end(earlier: list[int], answer: list[int], guesses: list[int]) -> None:
    assert play_with_guesses(Drafter(earlier), answer, lambda place: guesses[place]) <= len(answer)


@given(tokens, tokens)
def test_any_draft_comes_to_an_end_and_never_costs_more_steps_than_none(earlier: list[int], answer: list[int]) -> None:
    assert play(Drafter(earlier), answer) <= len(answer)


@given(tokens.filter(bool))
def test_the_same_answer_again_takes_one_step(answer: list[int]) -> None:
    assert play(Drafter(answer), answer) == 1


@given(st.lists(st.integers(0, 9), min_size=2, max_size=40, unique=False), st.data())
def test_each_replaced_token_costs_at_most_one_step_more(answer: list[int], data: st.DataObject) -> None:
    places = data.draw(st.sets(st.integers(0, len(answer) - 1), max_size=3))
    apart = {place for place in places if place - 1 not in places}  # two in a row look like something left out
    earlier = [token + 100 if place in apart else token for place, token in enumerate(answer)]
    assert play(Drafter(earlier), answer) <= 1 + len(apart)


def test_something_put_in_or_left_out_is_found_again() -> None:
    earlier = list(range(40))
    longer = [*earlier[:15], 70, 71, 72, *earlier[15:]]
    shorter = [*earlier[:15], *earlier[22:]]
    assert play(Drafter(earlier), longer) <= 7
    assert play(Drafter(earlier), shorter) <= 5


def test_a_draft_that_is_always_wrong_is_soon_not_used_where_tokens_cost() -> None:
    drafter = Drafter([1] * 200)
    cost = StepCost(1.0, 0.2)
    proposed = []
    for step in range(30):
        stretch = drafter.propose(cost)
        proposed.append(len(stretch))
        drafter.verified(stretch, [2 + step])
    assert proposed[0] > 0
    assert proposed[-1] == 0


def test_a_draft_that_has_become_right_is_used_again() -> None:
    """It is watched while it does not pay: else a stream whose scene moved for a while would never be quick again."""
    drafter, cost = Drafter(list(range(60)), chance=0.05), StepCost(1.0, 0.2)
    assert drafter.propose(cost) == []
    said = 0
    while said < 60 and not (stretch := drafter.propose(cost)):
        drafter.verified(stretch, [said])
        said += 1
    assert 0 < said < 20


def test_what_the_answer_repeats_says_nothing_about_the_earlier_answer() -> None:
    drafter = Drafter(chance=0.8)
    for token in [1, 2, 3, 1, 4, 1, 5, 2, 6, 2, 7] * 3:
        drafter.verified(drafter.propose(), [token])
    assert drafter.chance == 0.8


@given(st.floats(0.01, 1.0), st.floats(0, 1), st.floats(0.0, 1.0), st.integers(0, 400))
def test_a_stretch_is_within_what_is_at_hand(base: float, per_token: float, chance: float, left: int) -> None:
    assert 0 <= StepCost(base, per_token).worth(chance, left) <= min(left, LONGEST_STRETCH)


def test_sure_drafts_are_taken_whole_and_dear_ones_not_at_all() -> None:
    assert StepCost(1.0, 0.01).worth(1.0, 100) == 100
    assert StepCost(0.001, 1.0).worth(0.5, 100) == 0
    assert StepCost(0.0, 1.0).worth(0.9, 100) == 0
    assert 0 < StepCost(1.0, 0.05).worth(0.8, 100) < 20


@given(st.floats(0.001, 10), st.floats(0.0001, 1), st.lists(st.integers(1, 600), min_size=6, max_size=30))
def test_costs_are_read_off_what_was_measured(base: float, per_token: float, sizes: list[int]) -> None:
    meter = CostMeter()
    for size in [1, 500, *sizes]:
        meter.observe(size, base + per_token * size)
    cost = meter.cost()
    assert abs(cost.base + cost.per_token * 50 - (base + per_token * 50)) < 1e-3 * (base + per_token * 50)


def test_no_cost_is_known_from_forwards_of_one_size() -> None:
    meter = CostMeter()
    for _ in range(10):
        meter.observe(8, 0.5)
    assert meter.cost() == FREE
