"""Sends spans the ways that were usual before OTLP, through the exporters their users have, unmodified.

Makes COUNT orders of three spans each (a server span, a client span that fails in every fifth order, a linked
internal span), exports them through DOOR to ENDPOINT, then writes what it sent to a JSON file.

usage: spans.py zipkin-json|zipkin-protobuf|jaeger-thrift|jaeger-grpc|py-zipkin ENDPOINT COUNT TRUTH.json
"""

import json
import logging
import sys

import requests
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode


class Refusals(logging.Handler):
    """Exporters log what went wrong and go on; a test must not."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())


def exporter(door, endpoint):
    if door == "zipkin-json":
        from opentelemetry.exporter.zipkin.json import ZipkinExporter

        return ZipkinExporter(endpoint=endpoint)
    if door == "zipkin-protobuf":
        from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter

        return ZipkinExporter(endpoint=endpoint)
    if door == "jaeger-thrift":
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter

        return JaegerExporter(collector_endpoint=endpoint)
    if door == "jaeger-grpc":
        from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter

        return JaegerExporter(collector_endpoint=endpoint, insecure=True)
    raise SystemExit(f"no door {door!r}")


def opentelemetry(door, endpoint, count):
    seen = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "orders", "host.name": "h1"}))
    trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(seen))
    provider.add_span_processor(BatchSpanProcessor(exporter(door, endpoint)))
    tracer = provider.get_tracer("shop.orders", "1.2.3")
    for number in range(count):
        with tracer.start_as_current_span("place order", kind=SpanKind.SERVER) as order:
            order.set_attributes({"order.number": number, "order.express": number % 2 == 0, "order.price": number / 4})
            order.add_event("checked", {"stock": number})
            with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT) as charge:
                if number % 5 == 0:
                    charge.set_status(Status(StatusCode.ERROR, "card refused"))
            links = [Link(order.get_span_context())]
            with tracer.start_as_current_span("report", kind=SpanKind.INTERNAL, links=links):
                pass
    provider.force_flush()
    provider.shutdown()
    return [
        {
            "trace": f"{s.context.trace_id:032x}",
            "id": f"{s.context.span_id:016x}",
            "parent": f"{s.parent.span_id:016x}" if s.parent else "",
            "name": s.name,
            "kind": s.kind.name.lower(),
            "failed": s.status.status_code is StatusCode.ERROR,
        }
        for s in seen.get_finished_spans()
    ]


def py_zipkin(endpoint, count):
    from py_zipkin import Encoding, Kind
    from py_zipkin.zipkin import zipkin_span

    sent = []

    def transport(body):
        answer = requests.post(endpoint, data=body, headers={"Content-Type": "application/json"}, timeout=10)
        if answer.status_code != 202:
            raise SystemExit(f"{answer.status_code}: {answer.text}")
        sent.extend(json.loads(body))

    for number in range(count):
        shared = {"transport_handler": transport, "sample_rate": 100, "encoding": Encoding.V2_JSON}
        with zipkin_span(service_name="orders", span_name="place order", kind=Kind.SERVER, port=80, **shared) as order:
            order.add_annotation("checked")
            order.update_binary_annotations({"order.number": number})
            with zipkin_span(service_name="orders", span_name="charge", kind=Kind.CLIENT) as charge:
                charge.add_sa_binary_annotation(9000, "bank", "192.0.2.7")
                if number % 5 == 0:
                    charge.update_binary_annotations({"error": "card refused"})
    return [
        {
            "trace": s["traceId"].rjust(32, "0"),
            "id": s["id"],
            "parent": s.get("parentId") or "",
            "name": s["name"],
            "kind": s["kind"].lower(),
            "failed": "error" in s.get("tags", {}),
        }
        for s in sent
    ]


def main():
    door, endpoint, count, truth = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    refusals = Refusals()
    logging.getLogger().addHandler(refusals)
    spans = py_zipkin(endpoint, count) if door == "py-zipkin" else opentelemetry(door, endpoint, count)
    if refusals.seen:
        raise SystemExit("; ".join(refusals.seen))
    with open(truth, "w", encoding="utf-8") as out:
        json.dump(spans, out)


if __name__ == "__main__":
    main()
