"""What a search may take on the loop's thread: a statement that takes more is stopped."""

import apsw

from fhir_hub.store.sqlite.budget import Budget

_COUNT = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?) SELECT max(x) FROM n"
)


def test_a_short_statement_is_answered_each_time_and_a_long_one_is_stopped():
    connection = apsw.Connection(":memory:")
    budget = Budget(connection, 1000)

    short = [budget.rows(_COUNT, (number,)) for number in range(1, 40)]
    long = [budget.rows(_COUNT, (10_000,)) for _ in range(3)]
    other = connection.execute(_COUNT, (10_000,)).fetchall()
    again = budget.rows(_COUNT, (5,))
    connection.close()

    assert short == [[(number,)] for number in range(1, 40)]
    assert long == [None] * 3
    assert (other, again) == ([(10_000,)], [(5,)])
