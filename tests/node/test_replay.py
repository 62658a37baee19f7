from kerege.node.replay import ReplayWindow

A, B, C = (bytes([n]) * 64 for n in range(3))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_message_is_taken_once_within_the_window_and_others_beside_it() -> None:
    clock = Clock()
    window = ReplayWindow(10, clock)
    assert window.first_time(A)
    clock.now += 9.9
    assert not window.first_time(A)
    assert window.first_time(B)
    clock.now += 0.1
    assert window.first_time(A), "the window is counted from the first time"


def test_without_a_window_everything_is_taken() -> None:
    window = ReplayWindow(0)
    assert window.first_time(A)
    assert window.first_time(A)


def test_what_is_remembered_has_a_bound() -> None:
    window = ReplayWindow(10, Clock(), most=2)
    assert [window.first_time(m) for m in (A, B, C, C, B, A)] == [True, True, True, False, True, True]
