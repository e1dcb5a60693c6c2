"""One service of a small shop under OpenTelemetry auto-instrumentation: `web` asks `orders`, which asks `stock`.

Every seventh article is out of stock, which is an error in `stock` and all the way up. Run each under
`opentelemetry-instrument` with the usual OTEL_* variables. Prints the port it listens on; ends on end of input, after
everything it has recorded is sent.

usage: shop.py SERVICE [URL of the service that it asks]
"""

import logging
import sys
import threading

import flask
import requests
from opentelemetry import _logs, metrics, trace
from werkzeug.serving import make_server


def main():
    name, below = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    log = logging.getLogger(name)
    log.setLevel(logging.INFO)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = flask.Flask(name)
    session = requests.Session()

    @app.get("/articles/<int:number>")
    def article(number):
        log.info("%s is asked for article %d", name, number)
        if below:
            answer = session.get(f"{below}/articles/{number}", timeout=10)
            return answer.json(), answer.status_code
        if number % 7 == 0:
            log.error("article %d is out of stock", number)
            return {"error": "out of stock"}, 500
        return {"article": number}

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()):
        provider.force_flush()
        provider.shutdown()


if __name__ == "__main__":
    main()
