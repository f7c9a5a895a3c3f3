"""An S3 server, and a Redshift that loads from it, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.support import postgres
from tests.support.redshift import DATABASE, Redshift
from tests.support.s3 import S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3Server) -> S3Server:
    s3_server.reset()
    s3_server.make_bucket("staging")
    return s3_server


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    if postgres.find_binaries() is None:
        pytest.skip("there is no PostgreSQL server")
    with postgres.server() as url:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        yield url.rpartition("/")[0] + f"/{DATABASE}"


@pytest.fixture
def redshift(database_url: str, s3: S3Server) -> Iterator[Redshift]:
    import psycopg

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    double = Redshift(database_url, s3.client)
    double.run("CREATE TABLE events (id int, name text)")
    yield double
    double.stop()
