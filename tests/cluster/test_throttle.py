from atoll.cluster.throttle import TokenBucket


def test_a_burst_passes_and_what_comes_after_it_is_paced() -> None:
    bucket = TokenBucket(rate=20, burst=40)
    assert [bucket.take(0) for _ in range(40)] == [0.0] * 40
    assert [round(bucket.take(0), 3) for _ in range(3)] == [0.05, 0.1, 0.15]


def test_tokens_come_back_but_not_beyond_the_burst() -> None:
    bucket = TokenBucket(rate=20, burst=2)
    for _ in range(2):
        bucket.take(0)
    assert [bucket.take(100) for _ in range(3)] == [0.0, 0.0, 0.05]


def test_the_api_servers_wish_holds_every_write() -> None:
    bucket = TokenBucket()
    bucket.block(10, 7)
    assert bucket.take(12) == 5
    assert bucket.take(17) == 0


def test_a_shorter_wish_does_not_undo_a_longer_one() -> None:
    bucket = TokenBucket()
    bucket.block(0, 9)
    bucket.block(0, 1)
    assert bucket.take(0) == 9
