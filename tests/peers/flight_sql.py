"""Asks a node in SQL through the ADBC driver of Flight SQL and pyarrow's Flight client, unmodified.

usage: flight_sql.py grpc://HOST:PORT STATEMENT

Prints one JSON object of what each client saw.
"""

import json
import sys

import adbc_driver_flightsql.dbapi as flight_sql
import adbc_driver_manager
import pyarrow.flight as flight


def through_adbc(uri, statement):
    with flight_sql.connect(uri) as connection:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            rows = cursor.fetch_arrow_table().to_pylist()
        with connection.cursor() as cursor:
            schema = cursor.adbc_prepare(statement)
            cursor.execute(statement)
            prepared = cursor.fetchall()
        with connection.cursor() as cursor:
            try:
                cursor.execute("drop table logs")
                cursor.fetchall()
                refused = "answered"
            except adbc_driver_manager.Error as error:
                refused = str(error)
        objects = connection.adbc_get_objects(depth="columns").read_all().to_pylist()
        tables = {
            table["table_name"]: len(table["table_columns"])
            for catalog in objects
            for schema_ in catalog["catalog_db_schemas"]
            for table in schema_["db_schema_tables"]
        }
        info = connection.adbc_get_info()
    return {
        "rows": rows,
        "prepared": [list(row) for row in prepared],
        "parameters": None if schema is None else len(schema),
        "refused": refused,
        "tables": tables,
        "types": connection_types(uri),
        "vendor": info["vendor_name"],
    }


def connection_types(uri):
    with flight_sql.connect(uri) as connection:
        return connection.adbc_get_table_types()


def command(statement):
    """CommandStatementQuery in google.protobuf.Any, by hand: pyarrow has no Flight SQL of its own."""

    def field(number, data):
        out, length = bytes([number << 3 | 2]), len(data)
        while length > 0x7F:
            out += bytes([length & 0x7F | 0x80])
            length >>= 7
        return out + bytes([length]) + data

    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return field(1, name) + field(2, field(1, statement.encode()))


def through_pyarrow(uri, statement):
    client = flight.connect(uri.replace("grpc://", "grpc+tcp://"))
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command(statement)))
    reader = client.do_get(info.endpoints[0].ticket)
    rows, told = [], None
    while True:
        try:
            chunk = reader.read_chunk()
        except StopIteration:
            break
        if chunk.app_metadata is not None:
            told = json.loads(chunk.app_metadata.to_pybytes())
        if chunk.data is not None:
            rows += chunk.data.to_pylist()
    return {"rows": rows, "schema": info.schema.names, "told": told}


def main():
    uri, statement = sys.argv[1:]
    seen = {"adbc": through_adbc(uri, statement), "pyarrow": through_pyarrow(uri, statement)}
    print(json.dumps(seen, default=str))


main()
