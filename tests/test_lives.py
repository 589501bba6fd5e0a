"""When a worker is replaced, and when no more is tried."""

from __future__ import annotations

from moorage.lives import STILLBORN, Lives


def test_a_worker_that_was_up_is_replaced_however_often_it_dies() -> None:
    """One that came up, and was killed, does not count against those that come after it."""
    lives = Lives()
    for now in range(100):
        lives.begin(0, now).come_up()
        lives.end(0, now)
    assert not lives.are_hopeless


def test_a_broken_start_ends() -> None:
    """Workers that die one after another before they are up are given up."""
    lives = Lives()
    for now in range(STILLBORN):
        assert not lives.are_hopeless
        lives.begin(0, now)
        lives.end(0, now)
    assert lives.are_hopeless


def test_while_one_is_up_there_is_hope() -> None:
    """A worker that does not come up is tried for as long as another serves."""
    lives = Lives()
    lives.begin(1, 0).come_up()
    for now in range(10 * STILLBORN):
        lives.begin(0, now)
        lives.end(0, now)
    assert not lives.are_hopeless
    lives.end(1, 1000)
    assert not lives.are_hopeless


def test_one_that_comes_up_makes_good_for_those_that_did_not() -> None:
    """Only deaths in a row count."""
    lives = Lives()
    for now in range(3 * STILLBORN):
        life = lives.begin(0, now)
        if now % (STILLBORN - 1) == 0:
            life.come_up()
        lives.end(0, now)
        assert not lives.are_hopeless


def test_the_next_waits_longer_each_time_and_not_for_ever() -> None:
    """The pause doubles with each life that was short, up to two seconds."""
    lives = Lives()
    pauses = []
    for _ in range(6):
        lives.begin(0, 0)
        pauses.append(lives.end(0, 0))
    assert pauses == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_after_a_long_life_the_next_begins_soon() -> None:
    """What happened long ago does not keep a worker waiting."""
    lives = Lives()
    for _ in range(6):
        lives.begin(0, 0)
        lives.end(0, 0)
    lives.begin(0, 0)
    assert lives.end(0, 3600) == 0.1


def test_a_worker_is_due_after_its_pause() -> None:
    """Until then it is waited for; once it has begun it is not."""
    lives = Lives()
    assert lives.wait(0) is None
    lives.begin(0, 0)
    pause = lives.end(0, 0)
    assert lives.due(0) == []
    assert lives.wait(0) == pause
    assert lives.wait(100) == 0
    assert lives.due(pause) == [0]
    lives.begin(0, pause)
    assert lives.due(pause) == []
