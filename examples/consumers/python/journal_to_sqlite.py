"""Readings of the events topic into a table of SQLite, each once, however often it stands in the topic or is read again.

A reading is told by gateway, epoch and sequence; as the table's key they make writing it again do nothing. Positions are
committed to Kafka only after the table has what stands before them, so a crash in between reads again and loses nothing.

usage: journal_to_sqlite.py BROKERS TOPIC FILE [--until-end]
"""

import json
import sqlite3
import sys

import cbor2
from confluent_kafka import Consumer, KafkaError, KafkaException

TABLE = """CREATE TABLE IF NOT EXISTS readings (
  gateway TEXT, epoch TEXT, sequence INTEGER, device TEXT, time REAL, clock TEXT, metrics TEXT,
  PRIMARY KEY (gateway, epoch, sequence)
) WITHOUT ROWID"""


def row(message):
    """The table's row for a record, or None where it is no reading."""
    # Ticks have no gateway, and version 1 may gain types: what is not asked for is passed over.
    headers = {name: value.decode() for name, value in message.headers() or []}
    if headers.get("ce_type") != "tidegate.reading":
        return None
    gateway = headers["ce_source"].removeprefix("/gateways/")
    epoch, sequence = headers["ce_id"].split("-")
    reading = cbor2.loads(message.value())
    # The device's own time, else the gateway's.
    time = reading.get("time", reading["received"])
    metrics = json.dumps(reading["metrics"])
    return gateway, epoch, int(sequence), reading["device"], time, reading["clock"], metrics


def main(brokers, topic, file, until_end):
    table = sqlite3.connect(file)
    table.execute(TABLE)
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "journal-to-sqlite",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": until_end,
        }
    )
    consumer.subscribe([topic])
    ended = set()
    try:
        while True:
            messages = consumer.consume(num_messages=500, timeout=1.0)
            rows = []
            for message in messages:
                if message.error() is None:
                    ended.discard(message.partition())
                    rows.append(row(message))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise KafkaException(message.error())
            with table:
                table.executemany(
                    "INSERT OR IGNORE INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [one for one in rows if one],
                )
            if rows:
                consumer.commit(asynchronous=False)
            if until_end and consumer.assignment() and len(ended) == len(consumer.assignment()):
                return
    finally:
        consumer.close()
        table.close()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:4], "--until-end" in sys.argv[4:])
