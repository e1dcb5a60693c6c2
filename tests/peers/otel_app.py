"""A small web service under OpenTelemetry auto-instrumentation, and the truth about what it sent.

Serves orders over HTTP, calls itself N times, logs a line and counts a metric for each, then writes every
span id, log body and metric value it produced to a JSON file, so that a test can compare them with what the
receiver answers. Run it under `opentelemetry-instrument` with the usual OTEL_* variables.

usage: otel_app.py COUNT TRUTH.json
"""

import json
import logging
import sys
import threading

import flask
import requests
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.serving import make_server


def main():
    count, truth_path = int(sys.argv[1]), sys.argv[2]
    seen = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(seen))
    log = logging.getLogger("orders")
    log.setLevel(logging.INFO)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    meter = metrics.get_meter("orders")
    placed = meter.create_counter("orders.placed", unit="1", description="Orders placed.")
    size = meter.create_histogram("orders.size", unit="By", description="Size of an order.")

    app = flask.Flask("orders")

    @app.get("/orders/<int:number>")
    def order(number):
        log.info("order %d placed", number)
        placed.add(1, {"kind": "even" if number % 2 == 0 else "odd"})
        size.record(number)
        return {"order": number}

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tracer = trace.get_tracer("orders")
    session = requests.Session()
    with tracer.start_as_current_span("batch"):
        for number in range(count):
            session.get(f"http://127.0.0.1:{server.server_port}/orders/{number}", timeout=10).raise_for_status()
    server.shutdown()

    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()):
        provider.force_flush()
        provider.shutdown()
    spans = seen.get_finished_spans()
    truth = {
        "spans": sorted(f"{s.context.span_id:016x}" for s in spans),
        "trace_ids": sorted({f"{s.context.trace_id:032x}" for s in spans}),
        "logs": [f"order {n} placed" for n in range(count)],
        "counter": {"even": (count + 1) // 2, "odd": count // 2},
        "histogram_count": count,
        "histogram_sum": sum(range(count)),
    }
    with open(truth_path, "w", encoding="utf-8") as out:
        json.dump(truth, out)


if __name__ == "__main__":
    main()
