"""Pushes numbered lines through python-logging-loki, unmodified.

usage: loki_push.py PUSH_URL COUNT
"""

import logging
import sys

import logging_loki


def main():
    url, count = sys.argv[1], int(sys.argv[2])
    handler = logging_loki.LokiHandler(url=url, tags={"app": "pusher"}, version="1")

    def stop(record):
        # The library swallows errors; a test must not.
        raise SystemExit(f"push of {record.getMessage()!r} was refused")

    handler.handleError = stop
    log = logging.getLogger("pusher")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    for number in range(count):
        log.info("line %d of %d", number, count)


if __name__ == "__main__":
    main()
