"""Ranks as threads of one process: exchanges, an agreed end, and news of a death, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from shared.engine import wire
from shared.engine.ranks import Alone, RankLostError, launched_as
from shared.engine.star import Hub, Star, join
from shared.errors import MachineError
from tests.launching import until

WORLD = 3


@pytest.fixture
def stars() -> Iterator[list[Star]]:
    """Three ranks that know each other."""
    hub = Hub()
    with ThreadPoolExecutor(WORLD) as pool:
        center = pool.submit(hub.accept, WORLD, 10)
        others = [pool.submit(join, "127.0.0.1", hub.port, hub.token, rank, WORLD, 10) for rank in (2, 1)]
        found = [center.result(), *reversed([one.result() for one in others])]
    yield found
    for star in found:
        star.close()


def together(stars, act):
    """What ``act(star)`` gives on every rank at once."""
    with ThreadPoolExecutor(len(stars)) as pool:
        return list(pool.map(act, stars))


def silence(star: Star) -> None:
    """What the kernel does for a killed process: its connections end, without a word."""
    star._closed = True  # the dead hear nothing
    for connection in star._connections.values():
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def test_value_gather_broadcast_sum(stars):
    assert [star.rank for star in stars] == [0, 1, 2]
    gathered = together(stars, lambda star: star.gather({"rank": star.rank, "a": np.full((2, 2), star.rank, np.int8)}))
    for said in gathered:
        assert [one["rank"] for one in said] == [0, 1, 2]
        assert all(one["a"].dtype == np.int8 and (one["a"] == rank).all() for rank, one in enumerate(said))
    assert together(stars, lambda star: star.broadcast([star.rank, "x"])) == [[0, "x"]] * WORLD
    sums = together(stars, lambda star: star.sum(np.array([star.rank, 2**62 // WORLD], np.int64)))
    assert all(total.tolist() == [3, 2**62 // WORLD * WORLD] and total.dtype == np.int64 for total in sums)


def test_value_exchanges_do_not_mix_up_when_one_rank_is_slow(stars):
    slow = threading.Event()

    def act(star):
        if star.rank == 2:
            slow.wait(5)
        first = star.broadcast(f"first of {star.rank}")
        if star.rank == 0:
            slow.set()
        return first, star.gather(star.rank), star.broadcast(star.rank)

    assert together(stars, act) == [("first of 0", [0, 1, 2], 0)] * WORLD


def test_value_all_agree_on_the_step_a_signal_ends(stars):
    """Rank 2 is asked while the others are in other steps; nobody may pass the agreed one."""
    lockstep = threading.Barrier(WORLD)  # as gradients are: no rank ends a step without the others

    def act(star):
        for done in range(50):
            time.sleep(0.05)  # a step takes its time, in which news travel
            star.before_step(done)
            if star.rank == 2 and done == 7:
                star.ask_to_stop(15)
            lockstep.wait(10)
            if star.stop_signal(done + 1):
                return done + 1, star.stop_signal(done + 1)
        return None

    ends = together(stars, act)
    assert len(set(ends)) == 1
    end, number = ends[0]
    assert number == 15
    assert 8 <= end <= 15
    assert all(star.stop_signal(end - 1) is None for star in stars)


def test_error_a_rank_that_is_gone_without_a_word(stars):
    """Its neighbours hear of it whether they wait in an exchange or not."""
    silence(stars[1])
    for star in (stars[0], stars[2]):
        lost = star.lost(wait=5)
        assert lost.rank == 1
        assert lost.alive == [0, 2]
        assert "rank 1" in str(lost)
        assert "killed" in str(lost)
        with pytest.raises(RankLostError, match="rank 1"):
            star.gather(None)
        with pytest.raises(RankLostError, match="rank 1"):
            star.before_step(3)


def test_error_rank_0_is_gone(stars):
    silence(stars[0])
    for star in stars[1:]:
        lost = star.lost(wait=5)
        assert (lost.rank, lost.alive) == (0, [1, 2])


def test_error_a_rank_that_fails_says_why(stars):
    def act(star):
        if star.rank == 2:
            star.close(failed="DataError: cat.png is no image")
            return None
        with pytest.raises(RankLostError, match=r"rank 2 has ended the run: DataError: cat.png is no image"):
            star.gather(star.rank)
        return star.lost().rank

    assert together(stars, act) == [2, 2, None]


def test_error_a_rank_that_left_early_is_not_waited_for(stars):
    stars[1].close()
    with pytest.raises(RankLostError, match=r"rank 1 .* has left"):
        stars[0].gather(None)


def test_value_leaving_in_good_order_is_no_death(stars):
    for star in stars:
        star.close()
    assert all(star.lost(wait=0.2) is None for star in stars)


def test_value_the_watchdog_acts_when_nobody_notices():
    """A main thread in a collective asks nothing: after the grace the process is left by force."""
    here, there = _tcp_pair()
    left: list[RankLostError] = []
    star = Star(0, 2, {1: here}, give_up=left.append, grace=0.2)
    there.close()
    assert until(lambda: left)
    assert left[0].rank == 1
    star.close()


def test_value_the_watchdog_rests_when_the_main_thread_has_noticed():
    here, there = _tcp_pair()
    left: list[RankLostError] = []
    star = Star(0, 2, {1: here}, give_up=left.append, grace=0.3)
    there.close()
    assert star.lost(wait=5) is not None
    assert not until(lambda: left, 0.8)
    star.close()


def test_error_not_all_come():
    with pytest.raises(MachineError, match=r"ranks \[1, 2\] have not connected to port \d+ of rank 0 within 0.2 s"):
        Hub().accept(3, seconds=0.2)


def test_error_a_stranger_is_not_let_in():
    hub = Hub()
    with socket.create_connection(("127.0.0.1", hub.port)) as stranger:
        wire.send(stranger, ["a guess", 1])
        with pytest.raises(MachineError, match=r"ranks \[1\]"):
            hub.accept(2, seconds=0.5)


def test_error_rank_0_cannot_be_reached():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(MachineError, match=f"rank 1 cannot reach rank 0 at 127.0.0.1:{port}"):
            join("127.0.0.1", port, "token", 1, 2, seconds=2)


@pytest.mark.parametrize(
    "value", [None, [1, 2.5, "ü"], {"a": {"b": [np.float32(1.5)]}}, np.zeros((0, 3)), np.arange(6.0).reshape(2, 3).T]
)
def test_value_messages_come_back(value):
    head, chunks = wire.encode(value)
    back = wire.decode(head, [bytes(chunk) for chunk in chunks])
    if isinstance(value, np.ndarray):
        assert back.dtype == value.dtype
        assert back.shape == value.shape
        assert np.array_equal(back, value)
    else:
        assert back == value


def test_error_what_is_no_number_is_not_sent():
    with pytest.raises(TypeError, match="object"):
        wire.encode(np.array([print]))


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, (0, 1)),
        ({"PADDLE_TRAINER_ID": "1", "PADDLE_TRAINERS_NUM": "3"}, (1, 3)),
        ({"PADDLE_TRAINER_ID": "x", "PADDLE_TRAINERS_NUM": "3"}, (0, 1)),
        ({"PADDLE_TRAINER_ID": "3", "PADDLE_TRAINERS_NUM": "3"}, (0, 1)),
    ],
)
def test_value_what_fleetrun_said(environ, wanted):
    assert launched_as(environ) == wanted


def test_value_alone():
    alone = Alone()
    assert alone.gather(3) == [3]
    assert alone.stop_signal(9) is None
    alone.ask_to_stop(15)
    assert alone.stop_wanted()
    assert alone.stop_signal(0) == 15
    assert alone.lost() is None


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    return one, other
