"""The log goes back into the database while commits go on, and does not grow without end."""

import apsw

from fhir_hub.store.sqlite.checkpoints import Checkpoints
from fhir_hub.store.sqlite.connection import open_reader, open_writer

PAGES, COMMITS = 40, 3000
INSERT = "INSERT INTO t VALUES (zeroblob(8000))"


def test_the_log_stays_small_however_much_is_written(tmp_path):
    path = tmp_path / "hub.db"
    connection = open_writer(path)
    connection.execute("PRAGMA synchronous = OFF")  # it is not what is tested, and slow
    connection.execute("CREATE TABLE t (x)")
    checkpoints = Checkpoints(path, PAGES)
    checkpoints.watch(connection)
    for _ in range(COMMITS):
        connection.execute(INSERT)
    log_bytes = (tmp_path / "hub.db-wal").stat().st_size
    checkpoints.close()
    connection.close()

    assert log_bytes < COMMITS * 8000 / 3
    assert [one.name for one in tmp_path.iterdir()] == ["hub.db"]
    found = apsw.Connection(str(path)).execute("SELECT count(*) FROM t").fetchall()
    assert found == [(COMMITS,)]


def test_a_reader_that_stays_in_the_past_hinders_no_commit(tmp_path):
    path = tmp_path / "hub.db"
    connection = open_writer(path)
    connection.execute("CREATE TABLE t (x)")
    reader = open_reader(path, 100)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    checkpoints = Checkpoints(path, PAGES)
    checkpoints.watch(connection)
    for _ in range(PAGES):
        connection.execute(INSERT)

    assert reader.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    reader.close()
    checkpoints.close()
    connection.close()
    assert [one.name for one in tmp_path.iterdir()] == ["hub.db"]
